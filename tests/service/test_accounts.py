"""Accounts: log-ins, cookies and tokens, on both databases."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, text, update

from reseed.service.database.columns import now_utc
from reseed.service.database.engine import Database
from reseed.service.database.models import Token
from reseed.service.security import accounts
from reseed.service.security.csrf import HEADER, is_csrf_token
from reseed.service.security.sessions import COOKIE
from tests.service.world import World, build_world, empty_world

PASSWORD = "correct horse battery"


def _with_password(world: World) -> World:
    with world.database.write() as session:
        accounts.set_password(session, accounts.named_user(session, "participant"), PASSWORD)
    return world


def _log_in(client: TestClient, password: str = PASSWORD):
    return client.post("/api/v1/login/", json={"username": "Participant", "password": password})


def test_log_in_change_log_out(world_of_each_kind: World):
    """The cookie is not for scripts or other sites; after the log-out it is worth nothing."""
    world = _with_password(world_of_each_kind)
    with world.client() as client:
        answer = _log_in(client)
        assert answer.status_code == 200
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        token = answer.json()["csrf_token"]
        kept = client.cookies[COOKIE]
        new = client.post("/api/v1/tokens/", json={"name": "ci", "scopes": ["read"]}, headers={HEADER: token})
        assert new.status_code == 201
        assert client.post("/api/v1/logout/", headers={HEADER: token}).status_code == 204

        client.cookies.set(COOKIE, kept)
        assert client.get("/api/v1/me/").status_code == 401


def test_a_forged_cookie_is_nobody(world: World):
    """Whatever it holds."""
    for value in ("x", "", '"abc.def"', "WyJhIl0.xxxx"):
        with world.client() as client:
            client.cookies.set(COOKIE, value)
            assert client.get("/api/v1/me/").status_code == 401


def test_a_new_password_ends_log_ins(world: World):
    """And so does closing the account."""
    _with_password(world)
    with world.client() as client:
        _log_in(client)
        assert client.get("/api/v1/me/").status_code == 200
        _with_password(world)
        assert client.get("/api/v1/me/").status_code == 401
        _log_in(client)
        with world.database.write() as session:
            accounts.close_account(session, accounts.named_user(session, "participant"))
        assert client.get("/api/v1/me/").status_code == 401
        assert _log_in(client).status_code == 401
    with world.client("participant") as client:
        assert client.get("/api/v1/me/").status_code == 401


def test_too_many_failures_close_the_door_for_a_while(sqlite_database: Database, tmp_path: Path):
    """Also for the right password, and the answer says when to come back."""
    world = _with_password(build_world(sqlite_database, tmp_path, RESEED_LOGINS_PER_QUARTER_HOUR="2"))
    with world.client() as client:
        assert [_log_in(client, "wrong").status_code for _ in range(2)] == [401, 401]
        answer = _log_in(client)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 901


def test_writes_are_limited_for_each_user(sqlite_database: Database, tmp_path: Path):
    """Reading goes on, and so does another user."""
    world = build_world(sqlite_database, tmp_path, RESEED_WRITES_PER_MINUTE="1")
    with world.client("participant") as client:
        answers = [client.post("/api/v1/challenges/nodules/join/").status_code for _ in range(3)]
        assert 429 in answers
        assert client.get("/api/v1/me/").status_code == 200
    with world.client("viewer") as client:
        assert client.post("/api/v1/challenges/nodules/join/").status_code == 200


class TestTokens:
    def test_the_database_never_holds_the_secret(self, world_of_each_kind: World):
        """Shown once; what is kept cannot be used."""
        with world_of_each_kind.client("viewer") as client:
            made = client.post("/api/v1/tokens/", json={"name": "ci", "scopes": ["read"]}).json()
            listed = client.get("/api/v1/tokens/").json()
        secret = made["token"]
        assert secret.startswith("rsd_")
        assert len(secret) == 4 + 43
        assert secret not in str(listed)
        with world_of_each_kind.database.read() as session:
            kept = session.execute(text("SELECT * FROM tokens")).all()
        assert secret not in str(kept)
        assert secret[4:] not in str(kept)

    def test_revoked_and_expired_ones_are_refused_alike(self, world: World):
        """Neither says that it once was valid."""
        with world.client("viewer") as client:
            pk = world.names["token_of_viewer"]
            assert client.delete(f"/api/v1/tokens/{pk}/").status_code == 204
            revoked = client.get("/api/v1/me/")
        with world.database.write() as session:
            session.execute(update(Token).values(expires_at=now_utc() - timedelta(seconds=1)))
        with world.client("organiser") as client:
            expired = client.get("/api/v1/me/")
        assert revoked.status_code == expired.status_code == 401
        assert revoked.json()["detail"] == expired.json()["detail"]

    def test_a_token_cannot_make_a_stronger_one(self, world: World):
        """Otherwise scopes would mean nothing."""
        with world.client("viewer") as client:
            weak = client.post("/api/v1/tokens/", json={"name": "a", "scopes": ["account"]}).json()
            client.headers["Authorization"] = f"Bearer {weak['token']}"
            answer = client.post("/api/v1/tokens/", json={"name": "b", "scopes": ["submit"]})
        assert answer.status_code == 422
        assert "submit" in answer.json()["detail"]

    @pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "Bearer rsd_wrong", "rsd_wrong"])
    def test_another_header_is_explained(self, world: World, header: str):
        """401, with how it is done."""
        with world.client() as client:
            answer = client.get("/api/v1/challenges/", headers={"Authorization": header})
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")

    def test_the_last_use_is_written(self, world: World):
        """So that people can tell which ones to revoke."""
        with world.database.write() as session:
            session.execute(update(Token).values(last_used_at=None))  # other tests have used them
        with world.client("viewer") as client:
            client.get("/api/v1/me/")
        with world.database.read() as session:
            used = session.scalars(select(Token.pk).where(Token.last_used_at.is_not(None))).all()
        assert [str(pk) for pk in used] == [world.names["token_of_viewer"]]


def test_https_makes_cookies_secure(sqlite_database: Database, tmp_path: Path):
    """And browsers are told to stay with https."""
    world = empty_world(sqlite_database, tmp_path, RESEED_BASE_URL="https://reseed.example")
    with world.database.write() as session:
        accounts.add_user(session, "participant", password=PASSWORD)
    with world.client() as client:
        answer = _log_in(client)
    assert "; Secure" in answer.headers["set-cookie"]
    assert "max-age" in answer.headers["Strict-Transport-Security"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "login/", {"username": "a\x00b", "password": "x"}, 401),
        ("POST", "login/", {"username": "é" * 64, "password": "x\x00"}, 401),
        ("POST", "tokens/", {"name": "n" * 101, "scopes": ["read"]}, 422),
        ("PATCH", "challenges/nodules/phases/final/", {"opens_at": "0001-01-01T00:00:00+14:00"}, 422),
        ("PATCH", "challenges/nodules/phases/final/", {"closes_at": "9999-12-31T23:59:59-14:00"}, 422),
    ],
)
def test_what_no_database_can_hold(
    world_of_each_kind: World, method: str, path: str, body: dict[str, object], status: int
):
    """It is refused, and nothing fails."""
    with world_of_each_kind.client("administrator") as client:
        assert client.request(method, f"/api/v1/{path}", json=body).status_code == status


def test_a_csrf_token_that_is_no_text(world: World):
    """Half a character of another encoding in the form is a wrong token."""
    assert not is_csrf_token("\ud800", "subject", world.installation.settings.secret_key)
