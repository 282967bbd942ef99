"""
Every route × every role: who gets an answer, and who gets which refusal.

The routes come from the application, so that a new one without a line here fails.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from sqlalchemy import select
from starlette.routing import Mount

from reseed.service.database.models import User
from reseed.service.domain.permissions import Scope
from reseed.service.security.sessions import COOKIE, cookie_value, log_in
from reseed.service.security.tokens import make_token
from tests.service.world import ROLES, SECRET, World

# anonymous, viewer, participant, other participant, organiser, other organiser, administrator.
# The participant owns the team, the algorithm, its image and model, the submission and its evaluation;
# all of it belongs to a challenge that the other organiser does not organise.
ALL = "200 200 200 200 200 200 200"
USERS = "401 200 200 200 200 200 200"
OWNER = "401 404 200 404 404 404 200"
OWNER_AND_ORGANISER = "401 404 200 404 200 404 200"
ORGANISER = "401 403 403 403 200 403 200"
PAGE_OF_USERS = "303 200 200 200 200 200 200"

_ARCHIVE = {"algorithm": "net", "upload": str(UUID(int=1))}

EXPECTED: dict[str, tuple[str, object]] = {
    "GET /healthz": (ALL, None),
    "GET /readyz": (ALL, None),
    "GET /metrics": (ALL, None),
    "GET /api/v1/openapi.json": (ALL, None),
    "POST /api/v1/login/": ("401 401 401 401 401 401 401", {"username": "nobody", "password": "wrong"}),
    "POST /api/v1/logout/": ("204 204 204 204 204 204 204", None),
    "GET /api/v1/me/": (USERS, None),
    "GET /api/v1/tokens/": (USERS, None),
    "POST /api/v1/tokens/": ("401 201 201 201 201 201 201", {"name": "mine", "scopes": ["read"]}),
    "DELETE /api/v1/tokens/{token}/": ("401 404 204 404 404 404 204", None),
    "GET /api/v1/challenges/": (ALL, None),
    "GET /api/v1/challenges/{slug}/": (ALL, None),
    "PATCH /api/v1/challenges/{slug}/": (ORGANISER, {"title": "Nodules of the lung"}),
    "GET /api/v1/challenges/{slug}/phases/{phase}/": (ALL, None),
    "PATCH /api/v1/challenges/{slug}/phases/{phase}/": (ORGANISER, {"submissions_per_day": 3}),
    # It is not released.
    "GET /api/v1/challenges/{slug}/phases/{phase}/leaderboard/": ("404 404 404 404 200 404 200", None),
    "POST /api/v1/challenges/{slug}/join/": (USERS, None),
    "GET /api/v1/challenges/{slug}/participants/": (ORGANISER, None),
    "PATCH /api/v1/challenges/{slug}/participants/{membership}/": (ORGANISER, {"state": "accepted"}),
    "GET /api/v1/challenges/{slug}/teams/": ("401 200 200 200 200 403 200", None),
    "POST /api/v1/challenges/{slug}/teams/": ("401 403 409 201 403 403 201", {"name": "Alveoli"}),
    "POST /api/v1/challenges/{slug}/teams/{team}/invitations/": (
        "401 403 200 403 200 403 200",
        {"username": "viewer"},
    ),
    # Nobody has invited any of them.
    "POST /api/v1/challenges/{slug}/teams/{team}/join/": ("401 409 409 409 409 403 409", None),
    "DELETE /api/v1/challenges/{slug}/teams/{team}/members/{member}/": (
        "401 403 404 403 404 403 404",
        None,
    ),
    "GET /api/v1/algorithms/": (USERS, None),
    "POST /api/v1/algorithms/": ("401 201 201 201 201 201 201", {"slug": "second", "title": "Second"}),
    "GET /api/v1/algorithms/{algorithm}/": (OWNER, None),
    "GET /api/v1/algorithms/images/": (USERS, None),
    "GET /api/v1/algorithms/images/{image}/": (OWNER, None),
    # Its submission was evaluated.
    "DELETE /api/v1/algorithms/images/{image}/": ("401 404 409 404 404 404 409", None),
    "GET /api/v1/algorithms/models/": (USERS, None),
    # It is removed when the administrator asks.
    "DELETE /api/v1/algorithms/models/{model}/": ("401 404 204 404 404 404 409", None),
    "GET /api/v1/algorithms/models/{model}/": (OWNER, None),
    "OPTIONS /api/v1/uploads/": ("401 204 204 204 204 204 204", None),
    "GET /api/v1/uploads/": (USERS, None),
    # Without the protocol's version, which only those are told who may.
    "POST /api/v1/uploads/": ("401 412 412 412 412 412 412", None),
    "GET /api/v1/uploads/{upload}/": (OWNER, None),
    "PATCH /api/v1/uploads/{upload}/": ("401 404 412 404 404 404 412", None),
    "POST /api/v1/uploads/{upload}/": ("401 404 412 404 404 404 412", None),
    "DELETE /api/v1/uploads/{upload}/": ("401 404 412 404 404 404 412", None),
    # There is no such upload, algorithm or phase, which only those are told who may ask.
    "POST /api/v1/algorithms/images/": ("401 404 404 404 404 404 404", _ARCHIVE),
    "POST /api/v1/algorithms/models/": ("401 404 404 404 404 404 404", _ARCHIVE),
    "POST /api/v1/submissions/": (
        "401 404 404 404 404 404 404",
        {"phase": str(UUID(int=1)), "algorithm_image": str(UUID(int=1))},
    ),
    "GET /api/v1/submissions/": (USERS, None),
    "GET /api/v1/submissions/{submission}/": (OWNER_AND_ORGANISER, None),
    # It is over, which only those are told who may cancel it.
    "POST /api/v1/submissions/{submission}/cancel/": ("401 404 409 404 409 404 409", None),
    # The organisers' lists name the hidden cases; the phase shows nobody the log of its trial case.
    "GET /api/v1/submissions/{submission}/runs/{number}/logs/": (OWNER_AND_ORGANISER, None),
    "GET /api/v1/submissions/{submission}/runs/{number}/logs/{step}/": (
        "401 404 403 404 200 404 200",
        None,
    ),
    "GET /api/v1/evaluations/": (USERS, None),
    "GET /api/v1/evaluations/claimable_evaluations/": (USERS, None),
    "GET /api/v1/evaluations/{evaluation}/": (OWNER_AND_ORGANISER, None),
    # It is not external, which only those are told who may claim.
    "PATCH /api/v1/evaluations/{evaluation}/claim/": ("401 404 403 404 409 404 409", None),
    "PATCH /api/v1/evaluations/{evaluation}/update_external_evaluation/": (
        "401 404 403 404 409 404 409",
        {"status": "Failed", "error_message": "no answer"},
    ),
    # Pages: whoever has not logged in is led to the form.
    "GET /": (ALL, None),
    "GET /challenges/{slug}/": (ALL, None),
    "POST /challenges/{slug}/join/": ("303 303 303 303 303 303 303", None),
    "GET /challenges/{slug}/teams/": ("303 200 200 200 200 403 200", None),
    "POST /challenges/{slug}/teams/": ("303 403 422 422 403 403 422", None),
    "POST /challenges/{slug}/teams/{team}/invitations/": ("303 403 422 403 422 403 422", None),
    "POST /challenges/{slug}/teams/{team}/join/": ("303 409 409 409 409 403 409", None),
    "POST /challenges/{slug}/teams/{team}/members/{member}/remove/": ("303 403 404 403 404 403 404", None),
    "GET /challenges/{slug}/phases/{phase}/": (ALL, None),
    "GET /challenges/{slug}/phases/{phase}/leaderboard/": ("404 404 404 404 200 404 200", None),
    "GET /challenges/{slug}/phases/{phase}/submit/": (PAGE_OF_USERS, None),
    "POST /challenges/{slug}/phases/{phase}/submit/": ("303 403 422 422 422 403 422", None),
    "GET /challenges/{slug}/phases/{phase}/organise/": ("303 403 403 403 200 403 200", None),
    "POST /challenges/{slug}/phases/{phase}/organise/": ("303 403 403 403 303 403 303", None),
    "POST /challenges/{slug}/phases/{phase}/organise/participants/{membership}/": (
        "303 403 403 403 422 403 422",
        None,
    ),
    "GET /submissions/{submission}/": ("303 404 200 404 200 404 200", None),
    "GET /submissions/{submission}/runs/{number}/logs/": ("303 404 200 404 200 404 200", None),
    "GET /submissions/{submission}/runs/{number}/logs/{step}/": ("303 404 403 404 200 404 200", None),
    "POST /submissions/{submission}/cancel/": ("303 404 409 404 409 404 409", None),
    "GET /evaluations/{evaluation}/": ("303 404 200 404 200 404 200", None),
    # The owner sees nothing by case before the release.
    "GET /evaluations/{evaluation}/cases.csv": ("303 404 404 404 200 404 200", None),
    "GET /login/": ("200 303 303 303 303 303 303", None),
    "POST /login/": ("403 403 403 403 403 403 403", None),
    "POST /logout/": ("303 303 303 303 303 303 303", None),
    "GET /account/": (PAGE_OF_USERS, None),
    "POST /account/images/{image}/remove/": ("303 404 409 404 404 404 409", None),
    "POST /account/models/{model}/remove/": ("303 404 303 404 404 404 409", None),
    "POST /account/tokens/": ("303 422 422 422 422 422 422", None),
    "POST /account/tokens/{token}/revoke/": ("303 404 303 404 404 404 303", None),
}

# Whether a token has which scopes does not matter for them: they are about nothing of anybody's.
UNSCOPED = {
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/v1/openapi.json",
    "/api/v1/login/",
    "/api/v1/logout/",
    "/api/v1/me/",
    "/login/",
    "/logout/",
}

# What a parameter of a route's path is called here, where its own name says too little.
NAMES = {
    "/tokens/{pk}/": "token",
    "/participants/{pk}/": "membership",
    "/teams/{pk}/members/{username}/": "team",
    "/teams/{pk}/invitations/": "team",
    "/teams/{pk}/join/": "team",
    "/algorithms/{slug}/": "algorithm",
    "/images/{pk}/": "image",
    "/models/{pk}/": "model",
    "/submissions/{pk}/": "submission",
    "/uploads/{pk}/": "upload",
    "/evaluations/{pk}/": "evaluation",
}


def _routes(app: FastAPI) -> list[str]:
    """METHOD path of every route, the parameters under their names here; static files are anybody's."""
    found = []
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, Mount):
            continue
        path = route.path
        assert path is not None
        for part, name in NAMES.items():
            if part in path:
                named = part.replace("{pk}", f"{{{name}}}").replace("{username}", "{member}")
                if part == "/algorithms/{slug}/":
                    named = "/algorithms/{algorithm}/"
                path = path.replace(part, named)
        found += [f"{method} {path}" for method in sorted(route.methods or ()) if method != "HEAD"]
    return found


