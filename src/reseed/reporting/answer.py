"""The answer of a study in plain words; no line says more than its scope allows."""

from __future__ import annotations

from dataclasses import dataclass

from reseed.reporting.comparisons import MetricComparison, PairResult, ScopeResult
from reseed.reporting.wording import METRIC_MEANINGS, level_text, p_text, span_text, value_text
from reseed.statistics.settings import Scope
from reseed.statistics.words import APART


@dataclass(frozen=True)
class AnswerLine:
    """One conclusion with its numbers; `brief` says the same pair's other scopes, each in a line."""

    scope_words: str
    conclusion: str
    numbers: str
    different: bool
    brief: tuple[str, ...] = ()


@dataclass(frozen=True)
class MetricAnswer:
    """The answer by one metric; `plain` says why there is none."""

    label: str
    meaning: str | None
    lines: tuple[AnswerLine, ...]
    is_one_pair: bool
    single_runs: str | None
    plain: tuple[str, ...]


def metric_answer(metric: MetricComparison) -> MetricAnswer:
    """
    The conclusions of one metric, the widest claim first.

    One pair of methods has a conclusion for each scope. Several pairs have one each, under the
    widest scope, and a brief line for each of the others.
    """
    pairs = list(metric.pairs())
    one = len(pairs) == 1
    lines = [_line(*scoped) for scoped in pairs[0]] if one else [_line_with_rest(pair) for pair in pairs]
    return MetricAnswer(
        label=metric.label,
        meaning=METRIC_MEANINGS.get(metric.metric),
        lines=tuple(lines),
        is_one_pair=one,
        single_runs=single_run_sentence(*pairs[0][0]) if one else None,
        # of a designed study the summary is a table, which section 3 shows, and a last sentence
        plain=() if pairs else metric.summary[-1:] if metric.variation else metric.summary,
    )


def _line(result: ScopeResult, pair: PairResult, brief: tuple[str, ...] = ()) -> AnswerLine:
    return AnswerLine(
        result.scope_words, pair.conclusion, f"{pair.name} = {_numbers(result, pair)}", pair.different, brief
    )


def _line_with_rest(pair: tuple[tuple[ScopeResult, PairResult], ...]) -> AnswerLine:
    (result, first), *rest = pair
    brief = tuple(f"{other.scope_words}: {_verdict(found)}, {_p(other, found)}" for other, found in rest)
    return _line(result, first, brief)


def _verdict(pair: PairResult) -> str:
    return f"{pair.better} is better" if pair.different else APART


def _numbers(result: ScopeResult, pair: PairResult) -> str:
    span = span_text(pair.low, pair.high, signed=True)
    interval = f"{level_text(result.confidence_level)} interval {span}"
    return f"{value_text(pair.difference, signed=True)}, {interval}, {_p(result, pair)}"


def _p(result: ScopeResult, pair: PairResult) -> str:
    text = p_text(pair.p_adjusted)
    return text.replace("p ", "adjusted p ", 1) if result.p_is_adjusted else text


def single_run_sentence(result: ScopeResult, pair: PairResult) -> str | None:
    """What papers with one run of each method would have claimed; None where runs do not tell."""
    claims = pair.single_runs
    if result.scope is not Scope.POPULATION or claims is None or claims.pairs_between <= 1:
        return None
    text = (
        "Had each method been trained only once, the usual paired test on new patients would have depended "
        f"on which run that was: {claims.claims_between} of the {claims.pairs_between} pairs of single runs "
        f"claim a difference between {pair.method} and {pair.baseline}"
    )
    if not claims.pairs_within:
        return f"{text}."
    expected = claims.level * claims.pairs_within
    return (
        f"{text}, and so do {claims.claims_within} of the {claims.pairs_within} pairs of two retrainings of "
        f"the same method, where there is no difference to find ({100 * claims.level:g} % would be "
        f"{expected:.1f})."
    )
