"""Vega-Lite documents as SVG that can stand inside a page: no request, no script, no clashing names."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import vl_convert

_NAMESPACES = re.compile(r' xmlns(:\w+)?="[^"]*"')
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_DROPPED = ("role", "aria-label", "aria-roledescription", "aria-hidden", "pointer-events", "class")


def inline_svg(chart: dict[str, Any], *, name: str, alternative: str) -> str:
    """
    Draw a chart for use inside an HTML page.

    Parameters
    ----------
    chart
        A Vega-Lite document that holds its data.
    name
        Unique in the page; every id in the drawing begins with it.
    alternative
        The chart in words, for those who do not see it.

    Returns
    -------
    str
        An `svg` element; marks that have a description show it where the pointer rests.
    """
    text = vl_convert.vegalite_to_svg(chart, allowed_base_urls=[])
    svg = ET.fromstring(_NAMESPACES.sub("", text))  # noqa: S314  (our own drawing)
    _name_parts(svg, name)
    for element in svg.iter():
        _describe(element)
    svg.attrib.pop("version", None)
    svg.set("class", "chart")
    svg.set("role", "img")
    svg.set("aria-label", alternative)
    return ET.tostring(svg, encoding="unicode")


def _name_parts(svg: ET.Element, name: str) -> None:
    """Number ids from 1 in this drawing: the renderer counts through all that it has ever drawn."""
    named = [element for element in svg.iter() if "id" in element.attrib]
    new = {element.attrib["id"]: f"{name}-{place}" for place, element in enumerate(named, start=1)}
    for element in svg.iter():
        for key, value in list(element.attrib.items()):
            if key == "id":
                element.set(key, new[value])
            elif key.endswith("href"):
                element.set(key, f"#{new[value.removeprefix('#')]}")
            else:
                element.set(key, _REFERENCE.sub(lambda found: f"url(#{new[found.group(1)]})", value))


def _describe(element: ET.Element) -> None:
    """A mark's description becomes its title, which browsers show; the renderer's own ARIA goes."""
    description = element.attrib.get("aria-label") if element.tag == "path" else None
    for key in _DROPPED:
        element.attrib.pop(key, None)
    if description:
        title = ET.SubElement(element, "title")
        title.text = description
