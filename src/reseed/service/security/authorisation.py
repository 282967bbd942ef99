"""Who asks, how they stand towards what they ask about, and the refusal when they may not."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from reseed.contracts.errors import UserError
from reseed.service.database.models import Challenge, Membership, Phase, Submission, TeamMember, User
from reseed.service.domain.permissions import Action, Scope, Standing, is_allowed, scope_allows
from reseed.service.domain.roles import MembershipState, Role


class NotLoggedIn(UserError):
    """Nobody has logged in, and somebody must."""


class NotAllowed(UserError):
    """The person may not do this, or their token may not."""


class NotThere(UserError):
    """There is no such thing, or none that the person may know of: both sound alike."""


@dataclass(frozen=True)
class Asker:
    """
    Who makes a request.

    `scopes` are those of a token; None for a log-in by password and for nobody. `login_pk` is the
    log-in's, whose forms need a CSRF token.
    """

    user: User | None = None
    scopes: frozenset[Scope] | None = None
    login_pk: UUID | None = None
    address: str = ""

    @property
    def pk(self) -> UUID | None:
        """Of the user; None for nobody."""
        return None if self.user is None else self.user.pk

    @property
    def is_administrator(self) -> bool:
        """Whether they administer the whole service."""
        return self.user is not None and self.user.is_administrator


_STANDING_OF_ROLE = {
    Role.ORGANISER: Standing.ORGANISER,
    Role.PARTICIPANT: Standing.PARTICIPANT,
    Role.VIEWER: Standing.VIEWER,
}


def logged_in(asker: Asker) -> User:
    """
    The user who asks.

    Raises
    ------
    NotLoggedIn
    """
    if asker.user is None:
        raise NotLoggedIn("log in, or send a token: Authorization: Bearer rsd_…")
    return asker.user


def role_in(session: Session, asker: Asker, challenge_pk: UUID) -> Role | None:
    """The accepted role of the person in a challenge."""
    if asker.pk is None:
        return None
    return session.scalar(
        select(Membership.role).where(
            Membership.challenge_pk == challenge_pk,
            Membership.user_pk == asker.pk,
            Membership.state == MembershipState.ACCEPTED,
        )
    )


def standings(
    session: Session, asker: Asker, *, challenge_pk: UUID | None = None, owners: Collection[UUID] = ()
) -> frozenset[Standing]:
    """All that the person is towards a challenge and towards a thing of these owners."""
    found = {Standing.ANYONE}
    if asker.user is not None:
        found.add(Standing.USER)
        if asker.is_administrator:
            found.add(Standing.ADMINISTRATOR)
        if asker.pk in owners:
            found.add(Standing.OWNER)
        role = None if challenge_pk is None else role_in(session, asker, challenge_pk)
        if role is not None:
            found.add(_STANDING_OF_ROLE[role])
    return frozenset(found)


def may(
    session: Session,
    asker: Asker,
    action: Action,
    *,
    challenge_pk: UUID | None = None,
    owners: Collection[UUID] = (),
) -> bool:
    """Whether the table of permissions lets this person do this."""
    return is_allowed(
        action, standings(session, asker, challenge_pk=challenge_pk, owners=owners), asker.scopes
    )


def require(
    session: Session,
    asker: Asker,
    action: Action,
    *,
    challenge_pk: UUID | None = None,
    owners: Collection[UUID] = (),
    hidden: str = "",
) -> None:
    """
    Go on only when the table of permissions lets this person do this.

    Parameters
    ----------
    session, asker, action, challenge_pk, owners
        As `may` takes them.
    hidden
        What is said to be missing to whom it may not even be known; empty where it is known.

    Raises
    ------
    NotLoggedIn, NotThere, NotAllowed
    """
    if may(session, asker, action, challenge_pk=challenge_pk, owners=owners):
        return
    if not scope_allows(action, asker.scopes):
        raise NotAllowed(f"the token's scopes do not allow: {action}")
    if hidden:
        raise NotThere(hidden)
    logged_in(asker)
    raise NotAllowed(f"you may not: {action}")


def require_view(session: Session, asker: Asker, challenge: Challenge) -> None:
    """Go on only when the person may see the challenge; raises NotThere as if there were none."""
    action = Action.VIEW_PUBLIC_CHALLENGE if challenge.is_public else Action.VIEW_PRIVATE_CHALLENGE
    require(
        session,
        asker,
        action,
        challenge_pk=challenge.pk,
        hidden=f"there is no challenge {challenge.slug!r}",
    )


def visible_challenges(asker: Asker) -> ColumnElement[bool]:
    """The condition of `require_view`, for a list of challenges."""
    if asker.is_administrator:
        return Challenge.pk.is_not(None)
    mine = select(Membership.challenge_pk).where(
        Membership.user_pk == asker.pk, Membership.state == MembershipState.ACCEPTED
    )
    return or_(Challenge.is_public.is_(True), Challenge.pk.in_(mine))


def organised_challenges(asker: Asker) -> ColumnElement[bool]:
    """The condition on challenges that the person organises; all of them for an administrator."""
    if asker.is_administrator:
        return Challenge.pk.is_not(None)
    return Challenge.pk.in_(
        select(Membership.challenge_pk).where(
            Membership.user_pk == asker.pk,
            Membership.state == MembershipState.ACCEPTED,
            Membership.role == Role.ORGANISER,
        )
    )


def phases_organised(asker: Asker) -> ColumnElement[bool]:
    """The condition on phases of challenges that the person organises."""
    return Phase.challenge_pk.in_(select(Challenge.pk).where(organised_challenges(asker)))


def owners_of(session: Session, submission: Submission) -> frozenset[UUID]:
    """Whose a submission is: its creator's and their team's."""
    if submission.team_pk is None:
        return frozenset({submission.creator_pk})
    members = session.scalars(select(TeamMember.user_pk).where(TeamMember.team_pk == submission.team_pk))
    return frozenset({submission.creator_pk, *members})


def own_submissions(asker: Asker) -> ColumnElement[bool]:
    """The condition on submissions that are the person's or their team's."""
    teams = select(TeamMember.team_pk).where(TeamMember.user_pk == asker.pk)
    return or_(Submission.creator_pk == asker.pk, Submission.team_pk.in_(teams))
