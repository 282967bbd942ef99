"""One dot per run, with each method's mean and interval: how far retraining moves the score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt

from reseed.reporting.chart_style import (
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

ROW_HEIGHT = 86
LABEL_AT, DOTS_AT, INTERVAL_AT = 14, 44, 72
DOT_AREA, DOT_SPACING = 70, 9.0
LANES = (0.0, -DOT_SPACING, DOT_SPACING, -2 * DOT_SPACING, 2 * DOT_SPACING)


@dataclass(frozen=True)
class ScoreStrip:
    """The runs of one method; mean and interval are None where nothing was compared."""

    method: str
    score_by_run: dict[str, float]
    mean: float | None = None
    low: float | None = None
    high: float | None = None


def distribution_chart(
    strips: list[ScoreStrip], *, label: str, colours: Palette, layout: Layout
) -> dict[str, Any]:
    """
    A strip of dots for each method above the interval of its mean.

    Parameters
    ----------
    strips
        One a method, from top to bottom.
    label
        The metric's name, the title of the axis.
    colours, layout
        What it is drawn with.

    Returns
    -------
    dict
        A Vega-Lite document.
    """
    extent = _extent(strips)
    height = ROW_HEIGHT * len(strips)
    x, y = value_axis(extent, label, layout), row_axis(height)
    dots = plotted(_dots(strips, extent, plot_width(layout))).encode(x=x, y=y, description="said:N")
    means = _means(strips)
    rows = plotted(means)
    bounded = plotted([row for row in means if None not in (row["low"], row["high"])])
    with_mean = plotted([row for row in means if row["value"] is not None])
    chart = alt.layer(
        rows.mark_text(align="left", fontWeight="bold", aria=False, limit=plot_width(layout)).encode(
            x=alt.value(-10), y=row_axis(height, "label_row:Q"), text="method:N"
        ),
        bounded.mark_rule(strokeWidth=3, strokeCap="round", color=colours.ink, aria=False).encode(
            x=alt.X("low:Q"), x2="high:Q", y=y
        ),
        with_mean.mark_point(
            shape="diamond",
            size=110,
            filled=True,
            opacity=1,
            color=colours.ink,
            stroke=colours.paper,
            strokeWidth=1.5,
        ).encode(x=x, y=y, description="said:N"),
        dots.mark_point(
            size=DOT_AREA, filled=True, opacity=1, color=colours.accent, stroke=colours.paper, strokeWidth=1
        ),
    )
    return finished_chart(chart, colours=colours, layout=layout, height=height)


def _extent(strips: list[ScoreStrip]) -> Extent:
    values: list[float | None] = []
    for strip in strips:
        values += [*strip.score_by_run.values(), strip.mean, strip.low, strip.high]
    return Extent.around(values)


def _placed(strips: list[ScoreStrip]) -> list[tuple[int, ScoreStrip]]:
    return [(ROW_HEIGHT * place, strip) for place, strip in enumerate(strips)]


def _means(strips: list[ScoreStrip]) -> list[dict[str, Any]]:
    return [
        {
            "method": strip.method,
            "label_row": at + LABEL_AT,
            "row": at + INTERVAL_AT,
            "value": strip.mean,
            "low": strip.low,
            "high": strip.high,
            "said": f"{strip.method}: mean {value_text(strip.mean)}, {span_text(strip.low, strip.high)}",
        }
        for at, strip in _placed(strips)
    ]


def _dots(strips: list[ScoreStrip], extent: Extent, width: float) -> list[dict[str, Any]]:
    rows = []
    for at, strip in _placed(strips):
        pixels = {run: extent.pixel(score, width) for run, score in strip.score_by_run.items()}
        for run, offset in dodged(pixels).items():
            score = strip.score_by_run[run]
            said = f"{strip.method}, run {run}: {value_text(score)}"
            rows.append({"value": score, "row": at + DOTS_AT + offset, "said": said})
    return rows


def dodged(pixel_by_run: dict[str, float]) -> dict[str, float]:
    """
    Vertical offsets, in pixels, that keep dots from covering one another.

    Dots are placed from left to right; each takes the free lane nearest to the middle. With more
    dots than lanes the last ones do overlap.
    """
    last_in_lane = dict.fromkeys(LANES, float("-inf"))
    offsets = {}
    for run, pixel in sorted(pixel_by_run.items(), key=lambda item: item[1]):
        free = [lane for lane in LANES if pixel - last_in_lane[lane] >= DOT_SPACING]
        lane = free[0] if free else min(LANES, key=last_in_lane.__getitem__)
        last_in_lane[lane] = pixel
        offsets[run] = lane
    return offsets
