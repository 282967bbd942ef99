"""
Results as plain sentences, the scope in every line and no line claiming more than its scope allows.

Used by the command line, the report and the end of a study.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reseed.statistics.design import cases_needed, runs_needed
from reseed.statistics.settings import Scope

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from reseed.statistics.design import ErrorTerms
    from reseed.statistics.metric import Metric
    from reseed.statistics.result import Comparison

APART = "cannot be told apart"
TARGET_POWER = 0.8


def number(value: float, *, signed: bool = False) -> str:
    """A metric value as papers write it: .915 and +.004; larger values with four significant digits."""
    if np.isnan(value):
        return "unknown"
    if np.isinf(value):
        return "any value" if value > 0 else "any value below"
    size = abs(value)
    text = f"{size:.3f}" if size < 10 else f"{size:.4g}"
    text = text.removeprefix("0") if text.startswith("0.") else text
    sign = "−" if value < 0 else "+" if signed else ""
    return f"{sign}{text}"


def p_words(p_value: float) -> str:
    """A p value as papers write it."""
    if np.isnan(p_value):
        return "p unknown"
    if p_value < 0.001:
        return "p < .001"
    return (
        f"p {p_value:.3f}".replace("0.", ".", 1)
        if p_value < 0.1
        else f"p {p_value:.2f}".replace("0.", ".", 1)
    )


def conclusion(
    names: tuple[str, str],
    difference: float,
    p_adjusted: float,
    *,
    level: float,
    higher_is_better: bool,
    scope: Scope,
) -> str:
    """What one pair's test allows to say under its scope, as one sentence."""
    method, baseline = names
    if not p_adjusted <= level:
        return f"{_opening(scope)}, {method} and {baseline} {APART}."
    winner, loser = names if (difference > 0) == higher_is_better else (baseline, method)
    return f"{_opening(scope)}, {winner} is better than {loser}."


def _opening(scope: Scope) -> str:
    return scope.claim[0].upper() + scope.claim[1:]


def margin_sentence(
    names: tuple[str, str], margin: Mapping[str, float], *, level: float, scope: Scope
) -> str:
    """What the margin allows to say under the scope."""
    method, baseline = names
    size = number(margin["margin"])
    if margin["p_equivalent"] <= level:
        return f"{_opening(scope)}, {method} and {baseline} are equivalent within {size}."
    if margin["p_noninferior"] <= level:
        return f"{_opening(scope)}, {method} is not worse than {baseline} by {size} or more."
    text = f"{_opening(scope)}, neither equivalence nor non-inferiority within {size} "
    return text + f"is shown for {method}, {baseline}."


def run_sd_sentence(found: Mapping[str, float]) -> str:
    """The difference of trained models widened by an SD over retrainings known from elsewhere."""
    low, high = number(found["low"], signed=True), number(found["high"], signed=True)
    return (
        f"If both were retrained with the SD over retrainings given, and shown new patients: "
        f"{low} to {high}, {p_words(found['p_value'])}."
    )


def extra_sentences(result: Comparison, index: int) -> list[str]:
    """What a margin, or an SD over retrainings, that was given adds to a pair."""
    pair, found = result.pairs.iloc[index], result.detail(index, "margin_")
    sentences = []
    if found is not None:
        names = (str(pair["method"]), str(pair["baseline"]))
        sentences.append(
            margin_sentence(names, found, level=result.settings.level, scope=Scope(result.scope))
        )
    found = result.detail(index, "with_run_sd_")
    if found is not None:
        sentences.append(run_sd_sentence(found))
    return sentences


