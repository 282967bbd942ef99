"""Templates into pages: what all of them know, and how they write numbers, times and prose."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from reseed import __version__
from reseed.reporting.wording import count_text, level_text, rank_text, span_text, value_text
from reseed.service.api.problem import Problem
from reseed.service.security.authorisation import Asker
from reseed.service.security.csrf import FIELD, csrf_token
from reseed.statistics.words import p_words

FOLDER = Path(__file__).parent
STATIC_PATH = "/static"

_PROSE = MarkdownIt("commonmark", {"html": False}).disable("image")


def prose(text: str) -> Markup:
    """Markdown as HTML; markup in it is shown as text, and links lead where they say."""
    return Markup(_PROSE.render(text))  # noqa: S704  (the renderer escapes, and refuses unsafe links)


def instant(value: datetime | None) -> Markup:
    """A moment for people and machines; always UTC, as nobody's time zone is known."""
    if value is None:
        return Markup("–")
    return Markup('<time datetime="{}">{}</time>').format(
        value.isoformat(timespec="seconds"), value.strftime("%-d %B %Y, %H:%M UTC")
    )


def day(value: datetime | None) -> Markup:
    """A moment's day."""
    if value is None:
        return Markup("–")
    return Markup('<time datetime="{}">{}</time>').format(
        value.isoformat(timespec="seconds"), value.strftime("%-d %b %Y")
    )


def size(value: int | None) -> str:
    """Bytes in the unit that fits."""
    if value is None:
        return "unknown"
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= factor:
            return f"{value / factor:.1f} {unit}"
    return f"{value} B"


def percent(value: float | None) -> str:
    """A probability; the ends are not written as if they were certain."""
    if value is None:
        return "–"
    whole = 100 * value
    return "< 1 %" if whole < 1 else "> 99 %" if whole > 99 else f"{whole:.0f} %"


@cache
def environment() -> Environment:
    """The templates of the package."""
    found = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "prose": prose,
        "instant": instant,
        "day": day,
        "size": size,
        "percent": percent,
        "value": value_text,
        "level": level_text,
    }
    found.globals |= {
        "span": span_text,
        "rank": rank_text,
        "count": count_text,
        "p_value": p_words,
        "csrf_field": FIELD,
        "static": STATIC_PATH,
        "version": __version__,
    }
    return found


@dataclass(frozen=True)
class Crumb:
    """A page above this one."""

    name: str
    url: str


def page(
    request: Request,
    template: str,
    asker: Asker,
    *,
    status: int = 200,
    crumbs: tuple[Crumb, ...] = (),
    **words: Any,
) -> HTMLResponse:
    """
    A template as a page.

    Parameters
    ----------
    request
        Of which the application, with its settings, is known.
    template
        Name of the file.
    asker
        Whose name stands above the page, and whose log-in the forms belong to.
    status
        Of the answer.
    crumbs
        The pages above it.
    words
        All that the template needs besides.
    """
    settings = request.app.state.installation.settings
    token = ""
    if asker.login_pk is not None:
        token = csrf_token(str(asker.login_pk), settings.secret_key)
    text = (
        environment()
        .get_template(template)
        .render(
            **{"csrf": token, **words},
            asker=asker,
            user=asker.user,
            crumbs=crumbs,
            path=request.url.path,
            base_url=settings.base_url,
        )
    )
    return HTMLResponse(text, status)


def error_page(request: Request, problem: Problem) -> HTMLResponse:
    """A problem as a page for people."""
    return page(request, "problem.html", Asker(), status=problem.status, problem=problem)
