"""`reseed verify`: does a recorded run come out again?"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from reseed.cli.study import EXIT_INCOMPLETE
from reseed.cli.study_request import (
    DataOption,
    ExecutorChoice,
    ExecutorOption,
    JobsOption,
    OutOption,
    ProjectOption,
    StudyRequest,
    executed,
    inspecting_executor,
    study_run_of,
)
from reseed.contracts.errors import UserError
from reseed.orchestration.environment_check import environment_differences, recorded_runs
from reseed.orchestration.project import Project
from reseed.orchestration.study_folder import StudyFolder
from reseed.orchestration.verification import Verdict, run_part, verification, verification_lines


def verify(
    study: Annotated[
        Path | None, typer.Argument(help="A study file; not with --environment.", show_default=False)
    ] = None,
    run: Annotated[
        str | None, typer.Option(metavar="METHOD/RUN", help="The recorded run, for instance planes_2d/0.")
    ] = None,
    environment: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN|STUDY_DIR",
            help="Train nothing: compare this machine, or its images, with what a recorded run ran in.",
        ),
    ] = None,
    out: OutOption = None,
    executor: ExecutorOption = None,
    jobs: JobsOption = None,
    datasets: DataOption = None,
    project: ProjectOption = None,
) -> None:
    """
    Retrain one recorded run from its seeds and say whether it is the same.

    Bit-identical; or the same configuration with a score that one more retraining could have; or not
    reproduced, and what differs in the environment. The retraining is kept in
    STUDY_DIR/verifications. Exit code 1 when it is not reproduced.

    With --environment nothing is trained: one line for each thing that a training would find different
    here, most suspicious first, and exit code 1 when there is any.

    For example

        reseed verify studies/quickstart.yaml --run planes_2d/0

        reseed verify --environment quickstart

        reseed verify --environment theirs/run.json --executor docker
    """
    console = Console()
    if environment is not None:
        if study is not None or run is not None:
            raise UserError("--environment trains nothing: give it without a study file and --run")
        _verify_environment(environment, executor, project)
        return
    if study is None or run is None:
        raise UserError("verify takes STUDY.yaml --run METHOD/RUN, or --environment RUN|STUDY_DIR")
    recorded = study_run_of(console, StudyRequest(study, out, executor, datasets, project))
    method, number = _run_named(run)
    if not (recorded.folder.run(method, number) / "run.json").is_file():
        raise UserError(f"{recorded.folder.path} has no recorded run {run}; `reseed run` makes it")
    place = StudyFolder(recorded.folder.path / "verifications" / f"{method}-{number}")
    if (place.run(method, number) / "run.json").is_file():
        shutil.rmtree(place.path)  # an earlier verification has ended: this is another one
    request = StudyRequest(study, place.path, executor, datasets, project)
    _, outcome = executed(console, request, jobs, part=lambda plan: run_part(plan, method, number))
    if not outcome.is_complete:
        console.print(f"{run} could not be retrained; the same command tries again", style="red")
        raise typer.Exit(EXIT_INCOMPLETE)
    metric = recorded.context.task.ranking_metric
    found = verification(recorded.folder, place, method=method, run=number, metric=metric)
    for line in verification_lines(found, method=method, run=number):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if found.verdict is Verdict.NOT_REPRODUCED:
        raise typer.Exit(EXIT_INCOMPLETE)


def _verify_environment(path: Path, chosen: ExecutorChoice | None, project: Path | None) -> None:
    """Say what differs for each algorithm that a record is of, and exit as diff does."""
    home = Project(project) if project else Project.around(Path.cwd())
    n_differences = 0
    for record in recorded_runs(path):
        algorithm = home.algorithm(record.program.algorithm)
        executor = inspecting_executor(chosen or ExecutorChoice(record.program.executor), home, algorithm)
        found = environment_differences(record, executor)
        n_differences += len(found)
        for difference in found:
            typer.echo(difference.line())
        place = f"{record.study}, {record.method}/{record.run} ({executor.name})"
        said = f"{len(found)} differences from" if found else "the same as recorded for"
        typer.echo(f"{algorithm.name}: {said} {place}")
    if n_differences:
        raise typer.Exit(EXIT_INCOMPLETE)


def _run_named(text: str) -> tuple[str, int]:
    method, _, number = text.rpartition("/")
    if not method or not number.isdigit():
        raise UserError(f"--run takes METHOD/RUN, for instance planes_2d/0, got {text!r}")
    return method, int(number)