@pytest.fixture
def names(first_world: World) -> dict[str, str]:
    return {
        **first_world.names,
        "token": first_world.names["token_of_participant"],
        "member": "nobody",
        "number": "1",
    }


def _send(client: TestClient, route: str, names: dict[str, str], body: object):
    method, path = route.split(" ")
    return client.request(method, path.format(**names), json=body, follow_redirects=False)


def _with_own_name(body: object, role: str) -> object:
    """What is made has a name that nobody else has taken."""
    if not isinstance(body, dict):
        return body
    own = f"second-{role.replace('_', '-')}"
    return {**body, **{key: own for key in ("slug", "name") if key in body}}


def test_every_route_has_an_expectation(world: World):
    """A new route without one fails here, and so does an expectation of a route that is gone."""
    assert sorted(_routes(world.app)) == sorted(EXPECTED)


@pytest.mark.parametrize("route", EXPECTED)
def test_who_may(world: World, names: dict[str, str], route: str):
    """Each role in a world of its own would be slow: the most powerful comes last."""
    statuses, body = EXPECTED[route]
    found = {}
    for role in ROLES:
        with world.client(role) as client:
            answer = _send(client, route, names, _with_own_name(body, role))
        found[role] = str(answer.status_code)
        if answer.status_code >= 400:
            is_page = not route.split()[1].startswith("/api/")
            expected = "text/html; charset=utf-8" if is_page else "application/problem+json"
            assert answer.headers["content-type"] == expected

    assert found == dict(zip(ROLES, statuses.split(), strict=True))


