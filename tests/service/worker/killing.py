"""The processes of an installation, killed and started again, and participants who submit meanwhile."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from reseed.cli import EXIT_INFRASTRUCTURE_ERROR
from tests.service.server import Server

RESEED = [sys.executable, "-m", "reseed"]
PATIENCE_S = 300.0
_STOP_S = 60


@dataclass
class Installed:
    """
    A web server and workers as commands, under somebody who starts again whatever has ended.

    Parameters
    ----------
    server
        The web server.
    variables
        Of its workers.
    n_workers
        So many.
    killed
        What was killed, in order.
    orphans
        Processes of web servers whose master was killed.
    """

    server: Server
    variables: Mapping[str, str]
    n_workers: int
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    killed: list[str] = field(default_factory=list)
    orphans: list[psutil.Process] = field(default_factory=list)

    def keep_up(self) -> None:
        """Start what is not there."""
        if self.server.process is None or self.server.process.poll() is not None:
            self.server.launch()
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) < self.n_workers:
            self.workers.append(self._worker())

    def kill_one(self, rng: random.Random, *, at_work: set[int]) -> None:
        """
        SIGKILL to a worker, or to all or one of the web server's processes; and start it again.

        Of the workers, those `at_work` go first.
        """
        what = rng.choice(["worker", "worker", "worker", "web", "web's process", "web's master"])
        if what == "worker":
            victim = rng.choice([each for each in self.workers if each.pid in at_work] or self.workers)
            victim.kill()
            victim.wait()
        elif what == "web":
            self.server.kill()
        else:
            self._kill_in_part(rng, is_master=what == "web's master")
        self.killed.append(what)
        self.keep_up()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait for something that must happen, and keep all processes up meanwhile."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"{condition}: {self.said()[-4000:]}"
            self.keep_up()
            time.sleep(0.05)

    def _kill_in_part(self, rng: random.Random, *, is_master: bool) -> None:
        assert self.server.process is not None
        master = psutil.Process(self.server.process.pid)
        children = master.children()
        if is_master or not children:
            master.kill()
            self.server.process.wait()
            self.orphans += children
        else:
            # its master starts another one
            rng.choice(children).kill()

    def said(self) -> str:
        """The log of the workers."""
        return self._log.read_text(errors="replace")

    @property
    def _log(self) -> Path:
        return self.server.folder.parent / "workers.log"

    def stop_workers(self) -> None:
        """As one who shuts a machine down."""
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.wait(timeout=_STOP_S)
        self.workers = []

    def _worker(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*RESEED, "worker"], env={**os.environ, **self.variables}, stdout=log, stderr=log
            )


@contextmanager
def installed(server: Server, variables: Mapping[str, str], *, n_workers: int) -> Iterator[Installed]:
    """Web server and workers, ended afterwards."""
    here = Installed(server, variables, n_workers)
    server.start()
    here.keep_up()
    try:
        yield here
    finally:
        for worker in here.workers:
            worker.kill()
            worker.wait()
        if server.process is not None and server.process.poll() is None:
            server.kill()
        for orphan in here.orphans:
            _end(orphan)


def _end(process: psutil.Process) -> None:
    """Kill a process that may be gone."""
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


@dataclass
class Participant:
    """
    Somebody with a token, who gives a command again when it says that it can go on.

    Parameters
    ----------
    url, token
        Of the service, and their own.
    home
        Folder of what the commands keep.
    submitted
        Behaviour and weight by the submission that the command has named.
    models
        The files that were sent.
    problems
        What commands have said that were cut off.
    """

    name: str
    url: str
    token: str
    home: Path
    submitted: dict[str, tuple[str, float]] = field(default_factory=dict)
    models: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def submit(self, image: Path, model: Path, *, behaviour: str, weight: float) -> None:
        """Hand in an image and a model, by as many commands as it takes."""
        words = ["submit", "features/phase-1", str(image), "--algorithm", f"{self.name}-{behaviour}"]
        self.models.append(model)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            done = subprocess.run(
                [*RESEED, *words, "--model", str(model)], env=self._environment(),
                capture_output=True, text=True, timeout=PATIENCE_S, check=False,
            )  # fmt: skip
            if done.returncode == 0:
                pk = done.stdout.partition("/submissions/")[2].partition("/")[0]
                assert pk not in self.submitted, f"{self.name} was given {pk} twice"
                self.submitted[pk] = behaviour, weight
                return
            self.problems.append(done.stderr.strip().splitlines()[-1])
            assert done.returncode == EXIT_INFRASTRUCTURE_ERROR, done.stdout + done.stderr
            assert time.monotonic() < deadline, self.problems
            time.sleep(0.5)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RESEED_")}
        return {
            **kept,
            "RESEED_URL": self.url,
            "RESEED_TOKEN": self.token,
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_STATE_HOME": str(self.home / "state"),
        }
