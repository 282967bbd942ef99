"""What is done around every request: its number, its log line, limits and headers for browsers."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from fastapi.routing import iter_route_contexts
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reseed.service.api.problem import MEDIA_TYPE, unexpected

REQUEST_ID: Final = "X-Request-ID"
_LOG = logging.getLogger("reseed.service.requests")
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

# No inline script, nothing from elsewhere. Charts are drawn by our own script, which writes styles.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)

Observe = Callable[[str, str, int, float], None]
"""Route, method, status and seconds of a request that has ended."""


class RouteTemplates:
    """
    The path of a route as it was written, with its parameters in braces.

    What the scope names is the route as its router knows it, without the router's prefix.
    """

    def __init__(self) -> None:
        self._path_by_route: dict[int, str] = {}

    def __call__(self, scope: Scope) -> str:
        """The template of the route that served a request; `none` when there was no route."""
        route = scope.get("route")
        if route is None:
            return "none"
        if id(route) not in self._path_by_route:
            self._path_by_route = {
                id(each.original_route): each.path or "none"
                for each in iter_route_contexts(scope["app"].routes)
            }
        return self._path_by_route.get(id(route), "none")


class RequestLog:
    """
    Gives each request a number, says how it ended in one log line, and counts it.

    What nobody expected is answered here, so that it has a number too.

    A number that a proxy gave is kept, so that its log and ours can be read together.
    """

    def __init__(self, app: ASGIApp, *, observe: Observe) -> None:
        self._app = app
        self._observe = observe
        self._template_of = RouteTemplates()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        number = given if _GIVEN_ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = number
        started = time.perf_counter()
        status = 500
        is_begun = False

        async def send_with_number(message: Message) -> None:
            nonlocal status, is_begun
            if message["type"] == "http.response.start":
                is_begun = True
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = number
            await send(message)

        try:
            await self._app(scope, receive, send_with_number)
        except Exception:
            _LOG.exception("unexpected error", extra={"request": number})
            if is_begun:
                raise
            await unexpected(Request(scope))(scope, receive, send_with_number)
        finally:
            self._tell(scope, number, status, time.perf_counter() - started)

    def _tell(self, scope: Scope, number: str, status: int, seconds: float) -> None:
        route = self._template_of(scope)
        self._observe(route, scope["method"], status, seconds)
        client = scope.get("client")
        _LOG.info(
            "request",
            extra={
                "request": number,
                "method": scope["method"],
                # without the query, which may hold what people search for
                "path": scope["path"],
                "route": route,
                "status": status,
                "milliseconds": round(1000 * seconds, 1),
                "client": client[0] if client else "",
            },
        )


class BrowserHeaders:
    """Tells browsers what a page of ours may do, and nobody to keep what is personal."""

    def __init__(self, app: ASGIApp, *, is_https: bool) -> None:
        self._app = app
        self._headers = {
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        }
        if is_https:
            self._headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; a header that the route has set itself stays."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)


class RequestLimits:
    """
    Refuses bodies that are too large before they are in memory, and paths with a NUL in them.

    Parameters
    ----------
    app
        What is inside.
    max_body_bytes
        Of a request whose path does not begin with `unlimited`.
    unlimited
        Where uploads arrive, which have a limit of their own.
    """

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, unlimited: str) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._unlimited = unlimited

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        query = scope.get("query_string", b"").lower()
        if "\0" in scope["path"] or b"%00" in query or b"\0" in query:
            await _refusal(scope, 400, "the address has a NUL character")(scope, receive, send)
            return
        if scope["path"].startswith(self._unlimited):
            await self._app(scope, receive, send)
            return
        words = f"the body is larger than {self._max_body_bytes} bytes"
        announced = Headers(scope=scope).get("Content-Length", "0")
        if not announced.isdecimal() or int(announced) > self._max_body_bytes:
            await _refusal(scope, 413, words)(scope, receive, send)
            return
        n_bytes = 0

        async def receive_at_most() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > self._max_body_bytes:
                raise HTTPException(413, words)
            return message

        await self._app(scope, receive_at_most, send)


def _refusal(scope: Scope, status: int, detail: str) -> JSONResponse:
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": scope["path"],
        "request": scope.get("state", {}).get("request_id", ""),
        "mistakes": [],
    }
    return JSONResponse(problem, status, media_type=MEDIA_TYPE)
