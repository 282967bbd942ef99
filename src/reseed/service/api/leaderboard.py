"""Route of a phase's leaderboard."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from reseed.service.api.asking import AskerHere, InstallationHere
from reseed.service.api.found import found_phase
from reseed.service.api.problem import problems
from reseed.service.api.shapes import PhaseReference
from reseed.service.api.text import SlugInPath
from reseed.service.database.columns import now_utc
from reseed.service.database.models import Phase
from reseed.service.domain.leaderboard import Leaderboard
from reseed.service.domain.permissions import Action
from reseed.service.leaderboard_rows import Entrant
from reseed.service.leaderboards import Leaderboards
from reseed.service.security.authorisation import Asker, require

router = APIRouter(prefix="/challenges", tags=["leaderboard"])


class LeaderboardShape(BaseModel):
    """The leaderboard of a phase, under every scope that its submissions allow."""

    phase: PhaseReference
    is_released: bool = Field(description="Whether everybody sees it; before, its organisers do.")
    is_current: bool = Field(description="False while one with newer evaluations is being made.")
    metrics: tuple[str, ...] = Field(description="By which it can be ranked; the one that counts first.")
    leaderboard: Leaderboard
    entrants: dict[str, Entrant] = Field(description="Whose each submission is, by its identifier.")


def leaderboards_of(request: Request) -> Leaderboards:
    """The leaderboards of the application; made at their first use."""
    state = request.app.state
    found = getattr(state, "leaderboards", None)
    if not isinstance(found, Leaderboards):
        found = Leaderboards(state.installation.database, state.installation.folder.root)
        state.leaderboards = found
    return found


def is_released(phase: Phase) -> bool:
    """Whether everybody who sees the challenge sees the phase's results."""
    return phase.released_at is not None and phase.released_at <= now_utc()


def require_leaderboard(session: Session, asker: Asker, phase: Phase) -> None:
    """Go on only when the person may see the phase's leaderboard; raises as `require` does."""
    action = Action.VIEW_UNRELEASED_LEADERBOARD
    if is_released(phase):
        public = phase.challenge.is_public
        action = Action.VIEW_RELEASED_LEADERBOARD if public else Action.VIEW_LEADERBOARD_OF_PRIVATE_CHALLENGE
    require(
        session,
        asker,
        action,
        challenge_pk=phase.challenge_pk,
        hidden=f"the leaderboard of phase {phase.slug!r} is not released yet",
    )


@router.get("/{slug}/phases/{phase}/leaderboard/", responses=problems(503), operation_id="get_leaderboard")
def leaderboard(
    request: Request,
    slug: SlugInPath,
    phase: SlugInPath,
    installation: InstallationHere,
    asker: AskerHere,
    metric: Annotated[
        str | None, Query(max_length=64, description="Another than the one that counts.")
    ] = None,
) -> LeaderboardShape:
    """The leaderboard of a phase; before its release its organisers see it. 503: its first is being made."""
    with installation.database.read() as session:
        found = found_phase(session, asker, slug, phase)
        require_leaderboard(session, asker, found)
        board = leaderboards_of(request).board(session, found, metric)
        return LeaderboardShape(
            phase=PhaseReference.of(found),
            is_released=is_released(found),
            is_current=board.is_current,
            metrics=board.metrics,
            leaderboard=board.board,
            entrants=board.entrants,
        )
