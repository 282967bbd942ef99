"""The answer of a study in plain words; no line says more than its scope allows."""

from __future__ import annotations

from dataclasses import dataclass

from reseed.reporting.comparisons import MetricComparison, PairResult, ScopeResult
from reseed.reporting.wording import METRIC_MEANINGS, level_text, p_text, span_text, value_text
from reseed.statistics.settings import Scope

PAIRS_IN_FULL = 3


@dataclass(frozen=True)
class AnswerLine:
    """One conclusion with its numbers."""

    scope_words: str
    conclusion: str
    numbers: str
    different: bool


@dataclass(frozen=True)
class PairAnswer:
    """What is known of one pair: the widest claim first, and what single runs would have said."""

    name: str
    lines: tuple[AnswerLine, ...]
    single_runs: str | None


@dataclass(frozen=True)
class MetricAnswer:
    """The answer by one metric."""

    name: str
    label: str
    meaning: str | None
    pairs: tuple[PairAnswer, ...]
    plain: tuple[str, ...]
    others: str | None


def metric_answer(metric: MetricComparison) -> MetricAnswer:
    """
    The conclusions of one metric.

    With more than a few pairs only the widest scope is told of each; the table has the rest.
    Without a comparison the summary says why.
    """
    pairs = list(metric.pairs())
    in_full = len(pairs) <= PAIRS_IN_FULL
    return MetricAnswer(
        name=metric.metric,
        label=metric.label,
        meaning=METRIC_MEANINGS.get(metric.metric),
        pairs=tuple(_pair_answer(pair if in_full else pair[:1], in_full=in_full) for pair in pairs),
        plain=() if pairs else metric.summary,
        others=None if in_full or len(metric.results) < 2 else _other_scopes(metric.results[1:]),
    )


def _pair_answer(pair: tuple[tuple[ScopeResult, PairResult], ...], *, in_full: bool) -> PairAnswer:
    first_scope, first = pair[0]
    return PairAnswer(
        name=first.name,
        lines=tuple(
            AnswerLine(result.scope_words, found.conclusion, numbers_text(result, found), found.different)
            for result, found in pair
        ),
        single_runs=_single_runs(first) if in_full and first_scope.scope is Scope.POPULATION else None,
    )


def numbers_text(result: ScopeResult, pair: PairResult) -> str:
    """Difference, interval and p value of a pair in one line."""
    difference = value_text(pair.difference, signed=True)
    span = span_text(pair.low, pair.high, signed=True)
    p_value = p_text(pair.p_adjusted)
    if result.p_is_adjusted:
        p_value = p_value.replace("p ", "adjusted p ", 1)
    interval = f"{level_text(result.confidence_level)} interval {span}"
    return f"{pair.name} = {difference}, {interval}, {p_value}"


def _other_scopes(results: tuple[ScopeResult, ...]) -> str:
    parts = [
        f"{result.claim}, {sum(pair.different for pair in result.pairs)} of the {len(result.pairs)} pairs "
        "can be told apart"
        for result in results
    ]
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}. Section 2 has every pair."


def _single_runs(pair: PairResult) -> str | None:
    """What papers with one run of each method would have claimed; None with one run each."""
    claims = pair.single_runs
    if claims is None or claims.pairs_between <= 1:
        return None
    text = (
        "Had each method been trained only once, the usual paired test on new patients would have depended "
        f"on which run that was: {claims.claims_between} of the {claims.pairs_between} pairs of single runs "
        "claim a difference"
    )
    if not claims.pairs_within:
        return f"{text}."
    expected = claims.level * claims.pairs_within
    return (
        f"{text}, and so do {claims.claims_within} of the {claims.pairs_within} pairs of two retrainings of "
        f"the same method, where there is no difference to find ({100 * claims.level:g} % would be "
        f"{expected:.1f})."
    )
