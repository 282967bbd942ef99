"""The web application: API, pages and operations in one, made by a function."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from reseed import __version__
from reseed.service.api.problem import install_problems
from reseed.service.api.router import api_router
from reseed.service.installation import Installation
from reseed.service.middleware import BrowserHeaders, RequestLimits, RequestLog
from reseed.service.operations.health import readiness
from reseed.service.operations.metrics import RequestMetrics
from reseed.service.pages.router import install_pages

_DESCRIPTION = """\
Challenges whose leaderboard means something. Send a token as `Authorization: Bearer rsd_…`; errors are
`application/problem+json`; lists come in pages of `count`, `next`, `previous`, `results`.
"""


def web_application(installation: Installation) -> FastAPI:
    """The application of an installation; it starts nothing and opens nothing by itself."""
    settings = installation.settings
    metrics = RequestMetrics()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        installation.database.close()

    app = FastAPI(
        title="Reseed",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        # their pages load scripts from elsewhere, which our own rules for browsers refuse
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        separate_input_output_schemas=True,
    )
    app.state.installation = installation
    install_problems(app)
    _add_operations(app, installation, metrics)
    app.include_router(api_router())
    install_pages(app)
    app.add_middleware(RequestLimits, max_body_bytes=settings.max_body_bytes, unlimited="/api/v1/uploads")
    app.add_middleware(
        RequestLog,
        observe=lambda route, method, status, seconds: metrics.observe(
            route=route, method=method, status=status, seconds=seconds
        ),
    )
    app.add_middleware(BrowserHeaders, is_https=settings.is_https)
    if settings.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(settings.trusted_proxies))
    return app


def _add_operations(app: FastAPI, installation: Installation, metrics: RequestMetrics) -> None:
    @app.get("/healthz", include_in_schema=False)
    def health() -> dict[str, str]:
        """Whether the process lives."""
        return {"status": "ok", "version": __version__}

    @app.get("/readyz", include_in_schema=False)
    def ready() -> JSONResponse:
        """Whether it can do its work."""
        found = readiness(installation)
        status = "ok" if found.is_ready else "not ready"
        return JSONResponse({"status": status, "checks": found.checks}, 200 if found.is_ready else 503)

    @app.get("/metrics", include_in_schema=False)
    def numbers(request: Request) -> Response:
        """For Prometheus, which reads it beside the service: a proxy must not pass it on."""
        if request.headers.get("X-Forwarded-For"):
            return Response(status_code=404)
        text = metrics.text(installation.database)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
