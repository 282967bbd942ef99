"""`reseed cancel` and `reseed cluster`: what only a cluster needs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from reseed.cli.commands import CONTEXT_SETTINGS
from reseed.cli.study_request import OutOption, ProjectOption, StudyArgument
from reseed.contracts.errors import UserError
from reseed.contracts.files import write_text_atomically
from reseed.orchestration.slurm.cancelling import cancel_jobs
from reseed.orchestration.slurm.client import SlurmClient
from reseed.orchestration.slurm.containers import packaged_template
from reseed.orchestration.study_file import read_study
from reseed.orchestration.study_folder import StudyFolder

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings=CONTEXT_SETTINGS,
    help="Prepare a cluster: templates of the container command.",
)


class TemplateName(StrEnum):
    """The templates there are."""

    PODMAN = "podman"
    DOCKER = "docker"
    APPTAINER = "apptainer"
    PYXIS = "pyxis"


@app.callback()
def _cluster() -> None:
    """Prepare a cluster."""


@app.command("template")
def template(
    name: Annotated[TemplateName, typer.Argument(help="Which container program.")],
    out: Annotated[Path | None, typer.Option("--out", help="A new file. Default: print it.")] = None,
) -> None:
    """
    Print the template of a container command, or write it to a file to edit.

    For example

        reseed cluster template apptainer --out apptainer.sh.j2
    """
    text = packaged_template(name.value)
    if out is None:
        typer.echo(text, nl=False)
        return
    if out.exists():
        raise UserError(f"{out}: exists already; name a new file")
    write_text_atomically(out, text)


def cancel(
    study: StudyArgument,
    out: OutOption = None,
    project: ProjectOption = None,
    grace: Annotated[
        float | None,
        typer.Option("--grace", min=0, help="Seconds to checkpoint. Default: slurm.checkpoint_s."),
    ] = None,
) -> None:
    """
    End a study's jobs in Slurm: waiting ones at once, running ones after they have checkpointed.

    `reseed run` goes on from there.

    For example

        reseed cancel studies/quickstart.yaml

        reseed cancel studies/quickstart.yaml --grace 0
    """
    console = Console()
    context = read_study(study, project=project)
    folder = StudyFolder((out or Path.cwd() / context.study.study).resolve())
    if not (folder.path / "slurm").is_dir():
        raise UserError(
            f"{folder.path}: nothing of this study is in Slurm; elsewhere, interrupt `reseed run`"
        )
    done = cancel_jobs(
        folder, SlurmClient(), grace_s=grace, tell=lambda line: console.print(line, highlight=False)
    )
    killed = f", {done.n_killed} of them killed" if done.n_killed else ""
    console.print(
        f"{done.n_waiting} waiting and {done.n_running} running jobs cancelled{killed}; "
        "`reseed run` goes on from here",
        highlight=False,
    )
