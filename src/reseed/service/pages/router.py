"""All pages, their static files, and how an error looks on one."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

from reseed.service.api.problem import Problem
from reseed.service.pages import account, boards, evaluations, home, logs, organise, submissions, teams
from reseed.service.pages.rendering import FOLDER, STATIC_PATH, error_page


class _Kept(StaticFiles):
    """Static files that browsers may keep for a while: their addresses name the version."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=86400"
        return response


def install_pages(app: FastAPI) -> None:
    """Add the pages to an application that has its API."""
    router = APIRouter(include_in_schema=False)
    for module in (home, boards, submissions, logs, evaluations, organise, teams, account):
        router.include_router(module.router)
    app.include_router(router)
    app.mount(STATIC_PATH, _Kept(directory=FOLDER / "static"), name="static")
    app.state.error_page = _problem_page


def _problem_page(request: Request, problem: Problem) -> Response:
    """A page for people; to the form to log in where that is what it takes."""
    if problem.status == 401:
        to = request.url.path if request.method == "GET" else "/"
        return RedirectResponse(f"/login/?{urlencode({'to': to})}", 303)
    return error_page(request, problem)
