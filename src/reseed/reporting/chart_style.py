"""What all charts share: colours, type sizes, and the two widths that a chart is drawn in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt

FONT_SIZE = 13
SMALL_FONT_SIZE = 12
AXIS_HEIGHT = 46
Layers = alt.LayerChart | alt.FacetChart


@dataclass(frozen=True)
class Palette:
    """The colours of a chart, as CSS understands them."""

    ink: str
    muted: str
    line: str
    accent: str
    paper: str


PAGE_COLOURS = Palette(
    ink="var(--ink)", muted="var(--muted)", line="var(--line)", accent="var(--accent)", paper="var(--paper)"
)
"""Colours that a web page sets, so that one drawing serves its light and its dark look."""

LIGHT_COLOURS = Palette(ink="#1c2126", muted="#57606a", line="#d5dae0", accent="#0a5a9c", paper="#ffffff")
"""Colours for a picture outside a page."""


@dataclass(frozen=True)
class Layout:
    """The width of a drawing; in a narrow one labels stand above what they name, not beside it."""

    name: str
    width: int
    is_narrow: bool


WIDE = Layout("wide", width=760, is_narrow=False)
NARROW = Layout("narrow", width=352, is_narrow=True)
LAYOUTS = (WIDE, NARROW)


@dataclass(frozen=True)
class Extent:
    """The range of an axis."""

    low: float
    high: float

    @classmethod
    def around(cls, values: list[float | None], *, margin: float = 0.06) -> Extent:
        """All values with a little room on both sides; a metre of room when they are all the same."""
        known = [value for value in values if value is not None]
        low, high = (min(known), max(known)) if known else (0.0, 1.0)
        room = margin * (high - low) or max(abs(high), 1.0) * 0.01
        return cls(low - room, high + room)

    def pixel(self, value: float, width: float) -> float:
        """Where a value lies on an axis of that many pixels."""
        return (value - self.low) / (self.high - self.low) * width


def value_axis(extent: Extent, title: str, layout: Layout, *, signed: bool = False) -> alt.X:
    """The horizontal axis of a metric, its numbers as papers write them: .90 and +.02."""
    label = "replace(datum.label, regexp('^([−+]?)0[.]'), '$1.')"
    return alt.X(
        "value:Q",
        title=title,
        scale=alt.Scale(domain=[extent.low, extent.high], nice=False, zero=False),
        axis=alt.Axis(
            format="+f" if signed else "f",
            labelExpr=f"datum.value === 0 ? '0' : {label}",
            tickCount=4 if layout.is_narrow else 8,
            aria=False,
        ),
    )


def row_axis(height: float, field: str = "row:Q") -> alt.Y:
    """A vertical position in pixels from the top; has no axis of its own."""
    return alt.Y(field, axis=None, scale=alt.Scale(domain=[0, height], reverse=True, nice=False, zero=False))


def finished_chart(
    chart: alt.LayerChart | alt.FacetChart,
    *,
    colours: Palette,
    layout: Layout,
    height: float,
    left: float = 12,
) -> dict[str, Any]:
    """
    A chart as a Vega-Lite document with a size that does not depend on the fonts of the machine.

    Parameters
    ----------
    chart
        The layers.
    colours, layout
        What it is drawn with.
    height
        Of the plot without its axis, in pixels.
    left
        Room for labels left of the plot, in pixels.
    """
    sized = chart.properties(
        width=plot_width(layout, left),
        height=height,
        autosize=alt.AutoSizeParams(type="none"),
        padding={"left": left, "right": 12, "top": 4, "bottom": AXIS_HEIGHT},
    )
    styled = (
        sized.configure(background="transparent", font="sans-serif")
        .configure_view(stroke=None)
        .configure_text(fontSize=FONT_SIZE, color=colours.ink)
        .configure_axis(
            labelColor=colours.muted,
            titleColor=colours.muted,
            labelFontSize=SMALL_FONT_SIZE,
            titleFontSize=SMALL_FONT_SIZE,
            titleFontWeight="normal",
            titlePadding=8,
            gridColor=colours.line,
            domainColor=colours.line,
            tickColor=colours.line,
        )
    )
    document: dict[str, Any] = styled.to_dict()
    return document


def plotted(rows: list[dict[str, Any]]) -> alt.Chart:
    """A layer over rows that travel inside the document."""
    return alt.Chart({"values": rows})


def plot_width(layout: Layout, left: float = 12) -> float:
    """The pixels between the two ends of the horizontal axis."""
    return layout.width - left - 12
