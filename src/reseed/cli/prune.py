"""`reseed prune`: remove what a study no longer needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reseed.contracts.errors import UserError
from reseed.orchestration.disk import bytes_text
from reseed.orchestration.executors.executor import Executor
from reseed.orchestration.prune import is_over, leftovers, remove
from reseed.orchestration.state import exclusive
from reseed.orchestration.study_folder import StudyFolder


def prune(
    study_dir: Annotated[Path, typer.Argument(help="The folder of a study.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")
    ] = False,
    containers: Annotated[
        bool, typer.Option("--containers", help="Also containers of attempts that are over.")
    ] = False,
) -> None:
    """
    Remove what the plan of the latest `reseed run` does not ask for any more, and what was left half done.

    Jobs with other settings, data or code than now; checkpoints of finished jobs; scratch of attempts
    that are over. Never the result of a finished job of the plan, and never beside a running study.

    For example

        reseed prune quickstart --dry-run

        reseed prune quickstart
    """
    study = StudyFolder(study_dir.resolve())
    if not study.path.is_dir():
        raise UserError(f"{study_dir}: no such folder; name the folder of a study, as given to --out")
    with exclusive(study):
        n_containers = _engine().release_leftovers(study, is_over, dry_run=dry_run) if containers else 0
        found = leftovers(study)
        for leftover in found:
            typer.echo(f"{bytes_text(leftover.n_bytes):>9}  {leftover.why}")
            if not dry_run:
                remove(leftover)
    verb = "would go" if dry_run else "removed"
    size = bytes_text(sum(leftover.n_bytes for leftover in found))
    also = f", {n_containers} containers" if containers else ""
    typer.echo(f"{len(found)} things, {size}{also} {verb}")


def _engine() -> Executor:
    from reseed.orchestration.executors.docker import DockerExecutor  # noqa: PLC0415 (the SDK is an extra)

    return DockerExecutor.connected()
