"""Routes of teams: participants of a challenge who submit under one name, each because they agreed to."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from reseed.service.api.asking import AskerHere, InstallationHere
from reseed.service.api.found import found_challenge, found_part
from reseed.service.api.pagination import Page, PagingHere
from reseed.service.api.problem import Conflict, problems
from reseed.service.api.shapes import Person
from reseed.service.api.text import Line, ShortLine, SlugInPath
from reseed.service.database.models import Challenge, Membership, Team, TeamInvitation, TeamMember, User
from reseed.service.database.transitions import record_event
from reseed.service.domain.permissions import Action
from reseed.service.domain.roles import MembershipState
from reseed.service.security.accounts import named_user
from reseed.service.security.authorisation import Asker, NotThere, logged_in, require

router = APIRouter(prefix="/challenges/{slug}/teams", tags=["participants"])


class NewTeam(BaseModel):
    """What a team calls itself."""

    name: ShortLine
    institution: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f]*$")] = ""
    website: Annotated[str, Field(max_length=200, pattern=r"^(https?://[^\s\x00-\x1f]+)?$")] = ""


class Invitation(BaseModel):
    """Who is asked to join a team."""

    username: Line


class TeamShape(BaseModel):
    """Participants who submit under one name."""

    pk: UUID
    name: str
    institution: str
    website: str
    owner: Person
    members: list[Person]
    invited: list[Person] = Field(description="Who was asked to join, and has not answered.")
    created: datetime

    @classmethod
    def of(cls, team: Team) -> TeamShape:
        """The JSON shape of a row with its members."""
        return cls(
            pk=team.pk,
            name=team.name,
            institution=team.institution,
            website=team.website,
            owner=Person.of(team.owner),
            members=_people(team.members),
            invited=_people(team.invitations),
            created=team.created,
        )


def _people(rows: list[TeamMember] | list[TeamInvitation]) -> list[Person]:
    return sorted((Person.of(row.user) for row in rows), key=lambda person: person.username)


@router.get("/", responses=problems(), operation_id="list_teams")
def teams(
    slug: SlugInPath, installation: InstallationHere, asker: AskerHere, paging: PagingHere
) -> Page[TeamShape]:
    """The teams of a challenge, for its members."""
    with installation.database.read() as session:
        challenge = found_challenge(session, asker, slug)
        require(session, asker, Action.VIEW_TEAMS, challenge_pk=challenge.pk)
        statement = select(Team).where(Team.challenge_pk == challenge.pk).order_by(Team.name)
        return paging.page(session, statement, TeamShape.of)


@router.post("/", status_code=201, responses=problems(409), operation_id="create_team")
def new_team(
    slug: SlugInPath, wanted: NewTeam, installation: InstallationHere, asker: AskerHere
) -> TeamShape:
    """Create a team and be its first member."""
    with installation.database.write() as session:
        challenge = found_challenge(session, asker, slug)
        require(session, asker, Action.CREATE_TEAM, challenge_pk=challenge.pk)
        user = session.get_one(User, asker.pk)
        _refuse_name(session, challenge, user, wanted.name)
        team = Team(challenge_pk=challenge.pk, owner=user, **wanted.model_dump())
        session.add(team)
        session.flush()
        _add_member(session, team, user)
        record_event(session, team, "created", actor=user.pk)
        return TeamShape.of(team)


@router.post("/{pk}/invitations/", responses=problems(409), operation_id="invite_to_team")
def invite(
    slug: SlugInPath, pk: UUID, wanted: Invitation, installation: InstallationHere, asker: AskerHere
) -> TeamShape:
    """Ask a participant of the challenge to join your team; they are in it once they have said yes."""
    with installation.database.write() as session:
        team = found_team(session, asker, slug, pk)
        require_edit(session, asker, team)
        user = named_user(session, wanted.username)
        _refuse_outsider(session, team, user)
        _refuse_second_team(session, team, user)
        if all(each.user_pk != user.pk for each in team.invitations):
            team.invitations.append(TeamInvitation(user=user))
            session.flush()
            record_event(session, team, "invited", actor=asker.pk, details={"user": user.username})
        return TeamShape.of(team)


@router.post("/{pk}/join/", responses=problems(409), operation_id="join_team")
def join_team(slug: SlugInPath, pk: UUID, installation: InstallationHere, asker: AskerHere) -> TeamShape:
    """Say yes to an invitation; those of other teams of the challenge are gone with that."""
    with installation.database.write() as session:
        team = found_team(session, asker, slug, pk)
        user = session.get_one(User, asker.pk)
        require(session, asker, Action.JOIN_TEAM, challenge_pk=team.challenge_pk)
        if all(each.user_pk != user.pk for each in team.invitations):
            raise Conflict(f"the team {team.name!r} has not invited you")
        _refuse_outsider(session, team, user)
        _add_member(session, team, user)
        record_event(session, team, "member joined", actor=asker.pk, details={"user": user.username})
        return TeamShape.of(team)


@router.delete("/{pk}/members/{username}/", responses=problems(409), operation_id="remove_team_member")
def remove_team_member(
    slug: SlugInPath, pk: UUID, username: str, installation: InstallationHere, asker: AskerHere
) -> TeamShape:
    """Take a person, or their invitation, out of your team, or yourself out of any; its owner stays."""
    with installation.database.write() as session:
        team = found_team(session, asker, slug, pk)
        if logged_in(asker).username != username:
            require_edit(session, asker, team)
        else:
            require(session, asker, Action.JOIN_TEAM, challenge_pk=team.challenge_pk)
        rows: tuple[list[TeamMember], list[TeamInvitation]] = (team.members, team.invitations)
        there = [row for some in rows for row in some if row.user.username == username]
        if not there:
            raise NotThere(f"the team has no member {username!r}")
        if any(row.user_pk == team.owner_pk for row in there):
            raise Conflict("the owner of a team cannot leave it")
        for row in there:
            session.delete(row)
        session.flush()
        session.refresh(team)
        record_event(session, team, "member removed", actor=asker.pk, details={"user": username})
        return TeamShape.of(team)


def found_team(session: Session, asker: Asker, slug: str, pk: UUID) -> Team:
    """
    A team of a challenge.

    Raises
    ------
    NotLoggedIn
    NotThere
        When there is none.
    NotAllowed
        For whoever does not take part in the challenge.
    """
    challenge = found_challenge(session, asker, slug)
    logged_in(asker)
    require(session, asker, Action.VIEW_TEAMS, challenge_pk=challenge.pk)
    return found_part(session, Team, pk, "team", challenge)


def require_edit(session: Session, asker: Asker, team: Team) -> None:
    """Go on for its owner and for organisers only."""
    require(session, asker, Action.EDIT_TEAM, challenge_pk=team.challenge_pk, owners=[team.owner_pk])


def _refuse_name(session: Session, challenge: Challenge, founder: User, name: str) -> None:
    """A leaderboard shows teams and single participants side by side: no two may sound alike."""
    same_name = select(Team.pk).where(Team.challenge_pk == challenge.pk, Team.name == name)
    if session.scalar(same_name) is not None:
        raise Conflict(f"there is a team {name!r} already")
    of_another = select(User.pk).where(User.username == name.lower(), User.pk != founder.pk)
    if session.scalar(of_another) is not None:
        raise Conflict(f"{name!r} is the name of a user")


def _refuse_outsider(session: Session, team: Team, user: User) -> None:
    is_participant = session.scalar(
        select(Membership.pk).where(
            Membership.challenge_pk == team.challenge_pk,
            Membership.user_pk == user.pk,
            Membership.state == MembershipState.ACCEPTED,
        )
    )
    if is_participant is None:
        raise Conflict(f"{user.username} does not take part in the challenge")


def _refuse_second_team(session: Session, team: Team, user: User) -> None:
    in_a_team = select(TeamMember.pk).where(
        TeamMember.challenge_pk == team.challenge_pk, TeamMember.user_pk == user.pk
    )
    if session.scalar(in_a_team) is not None:
        raise Conflict(f"{user.username} is in a team of this challenge already")


def _add_member(session: Session, team: Team, user: User) -> None:
    """Make a person a member; whatever else they were invited to in this challenge is settled by that."""
    _refuse_second_team(session, team, user)
    teams_here = select(Team.pk).where(Team.challenge_pk == team.challenge_pk)
    session.execute(
        delete(TeamInvitation).where(
            TeamInvitation.user_pk == user.pk, TeamInvitation.team_pk.in_(teams_here)
        )
    )
    team.members.append(TeamMember(challenge_pk=team.challenge_pk, user=user))
    session.flush()
    session.refresh(team)
