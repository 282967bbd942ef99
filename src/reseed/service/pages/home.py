"""The pages of challenges: which there are, one of them, and its phases."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response
from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from reseed.service.api import participants
from reseed.service.api.asking import AskerHere, InstallationHere
from reseed.service.api.found import found_challenge, found_phase
from reseed.service.api.leaderboard import is_released
from reseed.service.api.text import SlugInPath
from reseed.service.database.columns import now_utc
from reseed.service.database.models import Challenge, Membership, Phase, Submission, Team, TeamInvitation
from reseed.service.domain.permissions import Action
from reseed.service.domain.roles import JoinPolicy, MembershipState
from reseed.service.domain.states import SubmissionState
from reseed.service.leaderboard_rows import phase_task
from reseed.service.pages.forms import FormHere, see
from reseed.service.pages.places import challenge_crumbs, challenge_url, home_crumbs
from reseed.service.pages.rendering import page
from reseed.service.security.authorisation import Asker, may, own_submissions, require, visible_challenges

router = APIRouter()


@router.get("/")
def home(request: Request, installation: InstallationHere, asker: AskerHere) -> Response:
    """The public challenges, and yours."""
    with installation.database.read() as session:
        require(session, asker, Action.VIEW_PUBLIC_CHALLENGE)
        challenges = session.scalars(
            select(Challenge)
            .where(visible_challenges(asker))
            .options(selectinload(Challenge.phases))
            .order_by(Challenge.created.desc(), Challenge.slug)
            .limit(200)
        ).all()
        return page(
            request, "home.html", asker, challenges=challenges, is_open=is_open, is_released=is_released
        )


@router.get("/challenges/{slug}/")
def challenge(
    request: Request, slug: SlugInPath, installation: InstallationHere, asker: AskerHere
) -> Response:
    """One challenge with its phases."""
    with installation.database.read() as session:
        found = found_challenge(session, asker, slug)
        membership = None
        if asker.pk is not None:
            membership = session.scalar(
                select(Membership).where(Membership.challenge_pk == found.pk, Membership.user_pk == asker.pk)
            )
        return page(
            request,
            "challenge.html",
            asker,
            crumbs=home_crumbs(),
            challenge=found,
            phases=found.phases,
            membership=membership,
            is_accepted=membership is not None and membership.state is MembershipState.ACCEPTED,
            may_join=membership is None and found.join_policy is not JoinPolicy.CLOSED,
            is_organiser=may(session, asker, Action.EDIT_CHALLENGE, challenge_pk=found.pk),
            sees_teams=asker.pk is not None and may(session, asker, Action.VIEW_TEAMS, challenge_pk=found.pk),
            n_invitations=_n_invitations(session, found, asker),
            is_open=is_open,
            is_released=is_released,
        )


def _n_invitations(session: Session, challenge: Challenge, asker: Asker) -> int:
    """Teams of a challenge that ask this person to join."""
    return session.scalars(
        select(func.count())
        .select_from(TeamInvitation)
        .join(Team, Team.pk == TeamInvitation.team_pk)
        .where(Team.challenge_pk == challenge.pk, TeamInvitation.user_pk == asker.pk)
    ).one()


@router.post("/challenges/{slug}/join/")
def join(slug: SlugInPath, installation: InstallationHere, asker: AskerHere, _form: FormHere) -> Response:
    """Ask to take part."""
    participants.join(slug, installation, asker)
    return see(challenge_url(slug))


@router.get("/challenges/{slug}/phases/{phase}/")
def phase(
    request: Request, slug: SlugInPath, phase: SlugInPath, installation: InstallationHere, asker: AskerHere
) -> Response:
    """One phase: its question, its limits, and what you have handed in."""
    with installation.database.read() as session:
        found = found_phase(session, asker, slug, phase)
        mine: Sequence[Submission] = []
        if asker.pk is not None:
            mine = session.scalars(
                select(Submission)
                .where(Submission.phase_pk == found.pk, own_submissions(asker))
                .order_by(Submission.created.desc())
                .limit(20)
            ).all()
        n_evaluated = session.scalar(
            select(func.count()).where(
                Submission.phase_pk == found.pk, Submission.state == SubmissionState.EVALUATED
            )
        )
        is_organiser = may(session, asker, Action.EDIT_CHALLENGE, challenge_pk=found.challenge_pk)
        return page(
            request,
            "phase.html",
            asker,
            crumbs=challenge_crumbs(found.challenge),
            challenge=found.challenge,
            phase=found,
            task=phase_task(found),
            submissions=mine,
            n_evaluated=n_evaluated,
            is_organiser=is_organiser,
            is_open=is_open(found),
            is_released=is_released(found),
        )


def is_open(phase: Phase) -> bool:
    """Whether a phase takes submissions now."""
    now = now_utc()
    has_begun = phase.opens_at is None or phase.opens_at <= now
    return has_begun and (phase.closes_at is None or phase.closes_at > now)
