"""The scores of a designed study, split by source of variation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reseed.contracts.design import Design, DesignKind
from reseed.contracts.errors import UserError
from reseed.statistics.metric import METRIC_NAMES, resolved_metric
from reseed.statistics.sources import (
    SourceVariation,
    crossed_variation,
    one_at_a_time_variation,
    undesigned_variation,
    variation_lines,
)

NOT_INDEPENDENT = (
    "the runs share seeds by design, so they are not independent retrainings: methods are not compared"
)


def designed_variation(
    design: Design | None, score_by_run: Mapping[int, float], *, confidence_level: float = 0.95
) -> tuple[SourceVariation, ...]:
    """
    How much each source moves the score of a retraining of one method on these cases.

    Parameters
    ----------
    design
        Of the study; without one the runs are independent retrainings, and only what varied together
        in them can be said.
    score_by_run
        The metric by run number.
    confidence_level
        Of the intervals.

    Raises
    ------
    UserError
        When a run of the design has no score, or the runs cannot tell the sources apart.
    """
    undefined = sorted(run for run, score in score_by_run.items() if math.isnan(score))
    if undefined:
        raise UserError(f"run {undefined[0]} has no score: the metric is undefined there")
    if design is None:
        score = np.array([score_by_run[run] for run in sorted(score_by_run)])
        return (undesigned_variation(score, confidence_level=confidence_level),)
    missing = [run for run in range(design.n_runs) if run not in score_by_run]
    if missing:
        raise UserError(f"the design has {design.n_runs} runs of a method, and run {missing[0]} has no score")
    score = np.array([score_by_run[run] for run in range(design.n_runs)])
    levels = [design.levels_of(run) for run in range(design.n_runs)]
    if design.kind is DesignKind.ONE_AT_A_TIME:
        groups = {
            source.value: score[[all(other is source or not at[other] for other in at) for at in levels]]
            for source in levels[0]
        }
        return one_at_a_time_variation(groups, confidence_level=confidence_level)
    by_source = {
        source.value: np.array([at[source] for at in levels], dtype=np.int64) for source in design.seeded
    }
    return crossed_variation(score, by_source, confidence_level=confidence_level)


def variation_document(
    design: Design, scores: Mapping[str, Mapping[int, float]], *, confidence_level: float
) -> list[dict[str, Any]]:
    """The sources of every method as finite JSON values; `scores` by method and run."""
    return [
        {
            "method": method,
            "n_runs": design.n_runs,
            "sources": [
                row.to_json() for row in designed_variation(design, by_run, confidence_level=confidence_level)
            ],
        }
        for method, by_run in scores.items()
    ]


def variation_summary(
    design: Design | None,
    scores: Mapping[str, Mapping[int, float]],
    *,
    metric: str,
    cases: str,
    confidence_level: float,
    varied: Sequence[str] = (),
) -> list[str]:
    """
    The sources in words: for each method a line that says what it is, and a table.

    Parameters
    ----------
    design, scores, confidence_level
        As for `variation_document`.
    metric
        Its key.
    cases
        For instance "401 nodules".
    varied
        Without a design, what varied together.
    """
    label = resolved_metric(metric).label if metric in METRIC_NAMES else metric
    lines = []
    for method, by_run in scores.items():
        rows = designed_variation(design, by_run, confidence_level=confidence_level)
        how = "independent" if design is None else design.kind.value.replace("_", " ")
        lines.append(f"{label}, {method}, {len(by_run)} runs ({how}), {cases}")
        lines += [f"  {line}" for line in variation_lines(rows, confidence_level=confidence_level)]
    if design is None:
        lines.append(f"Varied together: {', '.join(varied)}. A design in the study file tells them apart.")
    else:
        lines.append(NOT_INDEPENDENT[0].upper() + NOT_INDEPENDENT[1:] + ".")
    return lines
