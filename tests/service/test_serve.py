"""`reseed serve` for real: gunicorn, several workers, refusals before it starts."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy import select

from reseed.cli import main
from reseed.service.database.engine import Database
from reseed.service.database.models import Token
from tests.service.server import new_server
from tests.service.world import SECRET

_DEADLINE_S = 60

_OLDER_GUNICORN = """
import runpy
from gunicorn.workers import SUPPORTED_WORKERS
del SUPPORTED_WORKERS["asgi"]
runpy.run_module("reseed", run_name="__main__")
"""
"""The command where gunicorn has no ASGI worker of its own."""

COMMANDS = {"gunicorn's worker": ["-m", "reseed"], "uvicorn's worker": ["-c", _OLDER_GUNICORN]}


def _environment(folder: Path, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RESEED_")}
    return {**kept, "RESEED_SECRET_KEY": SECRET, "RESEED_DATA_DIR": str(folder), **variables}


def _reseed(folder: Path, *words: str, given: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reseed", *words],
        env=_environment(folder, **variables),
        input=given,
        capture_output=True,
        text=True,
        timeout=_DEADLINE_S,
        check=False,
    )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(params=COMMANDS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a server of two workers, and where its log goes."""
    address, log = f"127.0.0.1:{_free_port()}", tmp_path / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, *COMMANDS[request.param], "serve", "--bind", address, "--workers", "2"],
            env=_environment(tmp_path / "data"),
            stdout=stream,
            stderr=stream,
        )
        try:
            deadline = time.monotonic() + _DEADLINE_S
            while not _answers(f"http://{address}/readyz"):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            yield f"http://{address}", log
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=_DEADLINE_S) == 0


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_a_person_from_the_command_line_to_the_api(server: tuple[str, Path], tmp_path: Path):
    """User and token from one process, requests to others, the numbers of all workers added up."""
    url, log = server
    added = _reseed(
        tmp_path / "data", "service", "user", "add", "ada", "--password-stdin", given="correct horse\n"
    )
    assert added.returncode == 0, added.stderr
    token = _reseed(tmp_path / "data", "service", "token", "create", "ada").stdout.strip()

    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as client:
        assert client.get("/api/v1/me/").json()["scopes"] == ["read", "submit"]
        for _ in range(20):
            # a connection each, so that both workers have some
            assert httpx.get(f"{url}/api/v1/challenges/").status_code == 200
        numbers = client.get("/metrics").text
    assert 'route="/api/v1/challenges/",status="200"} 20.0' in numbers

    listed = _reseed(tmp_path / "data", "service", "token", "list", "ada").stdout
    assert token[-4:] in listed
    assert token not in listed
    assert _reseed(tmp_path / "data", "service", "token", "revoke", "ada", token[-4:]).returncode == 0
    assert httpx.get(f"{url}/api/v1/me/", headers={"Authorization": f"Bearer {token}"}).status_code == 401

    lines = [json.loads(line) for line in log.read_text().splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    assert {line["path"] for line in requests} >= {"/api/v1/me/", "/api/v1/challenges/"}
    assert token not in log.read_text()


def test_a_token_that_ends_like_an_option_is_revoked(migrated_sqlite: Path, tmp_path: Path):
    """By its last characters, as any other."""
    shutil.copy(migrated_sqlite, tmp_path / "reseed.sqlite3")
    _reseed(tmp_path, "service", "user", "add", "ada", "--password-stdin", given="correct horse\n")
    _reseed(tmp_path, "service", "token", "create", "ada")
    database = Database(f"sqlite:///{tmp_path}/reseed.sqlite3")
    with database.write() as session:
        session.scalars(select(Token)).one().hint = "-hx4"

    done = _reseed(tmp_path, "service", "token", "revoke", "ada", "-hx4")

    assert (done.returncode, done.stdout) == (0, "revoked …-hx4\n"), done.stderr
    with database.read() as session:
        assert session.scalars(select(Token)).one().revoked_at is not None


def test_workers_end_with_their_master(migrated_sqlite: Path, tmp_path: Path):
    """
    SIGKILL to the master alone: nobody goes on without it, and the port is free for the next one.

    The connection that a worker has meanwhile would keep one that shuts down by itself waiting.
    """
    server = new_server(migrated_sqlite, tmp_path / "data")
    server.start()
    assert server.process is not None
    children = psutil.Process(server.process.pid).children()
    assert len(children) == 2
    with httpx.Client(base_url=server.url) as client:
        assert client.get("/healthz").status_code == 200
        server.process.kill()
        server.process.wait()
        server.start()
        assert not [each for each in children if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    server.kill()
    assert "Connection in use" not in (server.folder / "server.log").read_text()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"RESEED_SECRET_KEY": ""}, "RESEED_SECRET_KEY is not set"),
        ({"RESEED_SECRET_KEY": "changeme-changeme-changeme-changeme"}, "default or easily guessed"),
        ({"RESEED_SECRET_KEY": "x1y2"}, "at least 32 characters"),
    ],
)
def test_it_refuses_to_start_on_a_default_or_short_secret(
    tmp_path: Path, variables: dict[str, str], words: str
):
    """One line, exit status 2, nothing made."""
    done = _reseed(tmp_path / "data", "serve", **variables)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "data").exists()


def test_users_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Mistakes are one line each."""
    for name, value in _environment(tmp_path / "data").items():
        monkeypatch.setenv(name, value)

    def told(*words: str, given: str = "") -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["reseed", "service", *words])
        monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        with pytest.raises(SystemExit):
            main()
        return capsys.readouterr()

    weak = told("user", "add", "ada", "--password-stdin", given="short\n")
    assert weak == ("", "reseed: a password needs 12 to 512 characters, got 5\n")
    assert told("user", "add", "ada", "--no-password") == ("added ada\n", "")
    assert told("user", "add", "Ada", "--no-password") == ("", "reseed: user name 'ada' is taken\n")
    assert told("token", "create", "bob") == ("", "reseed: there is no user 'bob'\n")
    told("user", "close", "ada")
    assert told("user", "list") == ("ada    closed\n", "")
