"""A web server process of the tests' own, on a socket, that can be killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil

from reseed.service.database.engine import Database
from reseed.service.domain.permissions import Scope
from reseed.service.domain.roles import Role
from reseed.service.security.tokens import make_token
from tests.service.rows import add_challenge, add_member, add_phase, add_user
from tests.service.world import SECRET

_DEADLINE_S = 60


@dataclass
class Server:
    """Its data folder, address and a participant's token; `phase` is of a challenge they take part in."""

    folder: Path
    port: int
    token: str
    phase: str
    variables: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", "Tus-Resumable": "1.0.0"}

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.folder}/reseed.sqlite3"

    def start(self) -> None:
        """Start the process, and return when it answers."""
        process = self.launch()
        deadline = time.monotonic() + _DEADLINE_S
        while True:
            assert process.poll() is None, (self.folder / "server.log").read_text()
            try:
                if httpx.get(f"{self.url}/healthz").status_code == 200:
                    return
            except httpx.TransportError:
                assert time.monotonic() < deadline, (self.folder / "server.log").read_text()
                time.sleep(0.05)

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process, which is of a group of its own."""
        environment = {
            **os.environ,
            "RESEED_SECRET_KEY": SECRET,
            "RESEED_DATA_DIR": str(self.folder),
            "RESEED_BASE_URL": self.url,
            "RESEED_REQUESTS_PER_MINUTE": "1000000",
            **self.variables,
        }
        command = [sys.executable, "-m", "reseed", "serve", "--workers", "2"]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--bind", f"127.0.0.1:{self.port}"],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.process

    def kill(self) -> None:
        """SIGKILL to all of its processes: nothing is said, nothing is put away."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def resident_bytes(self) -> int:
        """Of all of its processes."""
        assert self.process is not None
        here = psutil.Process(self.process.pid)
        return sum(int(each.memory_info().rss) for each in [here, *here.children(recursive=True)])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def new_server(migrated_sqlite: Path, folder: Path, **phase: Any) -> Server:
    """A server that has not been started, with one challenge, one phase and one participant."""
    folder.mkdir(exist_ok=True)
    shutil.copy(migrated_sqlite, folder / "reseed.sqlite3")
    database = Database(f"sqlite:///{folder}/reseed.sqlite3")
    with database.write() as session:
        user = add_user(session, "ada")
        challenge = add_challenge(session)
        add_member(session, challenge, user, Role.PARTICIPANT)
        pk = add_phase(session, challenge, **phase).pk
        _, token = make_token(session, user, name="t", scopes=set(Scope), valid_for=timedelta(days=1))
    database.close()
    return Server(folder=folder, port=free_port(), token=token, phase=str(pk))
