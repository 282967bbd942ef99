"""
A submission beside the runs of a reference method, which the ground truth may ship.

`reference_results/<method>/<run>/metrics.json`. On a platform the evaluation sees one submission, which
is one run. Its score is one draw, and so it is asked what another draw of the reference would be.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from reseed.contracts.errors import UserError
from reseed.contracts.files import write_json_atomically
from reseed.contracts.metrics import Metrics, ReferenceComparison
from reseed.contracts.task import Task
from reseed.documents.reading import read_json
from reseed.scoring.measures import MEASURES, Measure
from reseed.statistics.prediction import RetrainingPrediction

REFERENCE_RESULTS = "reference_results"
"""A folder of the ground truth."""


def reference_comparisons(metrics: Metrics, task: Task, folder: Path) -> tuple[ReferenceComparison, ...]:
    """
    A submission's metrics beside those of every reference method; none where the folder is absent.

    Raises
    ------
    UserError
        When reference results cannot be read, are of another task or of other cases, or lack a metric.
    """
    if not folder.is_dir():
        return ()
    runs = reference_runs(folder)
    for (method, run), reference in runs.items():
        _check_comparable(reference, metrics, f"{folder.name}/{method}/{run}")
    methods = list(dict.fromkeys(method for method, _ in runs))
    measures = MEASURES[task.evaluation.kind]
    return tuple(
        draw_comparison(
            metrics.aggregates[key].value,
            [runs[name, run].aggregates[key].value for name, run in runs if name == method],
            method=method,
            metric=key,
            measure=measures[key],
            confidence_level=metrics.confidence_level,
            case_noun=task.case_noun,
        )
        for key in task.metrics
        for method in methods
    )


def reference_runs(folder: Path) -> dict[tuple[str, str], Metrics]:
    """
    The metrics of every run of every reference method, by method and run, sorted.

    Raises
    ------
    UserError
        When there is none, or one cannot be read.
    """
    paths = sorted(
        folder.glob("*/*/metrics.json"), key=lambda path: (path.parts[-3], _by_number(path.parts[-2]))
    )
    if not paths:
        raise UserError(f"{folder}: has no <method>/<run>/metrics.json")
    return {(path.parts[-3], path.parts[-2]): read_json(path, Metrics) for path in paths}


def draw_comparison(
    value: float,
    reference: Sequence[float],
    *,
    method: str,
    metric: str,
    measure: Measure,
    confidence_level: float,
    case_noun: str = "cases",
) -> ReferenceComparison:
    """
    One run beside some runs of a reference method: would a retraining of the reference reach it?

    The prediction interval of one more retraining is m ± t s √(1 + 1/n), with the mean m and standard
    deviation s (n - 1) of the n runs and Student's t with n - 1 degrees of freedom, cut to [0, 1] for
    metrics without unit. The share of retrainings that score at least as well follows from the same
    distribution. Both are about these cases: nothing is said about other patients.

    Parameters
    ----------
    value
        The submission's metric.
    reference
        The metric of each run of the reference.
    method, metric, measure
        What they are called, and which direction is better.
    confidence_level
        Of the interval.
    case_noun
        What a case is called.
    """
    n_runs, retraining = len(reference), RetrainingPrediction.of(reference)
    mean = retraining.mean
    sd = low = high = share = None
    verdict: Literal["better", "within", "worse", "unknown"] = "unknown"
    if n_runs > 1:
        sd, half = retraining.sd, retraining.half_width(confidence_level)
        bounds = (-math.inf, math.inf) if measure.unit else (0.0, 1.0)
        low, high = max(mean - half, bounds[0]), min(mean + half, bounds[1])
        ahead = (value - mean) * (-1 if measure.higher_is_better is False else 1)
        share = retraining.share_above(ahead)
        is_inside = mean - half <= value <= mean + half
        verdict = "within" if is_inside else "better" if ahead > 0 else "worse"
    comparison = ReferenceComparison(
        metric=metric,
        method=method,
        n_runs=n_runs,
        value=value,
        reference_mean=mean,
        reference_sd=sd,
        low=low,
        high=high,
        share_reaching=share,
        verdict=verdict,
        words="",
    )
    words = _words(comparison, measure, f"{100 * confidence_level:g} %", case_noun)
    return comparison.model_copy(update={"words": words})


_SAYS = {
    "within": "cannot be told apart from a retraining of",
    "better": "is better than retrainings of",
    "worse": "is worse than retrainings of",
}


def _words(found: ReferenceComparison, measure: Measure, level: str, case_noun: str) -> str:
    unit = f" {measure.unit}" if measure.unit else ""
    title = f"{measure.title[0].upper()}{measure.title[1:]}"
    if found.low is None or found.high is None or found.share_reaching is None:
        return (
            f"{title}: this submission, one run, has {found.value:.3f}{unit}; the one run of {found.method} "
            f"has {found.reference_mean:.3f}{unit}. How much a retraining of either would change is unknown."
        )
    percent = 100 * found.share_reaching
    chance = "fewer than 1" if percent < 1 else "more than 99" if percent > 99 else f"about {percent:.0f}"
    return (
        f"{title}: this submission, one run, has {found.value:.3f}{unit} and {_SAYS[found.verdict]} "
        f"{found.method} on these {case_noun}: one more retraining of {found.method} would have "
        f"{found.low:.3f} to {found.high:.3f}{unit} ({level}, from {found.n_runs} runs), and {chance} of 100 "
        "would do at least as well. Nothing is said about a retraining of this submission, or about other "
        "patients."
    )


def _check_comparable(reference: Metrics, metrics: Metrics, place: str) -> None:
    if reference.task != metrics.task:
        raise UserError(f"{place}: is of task {reference.task!r}, not {metrics.task!r}")
    expected = {result.case_id for result in metrics.results}
    differing = sorted({result.case_id for result in reference.results} ^ expected)
    if differing:
        problem = "lacks" if differing[0] in expected else "has another"
        raise UserError(
            f"{place}: {problem} case {differing[0]!r}; reference results must be of the same cases"
        )
    missing = next((key for key in metrics.aggregates if key not in reference.aggregates), None)
    if missing is not None:
        raise UserError(f"{place}: has no metric {missing!r}; write the reference results again")


def _by_number(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdecimal() else (2**63, name)


def copied_study_results(study: Path, target: Path) -> list[tuple[str, str]]:
    """
    Copy runs/<method>/<run>/metrics.json of a finished study; which methods and runs there were.

    Built beside the target and renamed, so that no half of it is ever there. Comparisons that a result
    holds are left out.

    Raises
    ------
    UserError
        When the study has no results, its runs are of different cases, or the target cannot be written.
    """
    if not (study / "runs").is_dir():
        raise UserError(f"{study}: has no runs/; it must be the folder of a finished study")
    runs = reference_runs(study / "runs")
    (first, *_) = runs.values()
    for (method, run), metrics in runs.items():
        _check_comparable(metrics, first, f"{study}/runs/{method}/{run}")
    building = target.with_name(f".{target.name}.building")
    try:
        shutil.rmtree(building, ignore_errors=True)
        for (method, run), metrics in runs.items():
            plain = metrics.model_copy(update={"comparisons": ()})
            write_json_atomically(building / method / run / "metrics.json", plain)
        if target.exists():
            shutil.rmtree(target)
        building.rename(target)
    except OSError as error:
        shutil.rmtree(building, ignore_errors=True)
        raise UserError(f"{target}: cannot be written: {error.strerror}") from None
    return list(runs)
