"""The page of a leaderboard: one scope at a time, its table, its chart, its matrix."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from markupsafe import Markup

from reseed.reporting.chart_style import LAYOUTS, PAGE_COLOURS
from reseed.reporting.chart_svg import inline_svg
from reseed.reporting.distribution_chart import ScoreStrip, distribution_chart
from reseed.reporting.drawings import Drawing
from reseed.reporting.wording import INTERVAL_ENDINGS, SCOPE_MEANINGS, name_of_test, span_text, value_text
from reseed.scoring.measures import measure_of
from reseed.service.api.asking import AskerHere, InstallationHere
from reseed.service.api.found import found_phase
from reseed.service.api.leaderboard import is_released, leaderboards_of, require_leaderboard
from reseed.service.api.text import SlugInPath
from reseed.service.domain.leaderboard import Leaderboard, ScopeBoard
from reseed.service.leaderboards import BeingMade, PhaseBoard
from reseed.service.pages.places import phase_crumbs, phase_url
from reseed.service.pages.rendering import environment, page
from reseed.statistics import Scope

router = APIRouter()

DRAWN_UP_TO = 12
"""The first so many have a row in the chart."""


@router.get("/challenges/{slug}/phases/{phase}/leaderboard/")
def leaderboard(
    request: Request,
    slug: SlugInPath,
    phase: SlugInPath,
    installation: InstallationHere,
    asker: AskerHere,
    scope: Annotated[Scope | None, Query()] = None,
    metric: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """The leaderboard of a phase; before its release its organisers see it."""
    with installation.database.read() as session:
        found = found_phase(session, asker, slug, phase)
        require_leaderboard(session, asker, found)
        try:
            known = leaderboards_of(request).board(session, found, metric)
        except BeingMade:
            known = None
    board = None if known is None else known.board
    chosen = _shown_scope(board, scope)
    return page(
        request,
        "leaderboard.html",
        asker,
        crumbs=phase_crumbs(found),
        phase=found,
        is_released=is_released(found),
        is_current=known is not None and known.is_current,
        board=board,
        metrics=[] if known is None else [(key, _title(key)) for key in known.metrics],
        metric=metric,
        scope=chosen,
        scopes=[] if board is None else [each for each in Scope if each in board.scopes],
        meanings=SCOPE_MEANINGS,
        url=f"{phase_url(found)}leaderboard/",
        content=Markup("") if known is None or chosen is None else _remembered(known, chosen),
    )


def _shown_scope(board: Leaderboard | None, wanted: Scope | None) -> Scope | None:
    """The scope asked for, or the usual one where the board does not have it: not all have all."""
    if board is None:
        return None
    return wanted if wanted in board.scopes else board.default_scope


def _title(metric: str) -> str:
    measure = measure_of(metric)
    return metric if measure is None else measure.title


class _Board:
    """A board that is one key of the memory below by what it was made of."""

    def __init__(self, board: PhaseBoard) -> None:
        self.whole = board

    def __hash__(self) -> int:
        return hash(self.whole.digest)

    def __eq__(self, other: object) -> bool:
        # the same evaluations; other names of teams are another board
        if not isinstance(other, _Board):
            return False
        return self.whole is other.whole or (self.whole.digest, self.whole.entrants) == (
            other.whole.digest,
            other.whole.entrants,
        )


def _remembered(board: PhaseBoard, scope: Scope) -> Markup:
    return _content(_Board(board), scope)


@lru_cache(maxsize=64)
def _content(key: _Board, scope: Scope) -> Markup:
    """The part of the page that depends on the board alone; the same for everybody who may see it."""
    board = key.whole.board
    shown = board.scopes[scope]
    text = (
        environment()
        .get_template("leaderboard_table.html")
        .render(
            board=board,
            shown=shown,
            entrants=key.whole.entrants,
            drawing=score_drawing(board, shown),
            drawn_up_to=DRAWN_UP_TO,
            interval_ending=INTERVAL_ENDINGS[scope],
            test=name_of_test(shown.test),
            has_letters=any(place.group for place in shown.places),
            has_chances=any(place.win_probability is not None for place in shown.places),
        )
    )
    return Markup(text)  # noqa: S704  (a template that escapes)


def score_drawing(board: Leaderboard, shown: ScopeBoard) -> Drawing | None:
    """The scores of the first of the board, as the report draws them; None when nobody is ranked."""
    if not shown.places:
        return None
    strips = [
        ScoreStrip(
            place.name,
            {str(number): score for number, score in enumerate(place.runs, start=1)},
            place.score,
            place.low,
            place.high,
        )
        for place in shown.places[:DRAWN_UP_TO]
    ]
    said = "; ".join(
        f"{strip.method}: {value_text(strip.mean)}, {span_text(strip.low, strip.high)}" for strip in strips
    )
    words = f"{board.title} of every run, with mean and interval. {said}. The table has the numbers."
    return Drawing(
        tuple(
            (
                layout.name,
                Markup(  # noqa: S704  (an element we serialised: its text is escaped)
                    inline_svg(
                        distribution_chart(strips, label=board.title, colours=PAGE_COLOURS, layout=layout),
                        name=f"scores-{layout.name}",
                        alternative=words,
                    )
                ),
            )
            for layout in LAYOUTS
        )
    )
