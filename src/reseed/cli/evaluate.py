"""`reseed evaluate`: score the predictions of one run, as the evaluation container does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reseed.contracts.containers import SubmissionPaths
from reseed.contracts.metrics import Metrics
from reseed.contracts.task import Task
from reseed.scoring.evaluation import submission_metrics, write_metrics
from reseed.scoring.measures import measure_of
from reseed.scoring.tasks import TASKS_FOLDER, is_path, read_task, tasks_folder


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
    read = named_task(task)
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
    titles = {key: _title(key) for key in metrics.aggregates}
    width = max(len(title) for title in titles.values())
    for key, aggregate in metrics.aggregates.items():
        line = f"  {titles[key]:{width}}  {aggregate.value:.3f}"
        if aggregate.low is not None and aggregate.high is not None:
            level = f"{100 * metrics.confidence_level:g} %"
            line += (
                f"   {aggregate.low:.3f} to {aggregate.high:.3f} ({level}, for this one run on new patients)"
            )
        lines.append(line)
    return [*lines, *(comparison.words for comparison in metrics.comparisons)]


def _title(key: str) -> str:
    measure = measure_of(key)
    if measure is None:
        return key
    return f"{measure.title} [{measure.unit}]" if measure.unit else measure.title


def named_task(name_or_path: str) -> Task:
    """A task by its name in the tasks folder around here, or by the path of its file."""
    return read_task(name_or_path, Path() if is_path(name_or_path) else nearest_tasks_folder())


def nearest_tasks_folder() -> Path:
    """The tasks around the current folder, or those of the checkout that this program runs from."""
    here, checkout = Path.cwd(), Path(__file__).resolve().parents[3]
    is_inside = any((folder / TASKS_FOLDER).is_dir() for folder in (here, *here.parents))
    return tasks_folder(here if is_inside else checkout)