def method_sentence(row: Mapping[str, Any], metric: Metric, scope: Scope) -> str:
    """One method's mean, its spread over retrainings, and its interval under the scope."""
    of_scope = {
        Scope.POPULATION: "if retrained and shown new patients",
        Scope.TEST_SET: "if retrained and shown these patients",
        Scope.TRAINED_MODELS: "if these trained models are shown new patients",
    }[scope]
    spread = "" if np.isnan(row["sd"]) else f"SD over retrainings {number(row['sd'])}, "
    runs = "1 run" if row["n_runs"] == 1 else f"{row['n_runs']} runs"
    return (
        f"{row['method']}: {metric.label} {number(row['mean'])} ({runs}), {spread}"
        f"{number(row['low'])} to {number(row['high'])} {of_scope}."
    )


def false_claim_sentence(method: str, rate: float) -> str:
    """How often a single-run paired test would claim a difference where there is none."""
    return (
        f"A single-run paired test would claim a difference between two retrainings of {method} "
        f"about {_percent(rate)} of the time (should be 5 %)."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share < 0.1 else f"{100 * share:.0f} %"


def component_sentence(name: str, estimate: float, share: float) -> str:
    """One variance component in words."""
    if np.isnan(estimate):
        return f"{name}: unknown, it takes two or more runs of a method."
    if estimate < 0:
        return f"{name}: estimated below 0, that is at most 0."
    return f"{name}: SD {number(float(np.sqrt(estimate)))}, {_percent(share)} of the variance."


def power_sentence(
    terms: ErrorTerms,
    difference: float,
    runs: int,
    unit: str,
    *,
    target: float = TARGET_POWER,
    level: float = 0.05,
) -> str:
    """Runs, or cases, that it takes to see a true difference with the power wanted."""
    opening = f"To see a true difference of {number(abs(difference))} with {100 * target:.0f} % power:"
    needed = runs_needed(terms, difference, power=target, level=level)
    if needed is not None:
        return f"{opening} {needed} runs a method would do with these {unit}."
    refusal = f"{opening} no number of runs is enough with these {unit};"
    for more in (runs, 2 * runs, 5 * runs, 10 * runs):
        cases = cases_needed(terms, difference, max(more, 2), power=target, level=level)
        if cases is not None:
            with_runs = "" if more == runs else f" with {more} runs a method"
            return f"{refusal} about {_rounded(cases)} would do{with_runs}."
    return f"{refusal} nor is any number of {unit} with {10 * runs} runs a method."


def seen_difference(result: Comparison) -> float:
    """The true difference that power is stated for: .01, or for values beyond 1 a twentieth of their mean."""
    mean = float(result.methods["mean"].abs().mean())
    if mean <= 1:
        return 0.01
    return float(f"{mean / 20:.1g}")


def _rounded(count: int) -> int:
    step = 10 ** max(len(str(count)) - 2, 0)
    return int(-(-count // step) * step)


def summary_lines(
    comparisons: Mapping[str, Comparison], *, difference: float | None = None, case_noun: str = "cases"
) -> list[str]:
    """
    The terminal summary of one metric: methods, then each pair under every scope given.

    Parameters
    ----------
    comparisons
        Results of one table and metric by scope ("population", "test_set", "trained_models"), any of them.
    difference
        The true difference that the last line is about, by default `seen_difference`.
    case_noun
        What a case is called, in the plural.

    Returns
    -------
    list of str
        Lines without markup. Every line about a pair names its scope.
    """
    first = next(comparisons[scope.value] for scope in Scope if scope.value in comparisons)
    lines = [_headline(first, case_noun), *_method_lines(first)]
    for index in range(len(first.pairs)):
        lines += ["", *_pair_lines(comparisons, index, difference, case_noun)]
    cautions = dict.fromkeys(warning for result in comparisons.values() for warning in result.warnings)
    return lines + ([""] if cautions else []) + [f"note: {warning}" for warning in cautions]


def _headline(result: Comparison, case_noun: str) -> str:
    counts = sorted(set(result.methods["n_runs"].tolist()))
    runs = f"{counts[0]} to {counts[-1]} runs a method" if len(counts) > 1 else f"{counts[0]} runs a method"
    runs = "1 run a method" if counts == [1] else runs
    cases = f"{result.n_cases} {case_noun}"
    of = f" of {result.n_patients} patients" if result.n_patients is not None else ""
    return f"{result.metric.label}, {runs}, {cases}{of}"


def _method_lines(result: Comparison) -> list[str]:
    rows = result.methods.to_dict(orient="records")
    rows.sort(key=lambda row: row["mean"], reverse=result.metric.higher_is_better)
    width = max(len(str(row["method"])) for row in rows)
    lines = []
    endings = {
        "population": "if retrained and shown new patients",
        "test_set": "if retrained and shown these patients",
        "trained_models": "if these trained models are shown new patients",
    }
    for i, row in enumerate(rows):
        spread = "" if np.isnan(row["sd"]) else f"   SD over retrainings {number(row['sd'])}"
        ending = f" {endings[result.scope]}" if i == 0 else ""
        lines.append(
            f"  {row['method']:<{width}}   {number(row['mean'])}{spread}   "
            f"{number(row['low'])} to {number(row['high'])}{ending}"
        )
    return lines


def _pair_lines(
    comparisons: Mapping[str, Comparison], index: int, difference: float | None, case_noun: str
) -> list[str]:
    ordered = [comparisons[scope.value] for scope in Scope if scope.value in comparisons]
    pair = ordered[0].pairs.iloc[index]
    flip = pair["difference"] < 0 and all(result.settings.alternative == "two-sided" for result in ordered)
    names = (pair["baseline"], pair["method"]) if flip else (pair["method"], pair["baseline"])
    sign = -1.0 if flip else 1.0
    lines = [f"{names[0]} − {names[1]} = {number(sign * pair['difference'], signed=True)}"]
    for result in ordered:
        lines.append(_scope_line(result, index, flip=bool(flip)))
    for result in ordered:
        lines += [f"  {sentence}" for sentence in extra_sentences(result, index)]
    lines += _single_runs_line(ordered[0], index)
    terms = ordered[0].error_terms[index]
    if terms is not None:
        runs = int(min(pair["n_runs_method"], pair["n_runs_baseline"]))
        unit = "patients" if ordered[0].n_patients is not None else case_noun
        seen = seen_difference(ordered[0]) if difference is None else difference
        lines.append(power_sentence(terms, seen, runs, unit))
    return lines


def _scope_line(result: Comparison, index: int, *, flip: bool) -> str:
    row = result.pairs.iloc[index]
    low, high = (-row["high"], -row["low"]) if flip else (row["low"], row["high"])
    label = "p adjusted" if len(result.pairs) > 1 and result.settings.adjust != "none" else "p"
    p_value = p_words(float(row["p_adjusted"])).replace("p ", f"{label} ", 1)
    scope = Scope(result.scope)
    said = APART
    if row["p_adjusted"] <= result.settings.level:
        winner = (
            row["method"] if (row["difference"] > 0) == result.metric.higher_is_better else row["baseline"]
        )
        said = f"{winner} is better"
    span = f"{_limit(low, 'low')} to {_limit(high, 'high')}"
    if np.isinf(low) and np.isinf(high):
        span = "no interval, too few runs"
    return f"  {scope.words:<28}  {span}   {p_value}   {said}"


def _limit(value: float, side: str) -> str:
    if np.isinf(value):
        return "no lower limit" if side == "low" else "no upper limit"
    return number(value, signed=True)


def _single_runs_line(result: Comparison, index: int) -> list[str]:
    found = result.detail(index, "single_")
    if found is None or found["pairs_between"] <= 1:
        return []
    lines = [
        f"  one run of each, new patients: depends on which: {found['claims_between']} of the "
        f"{found['pairs_between']} pairs of single runs claim a difference at .05"
    ]
    within = found["pairs_within"]
    if within:
        lines[0] += ","
        lines.append(
            f"    and so do {found['claims_within']} of the {within} pairs of two retrainings of the same "
            f"method (should be 5 %: {0.05 * within:.1f})"
        )
    return lines
