"""Log-ins by password: a signed cookie that names a row, which a log-out ends at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from reseed.service.database.columns import now_utc
from reseed.service.database.models import LoginSession, User
from reseed.service.database.transitions import record_event
from reseed.service.security.passwords import is_password, needs_new_hash, password_hash
from reseed.service.security.usernames import normalised_username

COOKIE: Final = "reseed_session"
_SALT = "reseed.session"


def user_of_password(session: Session, username: str, password: str) -> User | None:
    """The active user of that name and password, or None, after the same time; renews a weak hash."""
    name = normalised_username(username)
    user = None if name is None else session.scalar(select(User).where(User.username == name))
    fits = is_password(password, None if user is None else user.password_hash)
    if user is None or not fits or not user.is_active:
        return None
    if user.password_hash is not None and needs_new_hash(user.password_hash):
        user.password_hash = password_hash(password, username=user.username)
    return user


def log_in(session: Session, user: User, *, valid_for: timedelta) -> LoginSession:
    """Begin a session of a user who has proved who they are; old ones of anybody are removed."""
    now = now_utc()
    session.execute(delete(LoginSession).where(LoginSession.expires_at < now - timedelta(days=30)))
    login = LoginSession(user=user, expires_at=now + valid_for)
    session.add(login)
    session.flush()
    record_event(session, user, "logged in", actor=user.pk)
    return login


def log_out(session: Session, login_pk: UUID) -> None:
    """End one session; its cookie is worth nothing from now on."""
    session.execute(
        update(LoginSession)
        .where(LoginSession.pk == login_pk, LoginSession.ended_at.is_(None))
        .values(ended_at=now_utc())
    )


def end_sessions(session: Session, user: User) -> None:
    """End every session of a user, as a new password does."""
    session.execute(
        update(LoginSession)
        .where(LoginSession.user_pk == user.pk, LoginSession.ended_at.is_(None))
        .values(ended_at=now_utc())
    )


def cookie_value(login_pk: UUID, secret_key: str) -> str:
    """What the browser keeps."""
    return str(URLSafeSerializer(secret_key, salt=_SALT).dumps(str(login_pk)))


def login_of_cookie(session: Session, value: str, secret_key: str) -> LoginSession | None:
    """The session that a cookie names, or None when it is forged, ended or expired."""
    try:
        pk = UUID(URLSafeSerializer(secret_key, salt=_SALT).loads(value))
    except (BadSignature, ValueError, TypeError, AttributeError):
        return None
    login = session.get(LoginSession, pk)
    if login is None or login.ended_at is not None or login.expires_at <= now_utc():
        return None
    return login if login.user.is_active else None
