"""`reseed evaluate`: score the predictions of one run, as the evaluation container does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reseed.contracts.containers import SubmissionPaths
from reseed.contracts.metrics import Metrics
from reseed.contracts.task import Task
from reseed.scoring.evaluation import submission_metrics, write_metrics
from reseed.scoring.tasks import TASKS_FOLDER, is_path, read_task, tasks_folder

METRIC_TITLES = {"auroc": "AUROC", "ap": "average precision"}


def evaluate(
    predictions: Annotated[
        Path,
        typer.Argument(
            metavar="PREDICTIONS_DIR",
            help="Folder with predictions.json and, for each job in it, a folder PK/output of that job.",
        ),
    ],
    ground_truth: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Folder with the reference standard, such as reference.csv."),
    ],
    task: Annotated[
        str,
        typer.Option(metavar="NAME|FILE", help="A task of evaluation/tasks/, or the path of any task file."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write metrics.json here: every case, every metric."),
    ] = None,
) -> None:
    """
    Score one run's predictions against the reference standard.

    The same code as the evaluation container: what it refuses there it refuses here, in one line
    that names the case. After a refusal there is no metrics file, not even an older one.

    For instance:

        reseed evaluate predictions --ground-truth truth --task nodule_malignancy

        reseed evaluate predictions --ground-truth truth --task my_task.yaml --out metrics.json
    """
    folder = Path() if is_path(task) else tasks_folder(_start(Path.cwd()))
    read = read_task(task, folder)
    submission = SubmissionPaths(predictions)
    if out is None:
        metrics = submission_metrics(submission, ground_truth, read)
    else:
        metrics = write_metrics(out, submission, ground_truth, read)
    for line in metrics_lines(metrics, read):
        typer.echo(line)


def metrics_lines(metrics: Metrics, task: Task) -> list[str]:
    """The aggregates in words: value, interval, and what the interval is about."""
    n_patients = len({result.patient for result in metrics.results if result.patient is not None})
    of_patients = f" of {n_patients} patients" if n_patients else ""
    lines = [f"{task.title}: {len(metrics.results)} {task.case_noun}{of_patients}"]
    width = max(len(METRIC_TITLES.get(key, key)) for key in metrics.aggregates)
    for key, aggregate in metrics.aggregates.items():
        line = f"  {METRIC_TITLES.get(key, key):{width}}  {aggregate.value:.3f}"
        if aggregate.low is not None and aggregate.high is not None:
            level = f"{100 * metrics.confidence_level:g} %"
            line += (
                f"   {aggregate.low:.3f} to {aggregate.high:.3f} ({level}, for this one run on new patients)"
            )
        lines.append(line)
    return lines


def _start(here: Path) -> Path:
    """Where the search for task files starts: here, or in the checkout that this program runs from."""
    checkout = Path(__file__).resolve().parents[3]
    is_inside = any((folder / TASKS_FOLDER).is_dir() for folder in (here, *here.parents))
    return here if is_inside else checkout
