"""One submission, from predictions.json to metrics.json: what the container and the command share."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from reseed.contracts.containers import SubmissionPaths
from reseed.contracts.errors import UserError
from reseed.contracts.files import write_json_atomically
from reseed.contracts.metrics import Metrics
from reseed.contracts.task import Task
from reseed.scoring.progress import Progress, tell_nobody
from reseed.scoring.reference_results import REFERENCE_RESULTS, reference_comparisons


def submission_metrics(
    submission: SubmissionPaths,
    ground_truth: Path,
    task: Task,
    *,
    progress: Progress = tell_nobody,
) -> Metrics:
    """
    The metrics of one submission, with the result of every case in the order of case ids.

    Raises
    ------
    InvalidPrediction
        For the first case whose prediction is missing, double, unreadable or out of range; nothing
        is padded, resampled or skipped.
    UserError
        When predictions.json or the reference standard cannot be used.
    """
    if not ground_truth.is_dir():
        raise UserError(f"{ground_truth}: no such folder; it must hold the ground truth")
    metrics = _metrics_by_kind(submission, ground_truth, task, progress=progress)
    comparisons = reference_comparisons(metrics, task, ground_truth / REFERENCE_RESULTS)
    return metrics.model_copy(update={"comparisons": comparisons}) if comparisons else metrics


def _metrics_by_kind(
    submission: SubmissionPaths, ground_truth: Path, task: Task, *, progress: Progress
) -> Metrics:
    # imported by need: a study scores many runs, and images take their time to import
    kind = task.evaluation.kind
    module = importlib.import_module(f"reseed.scoring.{kind}")
    scored: Callable[..., Metrics] = getattr(module, f"{kind}_metrics")
    return scored(submission, ground_truth, task, progress=progress)


def write_metrics(
    metrics_file: Path,
    submission: SubmissionPaths,
    ground_truth: Path,
    task: Task,
    *,
    progress: Progress = tell_nobody,
) -> Metrics:
    """
    Score a submission into a metrics.json, which is then whole; after a refusal there is none.

    An older file is removed first, so that it can never be taken for the result. Raises as
    `submission_metrics` does.
    """
    remove_metrics(metrics_file)
    metrics = submission_metrics(submission, ground_truth, task, progress=progress)
    try:
        write_json_atomically(metrics_file, metrics)
    except OSError as error:
        raise UserError(f"{metrics_file}: cannot be written: {error.strerror}") from None
    return metrics


def remove_metrics(metrics_file: Path) -> None:
    """Remove what an earlier evaluation left."""
    try:
        metrics_file.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{metrics_file}: an older result cannot be removed: {error.strerror}") from None
