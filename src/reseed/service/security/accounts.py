"""Users: made, given a password, closed."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from reseed.contracts.errors import UserError
from reseed.service.database.models import User
from reseed.service.database.transitions import record_event
from reseed.service.security.passwords import password_hash
from reseed.service.security.sessions import end_sessions
from reseed.service.security.usernames import normalised_username


def add_user(
    session: Session,
    username: str,
    *,
    password: str | None,
    email: str | None = None,
    is_administrator: bool = False,
    actor: UUID | None = None,
) -> User:
    """
    A new user; without a password they can only use tokens.

    Raises
    ------
    UserError
        When the name is taken or breaks its rule, or the password is weak.
    """
    normalised = normalised_username(username)
    if normalised is None:
        raise UserError(
            f"user name {username!r}: needs 2 to 64 lower case letters, digits, ., _ and -, "
            "a letter or digit first"
        )
    username = normalised
    if session.scalar(select(User.pk).where(User.username == username)) is not None:
        raise UserError(f"user name {username!r} is taken")
    user = User(
        username=username,
        email=email,
        password_hash=None if password is None else password_hash(password, username=username),
        is_administrator=is_administrator,
    )
    session.add(user)
    session.flush()
    record_event(session, user, "created", actor=actor)
    return user


def set_password(session: Session, user: User, password: str, *, actor: UUID | None = None) -> None:
    """Give a user another password and end their sessions; raises WeakPassword."""
    user.password_hash = password_hash(password, username=user.username)
    end_sessions(session, user)
    record_event(session, user, "password changed", actor=actor)


def all_users(session: Session) -> Sequence[User]:
    """Every user by name, also those whose account is closed."""
    return session.scalars(select(User).order_by(User.username)).all()


def close_account(session: Session, user: User, *, actor: UUID | None = None) -> None:
    """Let nobody in as this user any more; what they submitted stays."""
    user.is_active = False
    end_sessions(session, user)
    record_event(session, user, "closed", actor=actor)


def named_user(session: Session, username: str) -> User:
    """
    The user of that name.

    Raises
    ------
    UserError
        When there is none.
    """
    name = normalised_username(username)
    user = None if name is None else session.scalar(select(User).where(User.username == name))
    if user is None:
        raise UserError(f"there is no user {username!r}")
    return user
