"""The dependencies of every route: the installation, and who asks."""

from __future__ import annotations

import time
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request

from reseed.service.database.columns import now_utc
from reseed.service.database.models import Token
from reseed.service.installation import Installation
from reseed.service.security import csrf
from reseed.service.security.authorisation import Asker, NotAllowed, NotLoggedIn
from reseed.service.security.rates import count_or_refuse
from reseed.service.security.sessions import COOKIE, login_of_cookie
from reseed.service.security.tokens import InvalidToken, found_token, is_use_due, scopes_of


def _installation(request: Request) -> Installation:
    found = request.app.state.installation
    if not isinstance(found, Installation):
        raise TypeError("the application has no installation")
    return found


InstallationHere = Annotated[Installation, Depends(_installation)]


def asker_of(request: Request, installation: InstallationHere) -> Asker:
    """
    Who makes this request, by token or by cookie; counted against their rate.

    Raises
    ------
    NotLoggedIn
        When a token is not valid; a cookie that is not is as none.
    NotAllowed
        When a request with a cookie changes something and lacks its CSRF token.
    TooOften
    """
    address = "" if request.client is None else request.client.host
    authorization = request.headers.get("Authorization")
    if authorization is not None:
        # before the database is asked: guessing tokens must be slow
        installation.request_rate.take(f"address:{address}")
        asker = _by_token(installation, authorization, address)
    else:
        asker = _by_cookie(request, installation, address)
    key = f"address:{address}" if asker.pk is None else f"user:{asker.pk}"
    if authorization is None or asker.pk is not None:
        installation.request_rate.take(key)
    if request.method not in csrf.SAFE_METHODS:
        _check_csrf(request, installation, asker)
        if not request.url.path.startswith("/api/v1/uploads"):
            _count_write(installation, key)
    return asker


AskerHere = Annotated[Asker, Depends(asker_of)]


def _by_token(installation: Installation, authorization: str, address: str) -> Asker:
    kind, _, secret = authorization.partition(" ")
    if kind.lower() != "bearer" or not secret.strip():
        raise NotLoggedIn("send a token as: Authorization: Bearer rsd_…")
    try:
        with installation.database.read() as session:
            token = found_token(session, secret.strip())
    except InvalidToken as error:
        raise NotLoggedIn(str(error)) from None
    if is_use_due(token):
        with installation.database.write() as session:
            session.get_one(Token, token.pk).last_used_at = now_utc()
    return Asker(user=token.user, scopes=scopes_of(token), address=address)


def _by_cookie(request: Request, installation: Installation, address: str) -> Asker:
    value = request.cookies.get(COOKIE)
    if value is None:
        return Asker(address=address)
    with installation.database.read() as session:
        login = login_of_cookie(session, value, installation.settings.secret_key)
    if login is None:
        return Asker(address=address)
    return Asker(user=login.user, login_pk=login.pk, address=address)


def _check_csrf(request: Request, installation: Installation, asker: Asker) -> None:
    """A header here; a form's field is checked by the pages, which read forms (`is_form_ours`)."""
    if asker.login_pk is None:
        return
    if csrf.is_from_another_site(request.headers.get("Sec-Fetch-Site")):
        raise NotAllowed("the request comes from another site's page")
    is_form = request.headers.get("Content-Type", "").startswith(
        ("application/x-www-form-urlencoded", "multipart/form-data")
    )
    if is_form and not request.url.path.startswith("/api/"):
        return
    check_csrf_token(installation, asker.login_pk, request.headers.get(csrf.HEADER))


def check_csrf_token(installation: Installation, login_pk: UUID, token: str | None) -> None:
    """Refuse a request that changes something without the token of its log-in; raises NotAllowed."""
    if not csrf.is_csrf_token(token, str(login_pk), installation.settings.secret_key):
        raise NotAllowed(
            f"the CSRF token is missing or not of this log-in: send it as {csrf.HEADER}, "
            f"or as the form's field {csrf.FIELD}"
        )


def _count_write(installation: Installation, key: str) -> None:
    with installation.database.write() as session:
        count_or_refuse(
            session,
            f"writes:{key}",
            limit=installation.settings.writes_per_minute,
            window_s=60,
            now_s=time.time(),
        )