@pytest.mark.parametrize("route", [route for route in EXPECTED if not route.startswith(("GET", "OPTIONS"))])
def test_a_cookie_alone_changes_nothing(first_world: World, names: dict[str, str], route: str):
    """Another site's page can make a browser send its cookie, but not the CSRF token."""
    with first_world.database.write() as session:
        user = session.scalars(select(User).where(User.username == "administrator")).one()
        login = log_in(session, user, valid_for=timedelta(hours=1))
    cookie = {COOKIE: cookie_value(login.pk, SECRET)}
    with TestClient(first_world.app, cookies=cookie, raise_server_exceptions=False) as client:
        assert client.get("/api/v1/me/").status_code == 200
        answer = _send(client, route, names, EXPECTED[route][1])

    assert answer.status_code == 403, answer.text
    assert "CSRF" in answer.text or not route.split()[1].startswith("/api/")


@pytest.mark.parametrize("route", EXPECTED)
def test_a_token_without_scopes_for_it_is_refused(first_world: World, names: dict[str, str], route: str):
    """A token to read changes nothing, whoever it belongs to; one to evaluate reads nothing."""
    method, path = route.split()
    reads = method == "GET"
    scope = Scope.EVALUATE if reads else Scope.READ
    with first_world.database.write() as session:
        user = session.scalars(select(User).where(User.username == "administrator")).one()
        _, secret = make_token(session, user, name="x", scopes=[scope], valid_for=timedelta(days=1))
    with TestClient(first_world.app, headers={"Authorization": f"Bearer {secret}"}) as client:
        answer = _send(client, route, names, EXPECTED[route][1])

    if path in UNSCOPED:
        assert answer.status_code < 500
    else:
        assert answer.status_code == 403, answer.text
        assert "scopes" in answer.text
