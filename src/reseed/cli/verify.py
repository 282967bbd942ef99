"""`reseed verify`: does a recorded run come out again?"""

from __future__ import annotations

import shutil
from typing import Annotated

import typer
from rich.console import Console

from reseed.cli.study import (
    EXIT_INCOMPLETE,
    DataOption,
    ExecutorOption,
    JobsOption,
    OutOption,
    ProjectOption,
    StudyArgument,
    StudyRequest,
    executed,
    study_run_of,
)
from reseed.contracts.errors import UserError
from reseed.orchestration.study_folder import StudyFolder
from reseed.orchestration.verification import Verdict, run_part, verification, verification_lines


def verify(
    study: StudyArgument,
    run: Annotated[
        str, typer.Option(metavar="METHOD/RUN", help="The recorded run, for instance planes_2d/0.")
    ],
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

    For example

        reseed verify studies/quickstart.yaml --run planes_2d/0
    """
    console = Console()
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


def _run_named(text: str) -> tuple[str, int]:
    method, _, number = text.rpartition("/")
    if not method or not number.isdigit():
        raise UserError(f"--run takes METHOD/RUN, for instance planes_2d/0, got {text!r}")
    return method, int(number)
