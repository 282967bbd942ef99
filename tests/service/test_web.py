"""The web application: pages of results, problems, limits, headers, health, numbers."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from reseed.service.database.engine import Database
from reseed.service.operations.logs import JsonLines
from reseed.service.web import web_application
from tests.service.rows import add_challenge
from tests.service.world import World, empty_world


def test_lists_come_in_pages(world_of_each_kind: World):
    """Following `next` meets everything once, in the platform's shape."""
    with world_of_each_kind.database.write() as session:
        for number in range(7):
            add_challenge(session, f"challenge-{number}")
    seen = []
    with world_of_each_kind.client() as client:
        url = "/api/v1/challenges/?limit=3"
        while url:
            page = client.get(url.removeprefix("http://testserver")).json()
            assert sorted(page) == ["count", "next", "previous", "results"]
            assert page["count"] == 8
            seen += [each["slug"] for each in page["results"]]
            url = page["next"]
        assert client.get("/api/v1/challenges/?limit=3&offset=3").json()["previous"] is not None
    assert len(seen) == len(set(seen)) == 8


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing/", 404),
        ("PUT", "/api/v1/me/", 405),
        ("GET", "/api/v1/challenges/?limit=0", 422),
        ("GET", "/api/v1/challenges/x%00y/", 400),
        ("GET", "/api/v1/submissions/not-a-uuid/", 422),
    ],
)
def test_every_failure_is_a_problem_document(world: World, method: str, path: str, status: int):
    """With the number of the request, which is in the log too."""
    with world.client("viewer") as client:
        answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["request"] == answer.headers["X-Request-ID"]


def test_an_unexpected_error_says_nothing_of_itself(world: World, caplog: pytest.LogCaptureFixture):
    """The person gets a number, the log the traceback."""
    with world.database.write() as session:
        session.execute(text("DROP TABLE team_members"))
        session.execute(text("DROP TABLE events"))
    with world.client("participant") as client:
        answer = client.get("/api/v1/submissions/")
    assert answer.status_code == 500
    assert "team_members" not in answer.text
    assert answer.json()["request"] == answer.headers["X-Request-ID"]
    assert any("team_members" in str(record.exc_info) for record in caplog.records if record.exc_info)


def test_a_body_that_is_too_large_is_refused(sqlite_database: Database, tmp_path: Path):
    """Announced or not, before it is in memory."""
    world = empty_world(sqlite_database, tmp_path, RESEED_MAX_BODY_BYTES="2000")
    with world.client() as client:
        for content in (b"x" * 2001, iter([b"x" * 1500, b"x" * 1500])):
            answer = client.post(
                "/api/v1/login/", content=content, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == 413
            assert answer.headers["content-type"] == "application/problem+json"


def test_browsers_are_told_what_a_page_may_do(world: World):
    """No inline script, no frame, nothing kept; on refusals too."""
    with world.client() as client:
        for path in ("/api/v1/challenges/", "/api/v1/nothing/"):
            headers = client.get(path).headers
            policy = headers["Content-Security-Policy"]
            assert "script-src 'self'" in policy
            assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Cache-Control"] == "no-store"


class TestProxies:
    def _address(self, database: Database, folder: Path, trusted: str) -> str:
        world = empty_world(database, folder, RESEED_TRUSTED_PROXIES=trusted)
        records: list[logging.LogRecord] = []
        handler = logging.Handler()
        handler.emit = records.append  # type: ignore[method-assign, assignment]
        logger = logging.getLogger("reseed.service.requests")
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            with TestClient(world.app, client=("10.1.2.3", 5)) as client:
                client.get("/healthz", headers={"X-Forwarded-For": "203.0.113.9"})
        finally:
            logger.removeHandler(handler)
        return str(vars(records[-1])["client"])

    def test_a_trusted_proxy_is_believed(self, sqlite_database: Database, tmp_path: Path):
        """The log has the address of the person."""
        assert self._address(sqlite_database, tmp_path, "10.0.0.0/8") == "203.0.113.9"

    def test_anybody_else_is_not(self, sqlite_database: Database, tmp_path: Path):
        """Otherwise everyone could choose the address that is counted."""
        assert self._address(sqlite_database, tmp_path, "192.168.0.1") == "10.1.2.3"
        assert self._address(sqlite_database, tmp_path, "") == "10.1.2.3"


class TestOperations:
    def test_ready_when_everything_is_there(self, world_of_each_kind: World):
        """Each check by name."""
        with world_of_each_kind.client() as client:
            answer = client.get("/readyz")
        assert answer.json()["checks"] == {"database": "ok", "data_folder": "ok"}

    def test_not_ready_without_tables_or_folder(self, tmp_path: Path):
        """503, and what is wrong; alive all the same."""
        database = Database(f"sqlite:///{tmp_path}/empty.sqlite3")
        world = empty_world(database, tmp_path / "missing")
        with world.client() as client:
            answer = client.get("/readyz")
            assert client.get("/healthz").status_code == 200
        assert answer.status_code == 503
        assert "reseed service migrate" in answer.json()["checks"]["database"]
        assert "cannot be written to" in answer.json()["checks"]["data_folder"]

    def test_numbers_have_templates_of_routes_and_states(self, world: World):
        """Not one series for each address; nothing to whom comes through a proxy."""
        with world.client("participant") as client:
            client.get(f"/api/v1/submissions/{world.names['submission']}/")
            numbers = client.get("/metrics").text
            assert client.get("/metrics", headers={"X-Forwarded-For": "1.2.3.4"}).status_code == 404
        route = 'route="/api/v1/submissions/{pk}/"'
        assert f'reseed_http_requests_total{{method="GET",{route},status="200"}} 1.0' in numbers
        assert 'reseed_submissions{state="evaluated"} 1.0' in numbers
        assert world.names["submission"] not in numbers

    def test_a_log_line_is_json_with_its_extra(self):
        """One object a line, with a traceback when there is one."""
        record = logging.makeLogRecord(
            {"name": "x", "levelname": "INFO", "msg": "request\nnext", "status": 200}
        )
        line = JsonLines().format(record)
        assert "\n" not in line
        assert json.loads(line)["status"] == 200
        assert json.loads(line)["event"] == "request\nnext"


def test_making_the_application_opens_nothing(tmp_path: Path):
    """Importing and making it is free of effects; only requests touch the disk."""
    folder = tmp_path / "data"
    world = empty_world(Database(f"sqlite:///{tmp_path}/x/reseed.sqlite3"), folder)
    web_application(world.installation)
    assert not folder.exists()
    assert not (tmp_path / "x" / "reseed.sqlite3").exists()
