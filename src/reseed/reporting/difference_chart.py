"""A forest plot: each pair's difference with its interval, one line a scope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import altair as alt

from reseed.reporting.chart_style import (
    FONT_SIZE,
    SMALL_FONT_SIZE,
    Extent,
    Layout,
    Palette,
    finished_chart,
    plot_width,
    plotted,
    row_axis,
    value_axis,
)
from reseed.reporting.wording import span_text, value_text

SIDE_HEIGHT = 30
HEADING_HEIGHT = 28
LINE_HEIGHT = {False: 28, True: 42}
LABEL_WIDTH = 190
GAP = 10


@dataclass(frozen=True)
class ScopeInterval:
    """A difference under one scope; an end that is None has no limit."""

    scope_words: str
    difference: float
    low: float | None
    high: float | None
    different: bool


@dataclass(frozen=True)
class PairIntervals:
    """One pair under all scopes."""

    name: str
    intervals: tuple[ScopeInterval, ...]


def difference_chart(
    pairs: list[PairIntervals],
    *,
    label: str,
    sides: tuple[str, str],
    colours: Palette,
    layout: Layout,
) -> dict[str, Any]:
    """
    Intervals of differences around the line of no difference.

    A filled mark is a difference that can be told from none; an open one cannot.

    Parameters
    ----------
    pairs
        From top to bottom.
    label
        The title of the axis.
    sides
        What a difference to the left and to the right of zero means.
    colours, layout
        What it is drawn with.

    Returns
    -------
    dict
        A Vega-Lite document.
    """
    left = 12 if layout.is_narrow else LABEL_WIDTH
    width = plot_width(layout, left)
    extent = _extent(pairs)
    headings, lines, height = _rows(pairs, extent, layout)
    x, y = value_axis(extent, label, layout, signed=True), row_axis(height)
    marks = plotted(lines)
    chart = alt.layer(
        _zero(colours, x),
        _side(f"◂ {sides[0]}", "left", 0.0, width, colours, y),
        _side(f"{sides[1]} ▸", "right", width, width, colours, y),
        _headings(headings, layout, left, y),
        marks.mark_text(align="left", aria=False).encode(
            x=_left_edge(layout, left), y=row_axis(height, "label_row:Q"), text="scope:N"
        ),
        marks.mark_rule(strokeWidth=2.5, strokeCap="round", aria=False).encode(
            x=alt.X("low:Q"), x2="high:Q", y=y, color=_by_verdict(colours.accent, colours.muted)
        ),
        marks.mark_point(size=95, filled=True, opacity=1, strokeWidth=2.5).encode(
            x=x,
            y=y,
            fill=_by_verdict(colours.accent, colours.paper),
            stroke=_by_verdict(colours.accent, colours.muted),
            description="said:N",
        ),
    )
    return finished_chart(chart, colours=colours, layout=layout, height=height, left=left)


def _by_verdict(different: str, apart: str) -> Any:
    return alt.condition("datum.different", alt.value(different), alt.value(apart))


def _zero(colours: Palette, x: alt.X) -> alt.Chart:
    zero = plotted([{"value": 0}])
    layer: alt.Chart = zero.mark_rule(color=colours.muted, strokeWidth=1.5, aria=False).encode(x=x)
    return layer


def _side(
    text: str, align: Literal["left", "right"], at: float, width: float, colours: Palette, y: alt.Y
) -> alt.Chart:
    layer: alt.Chart = (
        plotted([{"row": 10, "text": text}])
        .mark_text(
            align=align, color=colours.muted, fontSize=SMALL_FONT_SIZE, limit=width / 2 - 8, aria=False
        )
        .encode(x=alt.value(at), y=y, text="text:N")
    )
    return layer


def _headings(headings: list[dict[str, Any]], layout: Layout, left: float, y: alt.Y) -> alt.Chart:
    layer: alt.Chart = (
        plotted(headings)
        .mark_text(align="left", fontWeight="bold", fontSize=FONT_SIZE, limit=layout.width - 24, aria=False)
        .encode(x=_left_edge(layout, left), y=y, text="name:N")
    )
    return layer


def _left_edge(layout: Layout, left: float) -> Any:
    return alt.value(-10 if layout.is_narrow else -left)


def _extent(pairs: list[PairIntervals]) -> Extent:
    values: list[float | None] = [0.0]
    for pair in pairs:
        for interval in pair.intervals:
            values += [interval.difference, interval.low, interval.high]
    return Extent.around(values)


def _rows(
    pairs: list[PairIntervals], extent: Extent, layout: Layout
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], float]:
    """Headings and lines with their place from the top, and the height of all."""
    headings: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    at = float(SIDE_HEIGHT)
    step = LINE_HEIGHT[layout.is_narrow]
    for pair in pairs:
        headings.append({"row": at + 10, "name": pair.name})
        at += HEADING_HEIGHT
        for interval in pair.intervals:
            lines.append(_line(pair, interval, extent, at, layout))
            at += step
        at += GAP
    return headings, lines, at


def _line(
    pair: PairIntervals, interval: ScopeInterval, extent: Extent, at: float, layout: Layout
) -> dict[str, Any]:
    difference = value_text(interval.difference, signed=True)
    span = span_text(interval.low, interval.high, signed=True)
    return {
        "scope": interval.scope_words,
        "label_row": at + (8 if layout.is_narrow else 10),
        "row": at + (26 if layout.is_narrow else 10),
        "value": interval.difference,
        "low": extent.low if interval.low is None else interval.low,
        "high": extent.high if interval.high is None else interval.high,
        "different": interval.different,
        "said": f"{pair.name}, {interval.scope_words}: {difference}, {span}",
    }
