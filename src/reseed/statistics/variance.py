"""`reseed.variance_components`: what retraining, cases and their interactions each contribute."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reseed.contracts.errors import InvalidTable
from reseed.statistics.components import (
    Component,
    false_claims,
    stream_components,
    variance_estimates,
    variance_shares,
)
from reseed.statistics.metric import MetricLike, resolved_metric
from reseed.statistics.result import json_rows
from reseed.statistics.sample import observed_sample
from reseed.statistics.table import checked_scores
from reseed.statistics.words import component_sentence, false_claim_sentence

if TYPE_CHECKING:
    from reseed.statistics.scores import IntArray, RunLayout

SCHEMA = "reseed.variance/1"


@dataclass(frozen=True)
class VarianceComponents:
    """
    Variances of a metric of one run on a test set of this size.

    Attributes
    ----------
    components
        component (run, case, method × case, run × case), estimate, share, negative, sentence.
    streams
        The same for each seed stream (and "rest" for what differs between runs of equal seeds); None
        when no streams were given.
    false_claims
        method, sd_run, se_case, rate, sentence: how often a single-run paired test claims a difference
        between two retrainings of the method.
    """

    components: pd.DataFrame = field(repr=False)
    streams: pd.DataFrame | None = field(repr=False)
    false_claims: pd.DataFrame = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """The three tables as finite JSON values."""
        return {
            "schema": SCHEMA,
            "components": json_rows(self.components),
            "streams": None if self.streams is None else json_rows(self.streams),
            "false_claims": json_rows(self.false_claims),
        }


def variance_components(
    table: pd.DataFrame,
    *,
    metric: MetricLike,
    streams: pd.DataFrame | None = None,
    covariance: str = "jackknife",
    rng: np.random.Generator | None = None,
) -> VarianceComponents:
    """
    Split the variance of a metric into its sources.

    Parameters
    ----------
    table, metric, covariance, rng
        As in `reseed.compare`.
    streams
        Columns method, run, and one column a seed stream (such as weights, order) with the seed each run
        had. Some pairs of runs must share one stream's seed while another differs.

    Raises
    ------
    InvalidTable, UserError
        One line that names the thing, the rule, and what arrived.
    """
    resolved = resolved_metric(metric)
    scores = checked_scores(table, resolved)
    if not (scores.layout.run_counts > 1).any():
        raise InvalidTable("variance components need two or more runs of a method, every method has one")
    rng = np.random.default_rng(0) if rng is None else rng
    sample = observed_sample(scores, resolved, estimator=covariance, rng=rng)
    by_stream = None
    if streams is not None:
        levels = _levels(streams, scores.layout)
        split = stream_components(sample.theta, sample.sigma, scores.layout.method_of_run, levels)
        by_stream = _component_frame(split.components)
    claims = pd.DataFrame([vars(row) for row in false_claims(sample.moments, scores.layout.methods)])
    claims["sentence"] = [
        false_claim_sentence(method, rate)
        for method, rate in zip(claims["method"], claims["rate"], strict=True)
    ]
    shares = variance_shares(variance_estimates(sample.moments))
    return VarianceComponents(_component_frame(shares), by_stream, claims)


def _component_frame(components: tuple[Component, ...]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            (c.name, c.estimate, c.share, c.negative, component_sentence(c.name, c.estimate, c.share))
            for c in components
        ],
        columns=["component", "estimate", "share", "negative", "sentence"],
    )


def _levels(streams: pd.DataFrame, layout: RunLayout) -> dict[str, IntArray]:
    """Seed of every run in every stream, in the order of the layout."""
    missing = [name for name in ("method", "run") if name not in streams.columns]
    if missing:
        raise InvalidTable(f"the table of seed streams lacks column {missing[0]!r}")
    names = [str(name) for name in streams.columns if name not in ("method", "run")]
    if not names:
        raise InvalidTable("the table of seed streams has no stream, only method and run")
    keys = list(zip(streams["method"].astype(str), streams["run"].astype(str), strict=True))
    if len(set(keys)) != len(keys):
        raise InvalidTable("the table of seed streams names a run twice")
    row_of = {key: i for i, key in enumerate(keys)}
    rows = []
    for run, method in zip(layout.runs, layout.method_of_run, strict=True):
        key = (layout.methods[method], run)
        if key not in row_of:
            raise InvalidTable(f"the table of seed streams lacks method {key[0]!r} run {key[1]!r}")
        rows.append(row_of[key])
    return {name: pd.factorize(streams[name])[0][rows].astype(np.int64) for name in names}
