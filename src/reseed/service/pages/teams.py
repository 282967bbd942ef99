"""The page of a challenge's teams: create one, ask people into it, answer, leave."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy import func, select

from reseed.service.api import teams
from reseed.service.api.asking import AskerHere, InstallationHere
from reseed.service.api.found import found_challenge
from reseed.service.api.teams import Invitation, NewTeam, found_team, require_edit
from reseed.service.api.text import SlugInPath
from reseed.service.database.models import Team, TeamInvitation, TeamMember
from reseed.service.domain.permissions import Action
from reseed.service.pages.forms import FormHere, checked, field, see
from reseed.service.pages.places import challenge_crumbs, teams_url
from reseed.service.pages.rendering import page
from reseed.service.security.authorisation import logged_in, may, require

router = APIRouter()

TEAMS_SHOWN = 200


@router.get("/challenges/{slug}/teams/")
def teams_of(
    request: Request, slug: SlugInPath, installation: InstallationHere, asker: AskerHere
) -> Response:
    """Your team or the invitations to one, and all teams of the challenge."""
    with installation.database.read() as session:
        challenge = found_challenge(session, asker, slug)
        user = logged_in(asker)
        require(session, asker, Action.VIEW_TEAMS, challenge_pk=challenge.pk)
        here = select(Team).where(Team.challenge_pk == challenge.pk)
        own = session.scalar(here.join(TeamMember).where(TeamMember.user_pk == user.pk))
        asking = here.join(TeamInvitation).where(TeamInvitation.user_pk == user.pk).order_by(Team.name)
        return page(
            request,
            "teams.html",
            asker,
            crumbs=challenge_crumbs(challenge),
            challenge=challenge,
            own=own,
            asking=session.scalars(asking).all(),
            may_create=may(session, asker, Action.CREATE_TEAM, challenge_pk=challenge.pk),
            teams=session.scalars(here.order_by(Team.name).limit(TEAMS_SHOWN)).all(),
            n_teams=session.scalar(select(func.count()).where(Team.challenge_pk == challenge.pk)),
        )


@router.post("/challenges/{slug}/teams/")
def new_team(slug: SlugInPath, installation: InstallationHere, asker: AskerHere, form: FormHere) -> Response:
    """Create a team and be its first member."""
    with installation.database.read() as session:
        challenge = found_challenge(session, asker, slug)
        require(session, asker, Action.CREATE_TEAM, challenge_pk=challenge.pk)
    wanted = checked(NewTeam, {name: field(form, name) for name in NewTeam.model_fields})
    teams.new_team(slug, wanted, installation, asker)
    return see(teams_url(slug))


@router.post("/challenges/{slug}/teams/{pk}/invitations/")
def invite(
    slug: SlugInPath, pk: UUID, installation: InstallationHere, asker: AskerHere, form: FormHere
) -> Response:
    """Ask somebody into your team."""
    with installation.database.read() as session:
        require_edit(session, asker, found_team(session, asker, slug, pk))
    wanted = checked(Invitation, {"username": field(form, "username")})
    teams.invite(slug, pk, wanted, installation, asker)
    return see(teams_url(slug))


@router.post("/challenges/{slug}/teams/{pk}/join/")
def join(
    slug: SlugInPath, pk: UUID, installation: InstallationHere, asker: AskerHere, _form: FormHere
) -> Response:
    """Say yes to an invitation."""
    teams.join_team(slug, pk, installation, asker)
    return see(teams_url(slug))


@router.post("/challenges/{slug}/teams/{pk}/members/{username}/remove/")
def remove(
    slug: SlugInPath,
    pk: UUID,
    username: str,
    installation: InstallationHere,
    asker: AskerHere,
    _form: FormHere,
) -> Response:
    """Take somebody out of your team, or an invitation back; leave a team, or decline."""
    teams.remove_team_member(slug, pk, username, installation, asker)
    return see(teams_url(slug))
