"""Rows of the tables about results: methods, differences, sources of variance, ranks."""

from __future__ import annotations

from dataclasses import dataclass

from reseed.reporting.answer import single_run_sentence
from reseed.reporting.comparisons import MetricComparison, PairResult, ScopeResult
from reseed.reporting.wording import (
    COMPONENT_MEANINGS,
    SOURCE_MEANINGS,
    name_of_test,
    p_text,
    rank_text,
    span_text,
    value_text,
)
from reseed.statistics.sources import sd_text


@dataclass(frozen=True)
class MethodRow:
    """One method's scores over its runs."""

    method: str
    n_runs: int
    mean: str
    sd: str
    extremes: str
    interval: str


@dataclass(frozen=True)
class DifferenceRow:
    """One pair under one scope."""

    scope_words: str
    difference: str
    interval: str
    p_value: str
    conclusion: str
    test: str
    different: bool
    more: tuple[str, ...]


@dataclass(frozen=True)
class DifferenceGroup:
    """One pair under all scopes."""

    name: str
    rows: tuple[DifferenceRow, ...]


@dataclass(frozen=True)
class VarianceRow:
    """One source of variance."""

    component: str
    meaning: str
    sentence: str
    percent: float


@dataclass(frozen=True)
class SourceRow:
    """One source of variation between retrainings of a designed study."""

    source: str
    meaning: str
    n_levels: str
    sd: str
    interval: str


@dataclass(frozen=True)
class SourceTable:
    """The sources of one method, the widest first and the sum last."""

    method: str
    n_runs: int
    rows: tuple[SourceRow, ...]


@dataclass(frozen=True)
class RankRow:
    """One method's place under each scope."""

    method: str
    mean: str
    places: tuple[tuple[str, str], ...]


def method_rows(result: ScopeResult) -> tuple[MethodRow, ...]:
    """Means, spreads and intervals under one scope."""
    return tuple(
        MethodRow(
            method=row.method,
            n_runs=row.n_runs,
            mean=value_text(row.mean),
            sd=value_text(row.sd) if row.n_runs > 1 else "one run",
            extremes=span_text(row.lowest, row.highest),
            interval=span_text(row.low, row.high),
        )
        for row in result.methods
    )


def difference_groups(metric: MetricComparison) -> tuple[DifferenceGroup, ...]:
    """Every pair, its scopes one below the other."""
    return tuple(
        DifferenceGroup(pair[0][1].name, tuple(_difference_row(*scoped) for scoped in pair))
        for pair in metric.pairs()
    )


def _difference_row(result: ScopeResult, pair: PairResult) -> DifferenceRow:
    more = (pair.margin, pair.with_run_sd)
    return DifferenceRow(
        scope_words=result.scope_words,
        difference=value_text(pair.difference, signed=True),
        interval=span_text(pair.low, pair.high, signed=True),
        p_value=p_text(pair.p_adjusted).removeprefix("p "),
        conclusion=pair.conclusion,
        test=name_of_test(pair.test),
        different=pair.different,
        more=tuple(statement.sentence for statement in more if statement is not None),
    )


def variance_rows(result: ScopeResult) -> tuple[VarianceRow, ...]:
    """Sources of variance with their shares."""
    return tuple(
        VarianceRow(
            component=row.component,
            meaning=COMPONENT_MEANINGS.get(row.component, ""),
            sentence=row.sentence.removeprefix(f"{row.component}: "),
            percent=round(100 * (row.share or 0.0), 1),
        )
        for row in result.variance
    )


def source_tables(metric: MetricComparison) -> tuple[SourceTable, ...]:
    """The variation by source of every method; empty unless the runs share seeds by design."""
    return tuple(
        SourceTable(
            found.method,
            found.n_runs,
            tuple(
                SourceRow(
                    source=row.source,
                    meaning=SOURCE_MEANINGS.get(row.source, ""),
                    n_levels="" if row.n_levels is None else str(row.n_levels),
                    sd=sd_text(row.sd),
                    interval=f"{sd_text(row.sd_low)} to "
                    f"{'no upper limit' if row.sd_high is None else sd_text(row.sd_high)}",
                )
                for row in (*sorted(found.sources[:-1], key=lambda row: -row.sd), found.sources[-1])
            ),
        )
        for found in metric.variation
    )


def consequences(result: ScopeResult) -> tuple[str, ...]:
    """What the variance does to tests of single runs, and what it takes to see a difference."""
    claims = tuple(row.sentence for row in result.false_claims)
    if len(result.pairs) == 1:
        return (*claims, *_power_sentences(result))
    single = [single_run_sentence(result, pair) for pair in result.pairs]
    return (*claims, *(sentence for sentence in single if sentence is not None), *_power_sentences(result))


def _power_sentences(result: ScopeResult) -> tuple[str, ...]:
    """By pair; said once when it is the same for all."""
    said = [(pair.name, pair.power.sentence) for pair in result.pairs if pair.power is not None]
    if len({sentence for _, sentence in said}) == 1:
        return (said[0][1],)
    return tuple(f"{name}: {sentence}" for name, sentence in said)


def rank_rows(metric: MetricComparison) -> tuple[RankRow, ...]:
    """Places of more than two methods, the best first; nothing for two, whose pair says it all."""
    if not metric.results or len(metric.results[0].methods) <= 2:
        return ()
    order = sorted(
        range(len(metric.results[0].methods)),
        key=lambda i: (metric.results[0].methods[i].rank or 0.0, metric.results[0].methods[i].method),
    )
    return tuple(
        RankRow(
            method=metric.results[0].methods[i].method,
            mean=value_text(metric.results[0].methods[i].mean),
            places=tuple(_place(result, i) for result in metric.results),
        )
        for i in order
    )


def _place(result: ScopeResult, i: int) -> tuple[str, str]:
    row = result.methods[i]
    return rank_text(row.rank, row.rank_low, row.rank_high), row.group or ""
