"""Routes of who takes part in a challenge: asking to join, accepting, teams."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from reseed.service.api.asking import AskerHere, InstallationHere
from reseed.service.api.found import found_challenge, found_row
from reseed.service.api.pagination import Page, PagingHere
from reseed.service.api.problem import Conflict, problems
from reseed.service.api.shapes import Person
from reseed.service.api.text import Line, SlugInPath
from reseed.service.database.models import Challenge, Membership, Team, TeamMember, User
from reseed.service.database.transitions import record_event
from reseed.service.domain.permissions import Action
from reseed.service.domain.roles import JoinPolicy, MembershipState, Role
from reseed.service.security.accounts import named_user
from reseed.service.security.authorisation import Asker, NotThere, logged_in, require

router = APIRouter(prefix="/challenges/{slug}", tags=["participants"])


class ParticipantShape(BaseModel):
    """What a person is in a challenge, or asks to be."""

    pk: UUID
    user: Person
    role: Role
    state: MembershipState
    created: datetime

    @classmethod
    def of(cls, membership: Membership) -> ParticipantShape:
        """The JSON shape of a row."""
        return cls(
            pk=membership.pk,
            user=Person.of(membership.user),
            role=membership.role,
            state=membership.state,
            created=membership.created,
        )


class ParticipantChange(BaseModel):
    """What an organiser decides about a person."""

    state: MembershipState
    role: Role | None = Field(default=None, description="Left out, the role stays.")


class NewTeam(BaseModel):
    """What a team calls itself."""

    name: Line
    institution: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f]*$")] = ""
    website: Annotated[str, Field(max_length=200, pattern=r"^(https?://[^\s\x00-\x1f]+)?$")] = ""


class TeamMemberChange(BaseModel):
    """Who joins a team."""

    username: Line


class TeamShape(BaseModel):
    """Participants who submit under one name."""

    pk: UUID
    name: str
    institution: str
    website: str
    owner: Person
    members: list[Person]
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
            members=sorted((Person.of(member.user) for member in team.members), key=lambda m: m.username),
            created=team.created,
        )


def joined(session: Session, user: User, challenge: Challenge) -> Membership:
    """
    The membership of a person who asks to take part: accepted at once where the challenge is open.

    Raises
    ------
    Conflict
        When the challenge takes nobody new, or the person was rejected.
    """
    there = session.scalar(
        select(Membership).where(Membership.challenge_pk == challenge.pk, Membership.user_pk == user.pk)
    )
    if there is not None:
        if there.state is MembershipState.REJECTED:
            raise Conflict("an organiser has rejected your request to take part")
        return there
    if challenge.join_policy is JoinPolicy.CLOSED:
        raise Conflict("the challenge takes no new participants")
    is_open = challenge.join_policy is JoinPolicy.OPEN
    membership = Membership(
        challenge_pk=challenge.pk,
        user=user,
        role=Role.PARTICIPANT,
        state=MembershipState.ACCEPTED if is_open else MembershipState.PENDING,
    )
    session.add(membership)
    session.flush()
    record_event(session, membership, "joined", actor=user.pk, after=membership.state)
    return membership


@router.post("/join/", responses=problems(409), operation_id="join_challenge")
def join(slug: SlugInPath, installation: InstallationHere, asker: AskerHere) -> ParticipantShape:
    """Ask to take part; a second time says how the request stands."""
    logged_in(asker)
    with installation.database.write() as session:
        challenge = found_challenge(session, asker, slug)
        require(session, asker, Action.JOIN_CHALLENGE)
        user = session.get_one(User, asker.pk)
        return ParticipantShape.of(joined(session, user, challenge))


@router.get("/participants/", responses=problems(), operation_id="list_participants")
def participants(
    slug: SlugInPath,
    installation: InstallationHere,
    asker: AskerHere,
    paging: PagingHere,
    state: Annotated[MembershipState | None, Query()] = None,
) -> Page[ParticipantShape]:
    """Who takes part, and who asks to; for organisers."""
    with installation.database.read() as session:
        challenge = found_challenge(session, asker, slug)
        require(session, asker, Action.VIEW_PARTICIPANTS, challenge_pk=challenge.pk)
        statement = (
            select(Membership)
            .where(Membership.challenge_pk == challenge.pk)
            .order_by(Membership.created, Membership.pk)
        )
        if state is not None:
            statement = statement.where(Membership.state == state)
        return paging.page(session, statement, ParticipantShape.of)


@router.patch("/participants/{pk}/", responses=problems(409), operation_id="change_participant")
def change_participant(
    slug: SlugInPath,
    pk: UUID,
    change: ParticipantChange,
    installation: InstallationHere,
    asker: AskerHere,
) -> ParticipantShape:
    """Accept or reject a request to take part, or give another role; for organisers."""
    with installation.database.write() as session:
        challenge = found_challenge(session, asker, slug)
        require(session, asker, Action.MANAGE_PARTICIPANTS, challenge_pk=challenge.pk)
        membership = found_row(session, Membership, pk, "participant")
        if membership.challenge_pk != challenge.pk:
            raise NotThere(f"there is no participant {pk}")
        before = membership.state
        membership.state = change.state
        membership.role = change.role or membership.role
        session.flush()
        _keep_an_organiser(session, challenge)
        record_event(
            session,
            membership,
            "changed",
            actor=asker.pk,
            before=before,
            after=membership.state,
            details={"role": membership.role},
        )
        return ParticipantShape.of(membership)


def _keep_an_organiser(session: Session, challenge: Challenge) -> None:
    left = session.scalar(
        select(Membership.pk).where(
            Membership.challenge_pk == challenge.pk,
            Membership.role == Role.ORGANISER,
            Membership.state == MembershipState.ACCEPTED,
        )
    )
    if left is None:
        raise Conflict("the challenge would have no organiser left")


@router.get("/teams/", responses=problems(), operation_id="list_teams")
def teams(
    slug: SlugInPath, installation: InstallationHere, asker: AskerHere, paging: PagingHere
) -> Page[TeamShape]:
    """The teams of a challenge, for its members."""
    with installation.database.read() as session:
        challenge = found_challenge(session, asker, slug)
        require(session, asker, Action.VIEW_TEAMS, challenge_pk=challenge.pk)
        statement = select(Team).where(Team.challenge_pk == challenge.pk).order_by(Team.name)
        return paging.page(session, statement, TeamShape.of)


@router.post("/teams/", status_code=201, responses=problems(409), operation_id="create_team")
def new_team(
    slug: SlugInPath, wanted: NewTeam, installation: InstallationHere, asker: AskerHere
) -> TeamShape:
    """Found a team and be its first member."""
    with installation.database.write() as session:
        challenge = found_challenge(session, asker, slug)
        require(session, asker, Action.CREATE_TEAM, challenge_pk=challenge.pk)
        user = session.get_one(User, asker.pk)
        same_name = select(Team.pk).where(Team.challenge_pk == challenge.pk, Team.name == wanted.name)
        if session.scalar(same_name) is not None:
            raise Conflict(f"there is a team {wanted.name!r} already")
        team = Team(challenge_pk=challenge.pk, owner=user, **wanted.model_dump())
        session.add(team)
        session.flush()
        _add_member(session, team, user)
        record_event(session, team, "created", actor=user.pk)
        return TeamShape.of(team)


@router.post("/teams/{pk}/members/", responses=problems(409), operation_id="add_team_member")
def add_team_member(
    slug: SlugInPath,
    pk: UUID,
    wanted: TeamMemberChange,
    installation: InstallationHere,
    asker: AskerHere,
) -> TeamShape:
    """Take a participant of the challenge into your team."""
    with installation.database.write() as session:
        team = _editable_team(session, asker, slug, pk)
        user = named_user(session, wanted.username)
        is_participant = session.scalar(
            select(Membership.pk).where(
                Membership.challenge_pk == team.challenge_pk,
                Membership.user_pk == user.pk,
                Membership.state == MembershipState.ACCEPTED,
            )
        )
        if is_participant is None:
            raise Conflict(f"{user.username} does not take part in the challenge")
        _add_member(session, team, user)
        record_event(session, team, "member added", actor=asker.pk, details={"user": user.username})
        return TeamShape.of(team)


@router.delete("/teams/{pk}/members/{username}/", responses=problems(409), operation_id="remove_team_member")
def remove_team_member(
    slug: SlugInPath, pk: UUID, username: str, installation: InstallationHere, asker: AskerHere
) -> TeamShape:
    """Take a person out of your team; its owner stays."""
    with installation.database.write() as session:
        team = _editable_team(session, asker, slug, pk)
        member = next((each for each in team.members if each.user.username == username), None)
        if member is None:
            raise NotThere(f"the team has no member {username!r}")
        if member.user_pk == team.owner_pk:
            raise Conflict("the owner of a team cannot leave it")
        team.members.remove(member)
        session.flush()
        record_event(session, team, "member removed", actor=asker.pk, details={"user": username})
        return TeamShape.of(team)


def _add_member(session: Session, team: Team, user: User) -> None:
    in_a_team = select(TeamMember.pk).where(
        TeamMember.challenge_pk == team.challenge_pk, TeamMember.user_pk == user.pk
    )
    if session.scalar(in_a_team) is not None:
        raise Conflict(f"{user.username} is in a team of this challenge already")
    team.members.append(TeamMember(challenge_pk=team.challenge_pk, user=user))
    session.flush()


def _editable_team(session: Session, asker: Asker, slug: str, pk: UUID) -> Team:
    challenge = found_challenge(session, asker, slug)
    logged_in(asker)
    require(session, asker, Action.VIEW_TEAMS, challenge_pk=challenge.pk)
    team = found_row(session, Team, pk, "team")
    if team.challenge_pk != challenge.pk:
        raise NotThere(f"there is no team {pk}")
    require(session, asker, Action.EDIT_TEAM, challenge_pk=challenge.pk, owners=[team.owner_pk])
    return team
