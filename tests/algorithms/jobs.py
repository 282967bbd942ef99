"""An algorithm's entry points as processes, each with a root of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from reseed.contracts.containers import TrainingPaths

PROJECT = Path(__file__).parents[2]
SEEDS = {"WEIGHTS": 11, "ORDER": 12, "AUGMENTATION": 13, "DROPOUT": 0, "SPLIT": 15}


@dataclass
class Job:
    """One entry point with a root of its own, as a process."""

    root: Path
    algorithm: str
    command: str
    settings: dict[str, str] = field(default_factory=dict)
    member: int = 0
    members: int = 2
    seeds: dict[str, int] = field(default_factory=lambda: dict(SEEDS))

    def link(self, target: str, source: Path) -> Job:
        """Show it a folder at a path below its root."""
        path = self.root / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(source)
        return self

    @property
    def paths(self) -> TrainingPaths:
        """Where its files are."""
        return TrainingPaths(self.root)

    @property
    def ml(self) -> Path:
        """/opt/ml."""
        return self.root / "opt/ml"

    @property
    def log(self) -> Path:
        """JSON lines."""
        return self.root / "stdout.jsonl"

    def environment(self) -> dict[str, str]:
        """As an executor sets it."""
        return {
            "RESEED_ROOT": str(self.root),
            "RESEED_MEMBER": str(self.member),
            "RESEED_MEMBERS": str(self.members),
            "OMP_NUM_THREADS": "1",
            "SM_NUM_CPUS": "1",
            **{f"RESEED_SEED_{stream}": str(seed) for stream, seed in self.seeds.items()},
        }

    def write_settings(self) -> None:
        """hyperparameters.json."""
        config = self.paths.hyperparameters
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(json.dumps(self.settings))

    def start(self) -> subprocess.Popen[str]:
        """Start it; stdout goes to a file that can be watched."""
        self.write_settings()
        with self.log.open("w") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"algorithms.{self.algorithm}.{self.command}"],
                cwd=PROJECT,
                env={**os.environ, "PYTHONPATH": str(PROJECT), **self.environment()},
                stdout=log,
                stderr=subprocess.PIPE,
                text=True,
            )

    def run(self) -> tuple[int, str]:
        """Start it and wait; exit code and stderr."""
        process = self.start()
        _, stderr = process.communicate(timeout=500)
        return process.returncode, stderr

    def files(self, folder: str = "opt/ml/model") -> dict[str, bytes]:
        """Bytes of every file below a folder, by name."""
        top = self.root / folder
        assert top.is_dir(), f"{top} was not written"
        return {
            path.relative_to(top).as_posix(): path.read_bytes() for path in top.rglob("*") if path.is_file()
        }


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str], *, deadline_s: float) -> None:
    """Poll until something has happened, as long as the process lives."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def processes_of(job: Job) -> list[int]:
    """The processes of a job that run, found by its root in their environment; Linux only."""
    mark = f"RESEED_ROOT={job.root}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # that of a zombie is empty
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        if mark in environment.split(b"\0"):
            found.append(int(folder.name))
    return found
