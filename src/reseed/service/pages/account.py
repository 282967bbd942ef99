"""The pages of a person's own account: log in and out, what they keep, tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from reseed.service.api import accounts, archives
from reseed.service.api.accounts import NewToken, authenticated_login, set_login_cookie
from reseed.service.api.asking import AskerHere, InstallationHere
from reseed.service.database.columns import now_utc
from reseed.service.database.models import AlgorithmImage, AlgorithmModel, Submission, Token
from reseed.service.domain.permissions import Action, Scope
from reseed.service.domain.states import ArchiveState
from reseed.service.images.keeping import is_needed, used_by
from reseed.service.pages.forms import FormHere, checked, field, inner_path, see
from reseed.service.pages.rendering import page
from reseed.service.security import csrf
from reseed.service.security.authorisation import (
    NotAllowed,
    NotLoggedIn,
    logged_in,
    own_submissions,
    require,
)
from reseed.service.security.rates import TooOften
from reseed.service.security.sessions import COOKIE, log_out
from reseed.service.uploads.admission import kept_by

router = APIRouter()

_ARCHIVES_SHOWN = 100

SCOPE_MEANINGS = {
    Scope.READ: "read challenges, leaderboards and your own submissions",
    Scope.SUBMIT: "upload, submit and cancel in your name",
    Scope.ORGANISE: "change the challenges that you organise",
    Scope.EVALUATE: "claim and update external evaluations",
    Scope.ACCOUNT: "make and revoke your tokens",
}


@router.get("/login/")
def login_form(
    request: Request,
    installation: InstallationHere,
    asker: AskerHere,
    to: Annotated[str, Query(max_length=500)] = "/",
) -> Response:
    """The form to log in by."""
    if asker.user is not None:
        return see(inner_path(to))
    return _login_page(request, installation.settings.secret_key, asker, to=to)


def _login_page(
    request: Request,
    secret_key: str,
    asker: AskerHere,
    *,
    to: str,
    status: int = 200,
    username: str = "",
    refusal: str = "",
) -> Response:
    visitor = request.cookies.get(csrf.COOKIE) or csrf.new_visitor()
    response = page(
        request,
        "login.html",
        asker,
        status=status,
        csrf=csrf.csrf_token(visitor, secret_key),
        to=inner_path(to),
        username=username,
        refusal=refusal,
    )
    response.set_cookie(
        csrf.COOKIE,
        visitor,
        path="/login/",
        httponly=True,
        samesite="lax",
        secure=request.app.state.installation.settings.is_https,
    )
    return response


@router.post("/login/")
async def login(request: Request, installation: InstallationHere, asker: AskerHere) -> Response:
    """Log in by password; the answer sets the cookie and leads on."""
    form = await request.form()
    secret_key = installation.settings.secret_key
    visitor = request.cookies.get(csrf.COOKIE, "")
    if not visitor or not csrf.is_csrf_token(field(form, csrf.FIELD), visitor, secret_key):
        raise NotAllowed("the form is not from our own page, or the browser refuses cookies; load it again")
    to, username = field(form, "to", "/"), field(form, "username")[:64]
    password = form.get("password", "")
    try:
        begun = await run_in_threadpool(
            authenticated_login, installation, username, str(password)[:512], asker.address
        )
    except (NotLoggedIn, TooOften) as error:
        status = 429 if isinstance(error, TooOften) else 401
        return _login_page(
            request, secret_key, asker, to=to, status=status, username=username, refusal=str(error)
        )
    response = see(inner_path(to))
    set_login_cookie(response, installation, begun)
    return response


@router.post("/logout/")
def logout(installation: InstallationHere, asker: AskerHere, _form: FormHere) -> RedirectResponse:
    """End the session of the cookie."""
    if asker.login_pk is not None:
        with installation.database.write() as session:
            log_out(session, asker.login_pk)
    response = see("/")
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    return response


@router.get("/account/")
def account(request: Request, installation: InstallationHere, asker: AskerHere) -> Response:
    """Your submissions, what you keep, and your tokens."""
    return _account_page(request, installation, asker)


def _account_page(
    request: Request, installation: InstallationHere, asker: AskerHere, *, secret: str = ""
) -> Response:
    user = logged_in(asker)
    with installation.database.read() as session:
        require(session, asker, Action.MANAGE_OWN_ACCOUNT)
        tokens = session.scalars(
            select(Token).where(Token.user_pk == user.pk).order_by(Token.created.desc()).limit(50)
        ).all()
        submissions = session.scalars(
            select(Submission).where(own_submissions(asker)).order_by(Submission.created.desc()).limit(50)
        ).all()
        return page(
            request,
            "account.html",
            asker,
            kept=kept_by(session, user.pk),
            quota_bytes=installation.settings.quota_bytes,
            archives=_archives(session, user.pk),
            tokens=tokens,
            submissions=submissions,
            scopes=SCOPE_MEANINGS,
            secret=secret,
            now=now_utc(),
        )


@dataclass(frozen=True)
class KeptArchive:
    """An image or a model that is kept."""

    kind: str
    row: AlgorithmImage | AlgorithmModel
    is_needed: bool


def _archives(session: Session, user_pk: UUID) -> list[KeptArchive]:
    """The newest images and models of a person that count in the quota."""
    found: list[KeptArchive] = []
    tables: tuple[tuple[str, type[Any]], ...] = (("image", AlgorithmImage), ("model", AlgorithmModel))
    for kind, table in tables:
        needed = used_by(table).where(is_needed()).correlate(table).exists()
        rows = session.execute(
            select(table, needed)
            .where(table.creator_pk == user_pk, table.state == ArchiveState.READY)
            .order_by(table.created.desc())
            .limit(_ARCHIVES_SHOWN)
        )
        found += [KeptArchive(kind, row, is_needed=bool(needs)) for row, needs in rows]
    return found


@router.post("/account/images/{pk}/remove/")
def remove_image(pk: UUID, installation: InstallationHere, asker: AskerHere, _form: FormHere) -> Response:
    """Remove an image of yours."""
    archives.remove_image(pk, installation, asker)
    return see("/account/")


@router.post("/account/models/{pk}/remove/")
def remove_model(pk: UUID, installation: InstallationHere, asker: AskerHere, _form: FormHere) -> Response:
    """Remove a model of yours."""
    archives.remove_model(pk, installation, asker)
    return see("/account/")


@router.post("/account/tokens/")
def new_token(request: Request, installation: InstallationHere, asker: AskerHere, form: FormHere) -> Response:
    """Make a token; its secret is on this page and nowhere else."""
    with installation.database.read() as session:
        require(session, asker, Action.MANAGE_OWN_ACCOUNT)
    wanted = checked(
        NewToken,
        {
            "name": field(form, "name"),
            "scopes": [str(scope) for scope in form.getlist("scopes")],
            "valid_days": field(form, "valid_days", "90"),
        },
    )
    made = accounts.new_token(wanted, installation, asker)
    return _account_page(request, installation, asker, secret=made.token)


@router.post("/account/tokens/{pk}/revoke/")
def revoke_token(pk: UUID, installation: InstallationHere, asker: AskerHere, _form: FormHere) -> Response:
    """Revoke a token of yours."""
    accounts.revoke_token(pk, installation, asker)
    return see("/account/")
