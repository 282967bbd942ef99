"""Charts of a calibration study: claims observed against the nominal level, and power curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SHOWN = {
    "single_runs": "one run of each (convention)",
    "averaged_runs": "trained models, runs averaged",
    "permutation": "test set (permutation)",
    "welch": "population (default)",
}
_COLOURS = ["#b2182b", "#ef8a62", "#67a9cf", "#2166ac"]
_NO_DIFFERENCE = 0.0


def write_calibration_chart(document: Mapping[str, Any], folder: Path) -> list[Path]:
    """
    Draw the charts of a calibration document as SVG and PNG.

    Parameters
    ----------
    document
        As `reseed.statistics.calibration.findings_document` returns it.
    folder
        Where calibration.svg and .png go, and power.svg and .png when the study had true differences.

    Returns
    -------
    list of Path
        The files written.
    """
    charts = {"calibration": level_chart(document), "power": power_chart(document)}
    written = []
    for name, chart in charts.items():
        if chart is None:
            continue
        for suffix in ("svg", "png"):
            path = folder / f"{name}.{suffix}"
            chart.save(str(path))
            written.append(path)
    return written


def level_chart(document: Mapping[str, Any]) -> alt.FacetChart | None:
    """Observed against nominal level, one line a cell, a panel for each null; None without null cells."""
    rows = [
        {
            "null": record["null"],
            "cell": f"{record['name']} {record['metric']} {record['run_counts']}",
            "procedure": SHOWN[record["procedure"]],
            "level": point["level"],
            "observed": max(point["share"], 1e-4),
        }
        for record in document["cells"]
        if record["procedure"] in SHOWN and record["difference"] == _NO_DIFFERENCE
        for point in record["rejected"]
        if point["level"] <= 0.5
    ]
    if not rows:
        return None
    axis = alt.Scale(type="log", domain=[0.001, 1])
    lines = (
        alt.Chart()
        .mark_line(opacity=0.45, clip=True)
        .encode(
            x=alt.X("level:Q", title="nominal level", scale=axis),
            y=alt.Y("observed:Q", title="share of studies that claim a difference", scale=axis),
            color=alt.Color(
                "procedure:N", title=None, scale=alt.Scale(domain=list(SHOWN.values()), range=_COLOURS)
            ),
            detail="cell:N",
        )
    )
    honest = alt.Chart().mark_line(color="black", strokeDash=[4, 3]).encode(x="level:Q", y="level:Q")
    panel = alt.layer(lines, honest, data=alt.InlineData(values=rows)).properties(width=300, height=300)
    title = "There is no difference; what is true:"
    chart: alt.FacetChart = panel.facet(column=alt.Column("null:N", title=title))
    legended: alt.FacetChart = chart.configure_legend(orient="bottom", columns=2, labelLimit=300)
    return legended
    return chart


def power_chart(document: Mapping[str, Any]) -> alt.FacetChart | None:
    """Share of studies that see a true difference, against its size; None without such cells."""
    rows = [
        {
            "panel": f"{record['name'].split(' ')[0]}, {record['run_counts'][0]} runs, {record['null']}",
            "procedure": SHOWN[record["procedure"]],
            "difference": record["difference"],
            "power": point["share"],
        }
        for record in document["cells"]
        if record["procedure"] in SHOWN and record["difference"] != _NO_DIFFERENCE
        for point in record["rejected"]
        if point["level"] == 0.05
    ]
    if not rows:
        return None
    colour = alt.Scale(domain=list(SHOWN.values()), range=_COLOURS)
    panel = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_line(point=True)
        .encode(
            x=alt.X("difference:Q", title="true difference in AUROC"),
            y=alt.Y("power:Q", title="share that claims it", scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("procedure:N", title=None, scale=colour),
        )
        .properties(width=180, height=140)
    )
    chart: alt.FacetChart = panel.facet(facet=alt.Facet("panel:N", title=None), columns=4)
    legended: alt.FacetChart = chart.configure_legend(orient="bottom", columns=2, labelLimit=300)
    return legended
