"""Errors as application/problem+json (RFC 9457), each with the number of its request."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import DataError, IntegrityError
from starlette.exceptions import HTTPException

from reseed.contracts.errors import UserError
from reseed.service.database.transitions import StateChanged
from reseed.service.domain.states import ForbiddenTransition
from reseed.service.leaderboards import BeingMade, NotMade
from reseed.service.security.authorisation import NotAllowed, NotLoggedIn, NotThere
from reseed.service.security.rates import TooOften
from reseed.service.uploads import refusals

MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger(__name__)


class Mistake(BaseModel):
    """One thing that is wrong with a request."""

    place: str = Field(description="Where it is: body.title, query.limit.")
    rule: str


class Problem(BaseModel):
    """What went wrong with a request, for programs and people."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str = Field(description="The path that was asked for.")
    request: str = Field(default="", description="Number of the request in the service's log.")
    mistakes: list[Mistake] = Field(default_factory=list)


class Conflict(UserError):
    """The request does not fit the state that things are in."""


class Removed(UserError):
    """What was asked for was kept for its time and is removed."""


class Unacceptable(UserError):
    """The request is understood, and breaks a rule."""


ErrorPage = Callable[[Request, Problem], Response]
"""Writes a problem as a page for people; the pages put theirs at `app.state.error_page`."""

_STATUS: dict[type[Exception], int] = {
    NotLoggedIn: 401,
    NotAllowed: 403,
    NotThere: 404,
    Conflict: 409,
    StateChanged: 409,
    ForbiddenTransition: 409,
    Removed: 410,
    Unacceptable: 422,
    TooOften: 429,
    UserError: 422,
    NotMade: 500,
    BeingMade: 503,
    refusals.InvalidHeader: 400,
    refusals.TooSlow: 408,
    refusals.OffsetConflict: 409,
    refusals.UploadGone: 410,
    refusals.UnknownProtocol: 412,
    refusals.TooLarge: 413,
    refusals.UnknownContent: 415,
    refusals.UploadBusy: 423,
    refusals.ChecksumMismatch: 460,
    refusals.DiskFull: 507,
}
# Of the upload protocol, which HTTP does not know.
_OTHER_PHRASES = {460: "Checksum Mismatch"}


def phrase(status: int) -> str:
    """What a status is called."""
    return _OTHER_PHRASES.get(status) or HTTPStatus(status).phrase


def problem_response(
    request: Request,
    status: int,
    detail: str,
    *,
    mistakes: list[Mistake] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer to a request that failed: a problem document, or a page outside /api."""
    problem = Problem(
        title=phrase(status),
        status=status,
        detail=detail,
        instance=request.url.path,
        request=getattr(request.state, "request_id", ""),
        mistakes=mistakes or [],
    )
    page: ErrorPage | None = getattr(request.app.state, "error_page", None)
    if page is not None and not request.url.path.startswith("/api/"):
        response = page(request, problem)
        response.headers.update(headers or {})
        return response
    return JSONResponse(
        problem.model_dump(mode="json"), status, headers=dict(headers or {}), media_type=MEDIA_TYPE
    )


def install_problems(app: FastAPI) -> None:
    """Let every exception of a request end as a problem."""
    for kind in _STATUS:
        app.add_exception_handler(kind, _refusal)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(IntegrityError, _twice)
    app.add_exception_handler(DataError, _unfit)


def _refusal(request: Request, error: Exception) -> Response:
    status = next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
    headers = {}
    if isinstance(error, TooOften | BeingMade):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, NotLoggedIn):
        headers["WWW-Authenticate"] = 'Bearer realm="reseed"'
    detail = str(error)
    if isinstance(error, StateChanged | ForbiddenTransition):
        detail = "somebody else was faster: its state has changed"
    return problem_response(request, status, detail, headers=headers)


def _http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise TypeError(error)
    return problem_response(request, error.status_code, str(error.detail), headers=error.headers)


def _validation(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise TypeError(error)
    mistakes = [
        Mistake(place=".".join(str(part) for part in each["loc"]), rule=str(each["msg"]))
        for each in error.errors()
    ]
    detail = "; ".join(f"{mistake.place}: {mistake.rule}" for mistake in mistakes[:3])
    return problem_response(request, 422, detail, mistakes=mistakes)


def _twice(request: Request, error: Exception) -> Response:
    # two requests side by side, each of which found nothing in its way
    _LOG.info("refused by a constraint", extra={"error": str(error)})
    return problem_response(request, 409, "somebody else was faster: there is one like it already")


def _unfit(request: Request, error: Exception) -> Response:
    _LOG.warning("refused by the database", extra={"error": str(error)})
    return problem_response(request, 422, "a value is longer than fits, or is no text that can be kept")


def unexpected(request: Request) -> Response:
    """The answer when the service itself has failed: its number in the log, and nothing of the cause."""
    return problem_response(request, 500, "the service failed; its operator finds this request in the log")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route says in the OpenAPI document about how it fails."""
    return {
        status: {
            "model": Problem,
            "description": phrase(status),
            "content": {MEDIA_TYPE: {}},
        }
        for status in sorted({*statuses, 400, 401, 403, 404, 422, 429})
    }
