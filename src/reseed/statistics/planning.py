"""`reseed.power`: how many runs and how many patients a comparison needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reseed.contracts.errors import InvalidTable, UserError
from reseed.statistics.design import (
    ErrorTerms,
    cases_needed,
    error_terms,
    power_of,
    power_of_endless_runs,
    runs_needed,
)
from reseed.statistics.metric import MetricLike, resolved_metric
from reseed.statistics.result import json_rows, json_value
from reseed.statistics.sample import observed_sample
from reseed.statistics.table import checked_scores
from reseed.statistics.words import number, power_sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reseed.statistics.sample import Sample

CURVE_RUNS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 50)
SCHEMA = "reseed.power/1"


@dataclass(frozen=True)
class PowerPlan:
    """
    Power in scope "population" for a true difference, two-sided.

    Attributes
    ----------
    runs_needed
        Runs a method on the present cases; None when no number is enough.
    cases_needed
        Cases (patients) with `runs` runs a method; None when no number is enough.
    endless_runs
        The power that no number of runs exceeds on the present cases.
    curve
        runs, n_cases, power: over runs on the present cases and on twice and four times as many.
    sentence
        The answer in words.
    unit
        What is drawn independently: "cases" or "patients".
    notes
        What was assumed, in words.
    """

    terms: ErrorTerms
    difference: float
    runs: int
    target: float
    level: float
    power: float
    runs_needed: int | None
    cases_needed: int | None
    endless_runs: float
    curve: pd.DataFrame = field(repr=False)
    sentence: str
    unit: str = "cases"
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The plan as finite JSON values: all attributes, `terms` and `curve` spelled out."""
        fields = {
            name: value for name, value in vars(self).items() if name not in ("terms", "curve", "notes")
        }
        return {
            "schema": SCHEMA,
            **json_value(fields),
            "terms": json_value(vars(self.terms)),
            "curve": json_rows(self.curve),
            "notes": list(self.notes),
        }


def power(
    table: pd.DataFrame | ErrorTerms,
    *,
    difference: float,
    metric: MetricLike | None = None,
    methods: Sequence[str] | None = None,
    runs: int | None = None,
    target: float = 0.8,
    level: float = 0.05,
    covariance: str = "jackknife",
) -> PowerPlan:
    """
    Runs and cases needed to see a true difference between two methods, from a pilot study.

    Parameters
    ----------
    table
        A score table as for `reseed.compare`, or `ErrorTerms` known from elsewhere.
    difference
        The true difference to be seen.
    metric
        As in `reseed.compare`; needed with a table.
    methods
        The two methods; by default variances are averaged over all pairs. With one method in the table
        the two are assumed to fail on the same patients.
    runs
        Runs a method planned; by default the fewest of the pilot, or 5.
    target, level
        Power to reach, and two-sided level of the test.
    covariance
        Σ over cases, as in `reseed.compare`.

    Raises
    ------
    InvalidTable, UserError
        One line that names the thing, the rule, and what arrived.
    """
    notes: tuple[str, ...] = ()
    unit = "cases"
    if isinstance(table, ErrorTerms):
        terms = table
    else:
        if metric is None:
            raise UserError("power from a score table needs a metric, got none")
        sample = _pilot(table, metric, covariance)
        terms, notes = _terms_of(sample, methods)
        runs = int(sample.layout.run_counts.min()) if runs is None else runs
        unit = "patients" if sample.layout.clustered else "cases"
    return _plan(terms, difference, 5 if runs is None else runs, (target, level), (unit, notes))


def _pilot(table: pd.DataFrame, metric: MetricLike, covariance: str) -> Sample:
    resolved = resolved_metric(metric)
    scores = checked_scores(table, resolved)
    for method, count in zip(scores.layout.methods, scores.layout.run_counts, strict=True):
        if count < 2:
            raise InvalidTable(f"method {method!r} needs two or more runs to plan from, got {count}")
    return observed_sample(scores, resolved, estimator=covariance, rng=np.random.default_rng(0))


def _terms_of(sample: Sample, methods: Sequence[str] | None) -> tuple[ErrorTerms, tuple[str, ...]]:
    layout, n = sample.layout, sample.layout.n_patients
    if layout.n_methods == 1:
        one = error_terms(sample.moments, 0, 0, n)
        terms = ErrorTerms(one.run, one.run_case, 0.0, n)
        return terms, ("one method in the table: the other is assumed to fail on the same patients",)
    pairs = list(combinations(range(layout.n_methods), 2))
    if methods is not None:
        unknown = [name for name in methods if name not in layout.methods]
        if unknown or len(set(methods)) != 2:
            raise UserError(f"methods must be two of {', '.join(layout.methods)}, got {', '.join(methods)}")
        first, second = (layout.methods.index(name) for name in methods)
        pairs = [(first, second)]
    each = [error_terms(sample.moments, a, b, n) for a, b in pairs]
    averaged = ErrorTerms(
        run=float(np.mean([terms.run for terms in each])),
        run_case=float(np.mean([terms.run_case for terms in each])),
        method_case=float(np.mean([terms.method_case for terms in each])),
        n_cases=n,
    )
    note = () if len(pairs) == 1 else (f"variances are averaged over {len(pairs)} pairs of methods",)
    return averaged, note


def _plan(
    terms: ErrorTerms,
    difference: float,
    runs: int,
    goal: tuple[float, float],
    words: tuple[str, tuple[str, ...]],
) -> PowerPlan:
    (target, level), (unit, notes) = goal, words
    needed = runs_needed(terms, difference, power=target, level=level)
    rows = [
        (count, cases, power_of(terms, difference, count, cases, level=level))
        for cases in (terms.n_cases, 2 * terms.n_cases, 4 * terms.n_cases)
        for count in CURVE_RUNS
    ]
    return PowerPlan(
        terms=terms,
        difference=difference,
        runs=runs,
        target=target,
        level=level,
        power=power_of(terms, difference, runs, level=level),
        runs_needed=needed,
        cases_needed=cases_needed(terms, difference, runs, power=target, level=level),
        endless_runs=power_of_endless_runs(terms, difference, level=level),
        curve=pd.DataFrame(rows, columns=["runs", "n_cases", "power"]),
        sentence=power_sentence(terms, difference, runs, unit, target=target, level=level),
        unit=unit,
        notes=notes,
    )


def power_lines(plan: PowerPlan) -> list[str]:
    """A power plan for the terminal: what has been found, power by runs and cases, and the answer."""
    terms = plan.terms
    sds = [number(float(np.sqrt(value))) for value in (terms.run, terms.run_case, terms.method_case)]
    lines = [
        f"SD over retrainings {sds[0]}; on these {terms.n_cases} {plan.unit} run × case {sds[1]}, "
        f"method × case {sds[2]}",
        f"With {plan.runs} runs a method a true difference of {number(abs(plan.difference))} is seen "
        f"{100 * plan.power:.0f} % of the time if retrained and shown new patients.",
        "",
        "power        "
        + "".join(f"{runs:>6}" for runs in sorted(set(plan.curve["runs"])))
        + "   runs a method",
    ]
    for n_cases, rows in plan.curve.groupby("n_cases"):
        lines.append(
            f"{n_cases:>7} {plan.unit:<9}" + "".join(f"{100 * power:>4.0f} %" for power in rows["power"])
        )
    return [*lines, "", plan.sentence, *(f"note: {note}" for note in plan.notes)]
