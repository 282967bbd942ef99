"""comparisons.json as the report reads it: the parts of it that are shown, checked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from reseed.contracts.errors import InvalidDocument
from reseed.documents.reading import read_json
from reseed.statistics.metric import METRIC_NAMES, resolved_metric
from reseed.statistics.settings import Scope


class Shown(BaseModel):
    """A part of comparisons.json; what the statistics say beyond it is left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class RunScore(Shown):
    """The metric of one run over all cases; null where it is undefined."""

    run: str | int
    score: float | None


class MethodResult(Shown):
    """One method under one scope; the interval belongs to the scope."""

    method: str
    n_runs: int
    mean: float | None
    sd: float | None
    lowest: float | None
    highest: float | None
    low: float | None
    high: float | None
    rank: float | None
    rank_low: float | None
    rank_high: float | None
    group: str | None
    runs: tuple[RunScore, ...]


class SingleRunClaims(Shown):
    """What papers with one run of each would have claimed."""

    level: float
    pairs_between: int
    claims_between: int
    pairs_within: int
    claims_within: int


class Statement(Shown):
    """A statement in words; the numbers beside it are for machines."""

    sentence: str


class PairResult(Shown):
    """Method minus baseline under one scope; low and high are null where there is no limit."""

    method: str
    baseline: str
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    p_adjusted: float | None
    test: str
    conclusion: str
    different: bool
    better: str | None
    single_runs: SingleRunClaims | None = None
    power: Statement | None = None
    margin: Statement | None = None
    with_run_sd: Statement | None = None

    @property
    def name(self) -> str:
        """The difference as a formula in words."""
        return f"{self.method} − {self.baseline}"


class VarianceComponent(Shown):
    """One source of variance; a negative estimate stands for at most 0."""

    component: str
    estimate: float | None
    share: float | None
    sentence: str


class FalseClaims(Statement):
    """How often a single-run paired test claims a difference between two retrainings of a method."""

    method: str
    rate: float | None


class MetricWords(Shown):
    """What is measured."""

    name: str
    label: str
    higher_is_better: bool


class ScopeResult(Shown):
    """All methods compared by one metric under one scope."""

    metric: MetricWords
    scope: Scope
    scope_words: str
    claim: str
    confidence_level: float = Field(gt=0, lt=1)
    adjust: str
    baseline: str | None
    n_cases: int
    n_patients: int | None
    methods: tuple[MethodResult, ...] = Field(min_length=1)
    pairs: tuple[PairResult, ...] = Field(min_length=1)
    variance: tuple[VarianceComponent, ...]
    false_claims: tuple[FalseClaims, ...]
    warnings: tuple[str, ...]

    @property
    def p_is_adjusted(self) -> bool:
        """Whether p values are adjusted for the number of pairs."""
        return len(self.pairs) > 1 and self.adjust != "none"


class SourceOfVariation(Shown):
    """What one source adds to the spread over retrainings; an end that is null has no limit."""

    source: str
    n_levels: int | None
    sd: float
    sd_low: float
    sd_high: float | None


class MethodVariation(Shown):
    """The sources of a method in a designed study, the sum last."""

    method: str
    n_runs: int
    sources: tuple[SourceOfVariation, ...] = Field(min_length=1)


class MetricComparison(Shown):
    """
    One metric under every scope that the data allow.

    No scope when there is one method only, or when the runs share seeds by design: then there is the
    variation by source.
    """

    metric: str
    summary: tuple[str, ...]
    scopes: dict[Scope, ScopeResult]
    variation: tuple[MethodVariation, ...] = ()

    @property
    def results(self) -> tuple[ScopeResult, ...]:
        """What was compared, the widest claim first."""
        return tuple(self.scopes[scope] for scope in Scope if scope in self.scopes)

    @property
    def label(self) -> str:
        """The metric's name as it is printed."""
        if self.scopes:
            return self.results[0].metric.label
        return resolved_metric(self.metric).label if self.metric in METRIC_NAMES else self.metric

    def pairs(self) -> Iterator[tuple[tuple[ScopeResult, PairResult], ...]]:
        """For each pair of methods its results under all scopes."""
        for index in range(len(self.results[0].pairs) if self.scopes else 0):
            yield tuple((result, result.pairs[index]) for result in self.results)


class Comparisons(Shown):
    """comparisons.json."""

    schema_version: Literal["1.0"]
    study: str
    task: str
    title: str
    case_noun: str
    baseline: str
    confidence_level: float = Field(gt=0, lt=1)
    metrics: tuple[MetricComparison, ...] = Field(min_length=1)


def read_comparisons(path: Path) -> Comparisons:
    """
    The comparisons of a study.

    Raises
    ------
    UserError
        One line that names the file and the first rule that it breaks.
    """
    try:
        comparisons = read_json(path, Comparisons)
    except InvalidDocument as error:
        more = len(error.lines) - 1
        rest = f" (and {more} more mistakes)" if more > 1 else " (and 1 more mistake)" if more else ""
        raise InvalidDocument(error.lines[0] + rest) from None
    for metric in comparisons.metrics:
        _check_pairs(path, metric)
    return comparisons


def _check_pairs(path: Path, metric: MetricComparison) -> None:
    """Scopes are shown side by side, so they must be about the same pairs."""
    named = [[(pair.method, pair.baseline) for pair in result.pairs] for result in metric.results]
    if any(pairs != named[0] for pairs in named):
        raise InvalidDocument(
            f"{path}: metrics.{metric.metric}.scopes: every scope must hold the same pairs of methods"
        )
