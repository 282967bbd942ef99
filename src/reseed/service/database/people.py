"""Tables of people: users, what they prove themselves with, and what they are in a challenge."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from reseed.service.database.columns import Base, Noun, owned_by, refers_to, state_column
from reseed.service.domain.roles import MembershipState, Role


class User(Noun, Base):
    """A person with a name to log in by."""

    __tablename__ = "users"

    username: Mapped[str] = mapped_column(String(64), unique=True)
    email: Mapped[str | None] = mapped_column(String(254))
    password_hash: Mapped[str | None]
    is_administrator: Mapped[bool] = mapped_column(default=False)
    is_active: Mapped[bool] = mapped_column(default=True)


class LoginSession(Noun, Base):
    """A log-in by password; the cookie holds its signed identifier."""

    __tablename__ = "login_sessions"

    user_pk: Mapped[UUID] = owned_by("users")
    expires_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]

    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)


class Token(Noun, Base):
    """A secret for programs; only its SHA-256 is kept."""

    __tablename__ = "tokens"

    user_pk: Mapped[UUID] = owned_by("users")
    name: Mapped[str] = mapped_column(String(100))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    hint: Mapped[str] = mapped_column(String(8))
    scopes: Mapped[list[str]]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]

    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)


class RateWindow(Base):
    """How often something was done by someone since the start of a window of time."""

    __tablename__ = "rate_windows"

    key: Mapped[str] = mapped_column(String(160), primary_key=True)
    started: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    count: Mapped[int] = mapped_column(default=0)


class Membership(Noun, Base):
    """What a user is in a challenge, or asks to be."""

    __tablename__ = "memberships"
    __table_args__ = (UniqueConstraint("challenge_pk", "user_pk"),)

    challenge_pk: Mapped[UUID] = owned_by("challenges")
    user_pk: Mapped[UUID] = owned_by("users")
    role: Mapped[Role] = mapped_column(state_column(Role))
    state: Mapped[MembershipState] = mapped_column(state_column(MembershipState))

    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)


class Team(Noun, Base):
    """Participants of a challenge who submit under one name."""

    __tablename__ = "teams"
    __table_args__ = (UniqueConstraint("challenge_pk", "name"),)

    challenge_pk: Mapped[UUID] = owned_by("challenges")
    owner_pk: Mapped[UUID] = refers_to("users")
    name: Mapped[str] = mapped_column(String(100))
    institution: Mapped[str] = mapped_column(default="")
    website: Mapped[str] = mapped_column(default="")

    owner: Mapped[User] = relationship(lazy="joined", innerjoin=True)
    members: Mapped[list[TeamMember]] = relationship(lazy="selectin", cascade="all, delete-orphan")
    invitations: Mapped[list[TeamInvitation]] = relationship(lazy="selectin", cascade="all, delete-orphan")


class TeamMember(Noun, Base):
    """One person of a team; nobody is in two teams of a challenge."""

    __tablename__ = "team_members"
    __table_args__ = (UniqueConstraint("challenge_pk", "user_pk"),)

    team_pk: Mapped[UUID] = owned_by("teams")
    challenge_pk: Mapped[UUID] = owned_by("challenges", index=False)
    user_pk: Mapped[UUID] = owned_by("users")

    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)


class TeamInvitation(Noun, Base):
    """A person whom a team has asked to join, and who has not answered."""

    __tablename__ = "team_invitations"
    __table_args__ = (UniqueConstraint("team_pk", "user_pk"),)

    team_pk: Mapped[UUID] = owned_by("teams", index=False)
    user_pk: Mapped[UUID] = owned_by("users")

    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)
