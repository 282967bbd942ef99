"""Routes of a person's own account: log in and out, who am I, tokens."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field
from sqlalchemy import select

from reseed.service.api.asking import AskerHere, InstallationHere
from reseed.service.api.found import found_row
from reseed.service.api.pagination import Page, PagingHere
from reseed.service.api.problem import problems
from reseed.service.api.text import ShortLine
from reseed.service.database.models import LoginSession, Token, User
from reseed.service.domain.permissions import Action, Scope
from reseed.service.installation import Installation
from reseed.service.security import tokens
from reseed.service.security.authorisation import NotLoggedIn, NotThere, logged_in, require
from reseed.service.security.csrf import csrf_token
from reseed.service.security.rates import TooOften, count_or_refuse, is_exhausted
from reseed.service.security.sessions import COOKIE, cookie_value, log_in, log_out, user_of_password
from reseed.service.security.usernames import normalised_username
from reseed.service.uploads.admission import kept_by

router = APIRouter(tags=["account"])
_QUARTER_HOUR_S = 900


class Credentials(BaseModel):
    """A user name and its password."""

    username: str = Field(max_length=64)
    password: str = Field(max_length=512)


class Storage(BaseModel):
    """What a user keeps, in bytes: uploads as they will be, images and models that are not removed."""

    quota_bytes: int
    kept_bytes: int
    uploads_bytes: int
    images_bytes: int
    models_bytes: int


class Me(BaseModel):
    """Who the service takes the asker for."""

    username: str
    email: str | None
    is_administrator: bool
    scopes: list[Scope] | None = Field(description="Of the token; null for a log-in by password.")
    storage: Storage
    csrf_token: str | None = Field(description="To send as X-CSRF-Token with requests that change things.")


class TokenShape(BaseModel):
    """A token, without its secret."""

    pk: UUID
    name: str
    hint: str = Field(description="Its last characters.")
    scopes: list[str]
    created: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, token: Token) -> TokenShape:
        """The JSON shape of a row."""
        return cls.model_validate(token, from_attributes=True)


class NewToken(BaseModel):
    """What a new token is for."""

    name: ShortLine
    scopes: list[Scope] = Field(min_length=1)
    valid_days: int = Field(default=90, ge=1, le=tokens.LONGEST.days)


class TokenWithSecret(TokenShape):
    """A new token; the secret is shown this once."""

    token: str


def authenticated_login(
    installation: Installation, username: str, password: str, address: str
) -> LoginSession:
    """
    Begin a session by password; failures are counted for the name and for the address.

    Raises
    ------
    NotLoggedIn
        The same words for a wrong name, a wrong password and a closed account.
    TooOften
        After too many failures, also for the right password.
    """
    settings = installation.settings
    keys = (f"login:{normalised_username(username) or '?'}", f"login-from:{address}")
    limits = (settings.logins_per_quarter_hour, 10 * settings.logins_per_quarter_hour)
    now_s = time.time()
    with installation.database.read() as session:
        for key, limit in zip(keys, limits, strict=True):
            if is_exhausted(session, key, limit=limit, window_s=_QUARTER_HOUR_S, now_s=now_s):
                wait_s = _QUARTER_HOUR_S - int(now_s) % _QUARTER_HOUR_S
                raise TooOften("too many failed log-ins; wait a quarter of an hour", retry_after_s=wait_s)
        # outside of a writing transaction: argon2 takes its time on purpose
        user = user_of_password(session, username, password)
    with installation.database.write() as session:
        if user is not None:
            valid_for = timedelta(hours=settings.session_hours)
            return log_in(session, session.get_one(User, user.pk), valid_for=valid_for)
        for key in keys:
            count_or_refuse(session, key, limit=10**6, window_s=_QUARTER_HOUR_S, now_s=now_s)
    raise NotLoggedIn("the user name or the password is wrong")


def set_login_cookie(response: Response, installation: Installation, login: LoginSession) -> None:
    """Let the browser keep a session: not for scripts, not for other sites, not without https."""
    settings = installation.settings
    response.set_cookie(
        COOKIE,
        cookie_value(login.pk, settings.secret_key),
        max_age=settings.session_hours * 3600,
        path="/",
        httponly=True,
        samesite="lax",
        secure=settings.is_https,
    )


@router.post("/login/", responses=problems(), operation_id="log_in")
def login(
    credentials: Credentials, response: Response, installation: InstallationHere, asker: AskerHere
) -> Me:
    """Log in by password; the answer sets the cookie."""
    begun = authenticated_login(installation, credentials.username, credentials.password, asker.address)
    set_login_cookie(response, installation, begun)
    token = csrf_token(str(begun.pk), installation.settings.secret_key)
    return _me(installation, begun.user, None, token)


@router.post("/logout/", status_code=204, responses=problems(), operation_id="log_out")
def logout(response: Response, installation: InstallationHere, asker: AskerHere) -> None:
    """End the session of the cookie."""
    if asker.login_pk is not None:
        with installation.database.write() as session:
            log_out(session, asker.login_pk)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")


@router.get("/me/", responses=problems(), operation_id="me")
def me(installation: InstallationHere, asker: AskerHere) -> Me:
    """Who the service takes you for."""
    user = logged_in(asker)
    token = None
    if asker.login_pk is not None:
        token = csrf_token(str(asker.login_pk), installation.settings.secret_key)
    return _me(installation, user, None if asker.scopes is None else sorted(asker.scopes), token)


def _me(installation: Installation, user: User, scopes: list[Scope] | None, token: str | None) -> Me:
    with installation.database.read() as session:
        kept = kept_by(session, user.pk)
    return Me(
        storage=Storage(
            quota_bytes=installation.settings.quota_bytes,
            kept_bytes=kept.total,
            uploads_bytes=kept.uploads,
            images_bytes=kept.images,
            models_bytes=kept.models,
        ),
        username=user.username,
        email=user.email,
        is_administrator=user.is_administrator,
        scopes=scopes,
        csrf_token=token,
    )


@router.get("/tokens/", responses=problems(), operation_id="list_tokens")
def own_tokens(installation: InstallationHere, asker: AskerHere, paging: PagingHere) -> Page[TokenShape]:
    """Your tokens, also those that have ended."""
    user = logged_in(asker)
    with installation.database.read() as session:
        require(session, asker, Action.MANAGE_OWN_ACCOUNT)
        mine = select(Token).where(Token.user_pk == user.pk).order_by(Token.created.desc())
        return paging.page(session, mine, TokenShape.of)


@router.post("/tokens/", status_code=201, responses=problems(), operation_id="create_token")
def new_token(wanted: NewToken, installation: InstallationHere, asker: AskerHere) -> TokenWithSecret:
    """Make a token; its secret is in this answer and nowhere else."""
    user = logged_in(asker)
    with installation.database.write() as session:
        require(session, asker, Action.MANAGE_OWN_ACCOUNT)
        if asker.scopes is not None and not asker.scopes.issuperset(wanted.scopes):
            # a token must not make a stronger one
            wanted_more = ", ".join(sorted(set(wanted.scopes) - asker.scopes))
            raise tokens.InvalidToken(f"the token you ask with does not have the scopes {wanted_more}")
        token, secret = tokens.make_token(
            session,
            user,
            name=wanted.name,
            scopes=set(wanted.scopes),
            valid_for=timedelta(days=wanted.valid_days),
        )
        return TokenWithSecret(**TokenShape.of(token).model_dump(), token=secret)


@router.delete("/tokens/{pk}/", status_code=204, responses=problems(), operation_id="revoke_token")
def revoke_token(pk: UUID, installation: InstallationHere, asker: AskerHere) -> None:
    """Revoke a token of yours; it ends at once."""
    user = logged_in(asker)
    with installation.database.write() as session:
        require(session, asker, Action.MANAGE_OWN_ACCOUNT)
        token = found_row(session, Token, pk, "token")
        if token.user_pk != user.pk and not asker.is_administrator:
            raise NotThere(f"there is no token {pk}")
        tokens.revoke(session, token, actor=user.pk)
