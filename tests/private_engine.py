"""A Docker engine of a test's own, which may be killed and started again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PATIENCE_S = 60.0
_PLACES = ("/usr/local/lib/docker-engine", "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin")


@dataclass
class PrivateEngine:
    """
    dockerd and its containerd, with their data, sockets and state in one folder.

    Parameters
    ----------
    folder
        A short path: socket names are limited to about a hundred characters.
    """

    folder: Path
    _daemon: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def host(self) -> str:
        """What DOCKER_HOST is to be."""
        return f"unix://{self.folder}/docker.sock"

    def start(self) -> None:
        """Start it and wait until it answers."""
        (self.folder / "docker.pid").unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._daemon = subprocess.Popen(
                [
                    # a network of its own: without a bridge it would remove that of the machine's engine
                    "unshare", "--net", "dockerd", "--host", self.host, "--data-root", self.folder / "data",
                    "--exec-root", self.folder / "exec", "--pidfile", self.folder / "docker.pid",
                    "--bridge", "none", "--iptables=false", "--ip6tables=false",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "PATH": os.pathsep.join((*_PLACES, os.environ["PATH"]))},
            )  # fmt: skip
        deadline = time.monotonic() + PATIENCE_S
        while not self._answers():
            if self._daemon.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no engine: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.1)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop it, or kill it as it stands; its containerd goes with it."""
        if self._daemon is None:
            return
        self._daemon.send_signal(number)
        self._daemon.wait(timeout=PATIENCE_S)
        self._daemon = None

    def die_while_removing(self, *containers: str) -> None:
        """Kill it after it has begun to remove containers (by their whole ids), and start it again."""
        self._die(containers, {"RemovalInProgress": True})

    def die_while_starting(self, *containers: str) -> None:
        """Kill it after containers have begun and before it has noted that, and start it again."""
        self._die(containers, {"Running": False, "Pid": 0, "StartedAt": "0001-01-01T00:00:00Z"})

    def _die(self, containers: tuple[str, ...], noted: dict[str, Any]) -> None:
        self.end(signal.SIGKILL)
        for container in containers:
            path = self.folder / "data/containers" / container / "config.v2.json"
            config = json.loads(path.read_text())
            config["State"].update(noted)
            path.write_text(json.dumps(config))
        self.start()

    def load(self, *images: str) -> None:
        """Copy images from the engine that the other tests use."""
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saved:
            subprocess.run(
                ["docker", "--host", self.host, "load", "--quiet"],
                stdin=saved.stdout, capture_output=True, check=True, timeout=300,
            )  # fmt: skip
        assert saved.returncode == 0

    def containers(self) -> list[str]:
        """Every container, running or not."""
        return self._said("ps", "--all", "--quiet", "--no-trunc").split()

    def close(self) -> None:
        """Remove every container, stop, and remove everything."""
        if self._daemon is None:
            self.start()
        for container in self.containers():
            self._said("rm", "--force", container)
        self.end()
        for mount in _mounts_below(self.folder):
            subprocess.run(["umount", "--lazy", mount], check=False)
        shutil.rmtree(self.folder)

    def _said(self, *words: str) -> str:
        return subprocess.run(
            ["docker", "--host", self.host, *words], capture_output=True, text=True, timeout=60, check=True
        ).stdout

    def _answers(self) -> bool:
        try:
            return bool(self._said("version", "--format", "{{.Server.Version}}"))
        except subprocess.SubprocessError:
            return False


def private_engine() -> PrivateEngine:
    """A started engine; where none can be, tests are skipped, and fail in CI."""
    has_engine = any((Path(place) / "dockerd").is_file() for place in _PLACES)
    if os.getuid() != 0 or not has_engine:
        assert not os.environ.get("CI"), "CI runs as root and has dockerd"
        pytest.skip("needs root and dockerd")
    engine = PrivateEngine(Path(tempfile.mkdtemp(prefix="engine-", dir="/tmp")))
    engine.start()
    return engine


def _mounts_below(folder: Path) -> list[str]:
    points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return [point for point in reversed(points) if Path(point).is_relative_to(folder)]
