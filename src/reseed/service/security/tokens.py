"""Tokens for programs: 256 bits, shown once, kept as a SHA-256, with scopes and an end."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from reseed.contracts.errors import UserError
from reseed.service.database.columns import now_utc
from reseed.service.database.models import Token, User
from reseed.service.database.transitions import record_event
from reseed.service.domain.permissions import Scope

# So that scanners of leaked secrets and people recognise one.
PREFIX = "rsd_"
LONGEST = timedelta(days=366)
_HINT_CHARACTERS = 4
# A token's last use is written at most this often: it is for people, and each write waits for its turn.
_USE_EVERY = timedelta(minutes=10)


class InvalidToken(UserError):
    """A token that nobody has, that has ended, or whose user may not log in."""


def token_digest(secret: str) -> str:
    """What is kept of a token; it has 256 random bits, so a plain hash cannot be searched."""
    return hashlib.sha256(secret.encode()).hexdigest()


def make_token(
    session: Session,
    user: User,
    *,
    name: str,
    scopes: Collection[Scope],
    valid_for: timedelta,
    actor: UUID | None = None,
) -> tuple[Token, str]:
    """
    A new token and its secret, which can be seen only now.

    Raises
    ------
    UserError
        When it would have no scope, or be valid for no time or for more than a year.
    """
    if not scopes:
        raise UserError("a token needs at least one scope")
    if not timedelta() < valid_for <= LONGEST:
        raise UserError(f"a token is valid for 1 to {LONGEST.days} days, got {valid_for.days}")
    secret = PREFIX + secrets.token_urlsafe(32)
    token = Token(
        user_pk=user.pk,
        name=name,
        digest=token_digest(secret),
        hint=secret[-_HINT_CHARACTERS:],
        scopes=sorted(scopes),
        expires_at=now_utc() + valid_for,
    )
    session.add(token)
    session.flush()
    record_event(session, token, "created", actor=actor or user.pk, details={"scopes": sorted(scopes)})
    return token, secret


def found_token(session: Session, secret: str) -> Token:
    """
    The token of a secret, with its user.

    Raises
    ------
    InvalidToken
        The same for a wrong, a revoked and an expired one.
    """
    token = session.scalar(select(Token).where(Token.digest == token_digest(secret)))
    if (
        token is None
        or token.revoked_at is not None
        or token.expires_at <= now_utc()
        or not token.user.is_active
    ):
        raise InvalidToken("the token is not valid: it is wrong, revoked or expired")
    return token


def scopes_of(token: Token) -> frozenset[Scope]:
    """What the token may be used for; raises ValueError on a scope that this version does not know."""
    return frozenset(Scope(scope) for scope in token.scopes)


def is_use_due(token: Token) -> bool:
    """Whether the time of its last use should be written again."""
    return token.last_used_at is None or now_utc() - token.last_used_at > _USE_EVERY


def tokens_of(session: Session, user: User) -> Sequence[Token]:
    """All tokens of a user, the oldest first, also those that have ended."""
    return session.scalars(select(Token).where(Token.user_pk == user.pk).order_by(Token.created)).all()


def revoke(session: Session, token: Token, *, actor: UUID | None) -> None:
    """End a token now; a second time changes nothing."""
    if token.revoked_at is None:
        token.revoked_at = now_utc()
        record_event(session, token, "revoked", actor=actor)
