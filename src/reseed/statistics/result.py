"""The frozen result of a comparison: data frames to work with, JSON to keep."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from reseed.statistics.design import ErrorTerms
    from reseed.statistics.metric import Metric
    from reseed.statistics.settings import Settings

SCHEMA = "reseed.comparison/1"
PAIR_COLUMNS = (
    "method",
    "baseline",
    "difference",
    "standard_error",
    "df",
    "statistic",
    "p_value",
    "p_adjusted",
    "low",
    "high",
    "test",
    "scope",
    "n_runs_method",
    "n_runs_baseline",
    "n_cases",
    "probability_of_superiority",
)


@dataclass(frozen=True)
class Comparison:
    """
    Methods compared under one scope.

    Attributes
    ----------
    methods
        One row a method: method, n_runs, mean, sd (over runs, ddof 1), lowest, highest, standard_error,
        df, low, high. The interval belongs to the scope, and is cut at what the metric can be.
    runs
        One row a run: method, run, score.
    pairs
        One row a pair, `PAIR_COLUMNS`: difference is method minus baseline; low and high are not
        adjusted for the number of pairs, p_adjusted is.
    details
        One row a pair, beside `pairs`: conclusion in words and what else is known of it.
    variance
        component, estimate, share, negative.
    ranks
        method, rank, low, high, group; the interval holds for all methods at once.
    false_claims
        One row a method: sd_run, se_case, rate of false claims of a single-run paired test.
    warnings
        What a reader must know before using a number, in words.
    overall
        The test of all methods at once (F, df1, df2, p_value), for test "obuchowski_rockette" only.
    """

    metric: Metric
    settings: Settings
    test: str
    n_cases: int
    n_patients: int | None
    methods: pd.DataFrame = field(repr=False)
    runs: pd.DataFrame = field(repr=False)
    pairs: pd.DataFrame = field(repr=False)
    details: pd.DataFrame = field(repr=False)
    variance: pd.DataFrame = field(repr=False)
    ranks: pd.DataFrame = field(repr=False)
    false_claims: pd.DataFrame = field(repr=False)
    error_terms: tuple[ErrorTerms | None, ...] = field(repr=False)
    warnings: tuple[str, ...] = ()
    overall: dict[str, float] | None = None

    @property
    def scope(self) -> str:
        return self.settings.scope.value

    def detail(self, index: int, prefix: str) -> dict[str, Any] | None:
        """One pair of `details`: the columns that begin with a prefix, without it; None if there are none."""
        row = self.details.iloc[index].to_dict()
        found = {str(key).removeprefix(prefix): row[key] for key in row if str(key).startswith(prefix)}
        return found or None

    def to_json(self) -> dict[str, Any]:
        """
        The whole result as JSON values (a dict for `json.dumps`): finite numbers, NaN and infinity as null.

        The same table, settings and seed give the same value; nothing depends on the clock. Shape::

            schema            "reseed.comparison/1"
            metric            {name, label, higher_is_better}
            scope             "population" | "test_set" | "trained_models"
            scope_words       the scope in plain words, claim: the claim it supports
            test, alternative, confidence_level, adjust, covariance, baseline, margin
            n_cases, n_patients (null when no patients are named)
            methods           [{method, n_runs, mean, sd, lowest, highest, standard_error, df, low, high,
                                rank, rank_low, rank_high, group, sentence, runs: [{run, score}]}]
            pairs             [{the columns of `pairs`, superiority_low, superiority_high, conclusion,
                                different, better, smallest_p, n_undefined,
                                single_runs: {level, pairs_between, claims_between, pairs_within,
                                              claims_within} | null,
                                power: {difference, power, runs_needed, cases_needed, sentence} | null,
                                margin: {margin, p_noninferior, p_equivalent, low, high, sentence} | null,
                                with_run_sd: {run_sd_method, run_sd_baseline, standard_error, p_value, low,
                                              high, sentence} | null}]
            variance          [{component, estimate, share, negative, sentence}]
            false_claims      [{method, sd_run, se_case, rate, sentence}]
            ranks             [{method, rank, low, high, group}]
            overall           {f, df1, df2, p_value} | null
            warnings          [words]
        """
        from reseed.statistics.document import comparison_document  # noqa: PLC0415  (words need results)

        return comparison_document(self)


def json_value(value: Any) -> Any:
    """A value made of finite JSON: NaN, infinities and missing values become null, NumPy scalars Python's."""
    if isinstance(value, dict):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is pd.NA or value is None:
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def json_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a frame as JSON values."""
    return [json_value(row) for row in frame.to_dict(orient="records")]
