"""The charts of a report, drawn for the page in both widths, each with its words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from reseed.reporting.chart_style import LAYOUTS, PAGE_COLOURS, Layout
from reseed.reporting.chart_svg import inline_svg
from reseed.reporting.comparisons import MetricComparison, PairResult, ScopeResult
from reseed.reporting.difference_chart import PairIntervals, ScopeInterval, difference_chart
from reseed.reporting.distribution_chart import ScoreStrip, distribution_chart
from reseed.reporting.study_records import RunKey
from reseed.reporting.wording import span_text, value_text


@dataclass(frozen=True)
class Drawing:
    """One chart as it stands in the page, drawn once for each width."""

    svg_by_layout: tuple[tuple[str, Markup], ...]


def distribution_drawing(
    metric: MetricComparison, scores: dict[RunKey, float | None], *, name: str
) -> Drawing | None:
    """The scores of all runs; None when no run has one."""
    strips = _strips(metric, scores)
    if not any(strip.score_by_run for strip in strips):
        return None
    said = [
        f"{strip.method}: {len(strip.score_by_run)} runs from "
        f"{span_text(min(strip.score_by_run.values()), max(strip.score_by_run.values()))}"
        for strip in strips
        if strip.score_by_run
    ]
    return _drawing(
        lambda layout: distribution_chart(strips, label=metric.label, colours=PAGE_COLOURS, layout=layout),
        name=name,
        alternative=f"{metric.label} of every run. {'; '.join(said)}. The table below has the numbers.",
    )


def _strips(metric: MetricComparison, scores: dict[RunKey, float | None]) -> list[ScoreStrip]:
    methods = {row.method: row for row in metric.results[0].methods} if metric.results else {}
    names = methods or dict.fromkeys(method for method, _ in scores)
    strips = []
    for name in names:
        runs = {run: score for (method, run), score in scores.items() if method == name and score is not None}
        row = methods.get(name)
        low, high, mean = (row.low, row.high, row.mean) if row else (None, None, None)
        strips.append(ScoreStrip(name, runs, mean, low, high))
    return strips


def difference_drawing(metric: MetricComparison, *, name: str) -> Drawing | None:
    """All pairs under all scopes; None when nothing was compared."""
    pairs = [
        PairIntervals(pair[0][1].name, tuple(_interval(*scoped) for scoped in pair if _is_known(scoped[1])))
        for pair in metric.pairs()
    ]
    pairs = [pair for pair in pairs if pair.intervals]
    if not pairs:
        return None
    said = [
        f"{pair.name}, {line.scope_words}: {value_text(line.difference, signed=True)}, "
        f"{span_text(line.low, line.high, signed=True)}"
        for pair in pairs
        for line in pair.intervals
    ]
    first = metric.results[0]
    return _drawing(
        lambda layout: difference_chart(
            pairs,
            label=f"difference in {metric.label}",
            sides=_sides(first),
            colours=PAGE_COLOURS,
            layout=layout,
        ),
        name=name,
        alternative=f"Differences in {metric.label} with their intervals. {'; '.join(said)}.",
    )


def _interval(result: ScopeResult, pair: PairResult) -> ScopeInterval:
    return ScopeInterval(
        scope_words=result.scope_words,
        difference=pair.difference or 0.0,
        low=pair.low,
        high=pair.high,
        different=pair.different,
    )


def _is_known(pair: PairResult) -> bool:
    return pair.difference is not None


def _sides(result: ScopeResult) -> tuple[str, str]:
    """What left and right of zero mean, in names where all pairs share them."""
    methods = list(dict.fromkeys(pair.method for pair in result.pairs))
    baselines = list(dict.fromkeys(pair.baseline for pair in result.pairs))
    right = methods[0] if len(methods) == 1 else "the other" if len(baselines) == 1 else "the first"
    left = baselines[0] if len(baselines) == 1 else "the second"
    sides = (f"{left} better", f"{right} better")
    return sides if result.metric.higher_is_better else (sides[1], sides[0])


def _drawing(chart: Callable[[Layout], dict[str, Any]], *, name: str, alternative: str) -> Drawing:
    return Drawing(
        tuple(
            (
                layout.name,
                Markup(inline_svg(chart(layout), name=f"{name}-{layout.name}", alternative=alternative)),  # noqa: S704  (an element we serialised: its text is escaped)
            )
            for layout in LAYOUTS
        )
    )
