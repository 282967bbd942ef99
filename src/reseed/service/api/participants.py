"""Routes of who takes part in a challenge: asking to join, accepting."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from reseed.service.api.asking import AskerHere, InstallationHere
from reseed.service.api.found import found_challenge, found_part
from reseed.service.api.pagination import Page, PagingHere
from reseed.service.api.problem import Conflict, problems
from reseed.service.api.shapes import Person
from reseed.service.api.text import SlugInPath
from reseed.service.database.models import Challenge, Membership, User
from reseed.service.database.transitions import record_event
from reseed.service.domain.permissions import Action
from reseed.service.domain.roles import JoinPolicy, MembershipState, Role
from reseed.service.security.authorisation import logged_in, require

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
        membership = found_part(session, Membership, pk, "participant", challenge)
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
