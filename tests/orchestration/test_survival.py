"""
Everything that can go wrong with a machine, at random instants, in one study.

The orchestrator is killed twenty times, the disk is full for a while, the engine is killed and
stopped; and the study ends with the bytes of one that nobody disturbed, every job done once.

RESEED_FAULT_SEED repeats the instants of a run.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reseed.contracts.job import JobRecord
from reseed.documents.reading import read_json
from reseed.orchestration.state import orchestrator_at_work
from reseed.orchestration.study_folder import StudyFolder
from tests.private_engine import PrivateEngine
from tests.small_disk import small_disk

from .conftest import SmallProject, small_project

N_KILLS = 20
N_JOBS = 43
DEADLINE_S = 240
SEED = int(os.environ.get("RESEED_FAULT_SEED") or time.time_ns() % 2**32)


@dataclass
class Disturbed:
    """
    A study whose orchestrator is killed again and again.

    Parameters
    ----------
    command
        `reseed run …`.
    out
        STUDY_DIR.
    log
        Where everything goes that the orchestrators say.
    environment
        Of the orchestrators.
    outages
        From when to when the engine was away.
    """

    command: list[str]
    out: Path
    log: Path
    environment: dict[str, str]
    rng: random.Random
    n_kills: int = field(default=0)
    outages: list[tuple[datetime, datetime]] = field(default_factory=list)

    def kill_at_random(self, *, meanwhile: Callable[[], None]) -> None:
        """Start the command, do something else, and kill it: mostly at work, now and then before that."""
        process = self._started()
        try:
            self._wait(process, meanwhile)
            self.n_kills += process.poll() is None
        finally:
            process.kill()
            process.wait()

    def _wait(self, process: subprocess.Popen[bytes], meanwhile: Callable[[], None]) -> None:
        folder = StudyFolder(self.out)
        if meanwhile is _nothing and self.rng.random() < 0.2:
            time.sleep(self.rng.uniform(0, 1.5))
        else:
            self.wait_for(lambda: process.pid == orchestrator_at_work(folder) or process.poll() is not None)
            meanwhile()
            time.sleep(self.rng.uniform(0, 2))

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait for something that must happen."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, f"seed {SEED}: {self.log.read_text()[-4000:]}"
            time.sleep(0.02)

    def said(self, words: str) -> int:
        """How often the orchestrators have said something."""
        return self.log.read_text().count(words)

    def finish(self) -> None:
        """Run the command to its end."""
        code = self._started().wait(timeout=DEADLINE_S)
        assert code == 0, f"seed {SEED}: exit code {code}: {self.log.read_text()[-4000:]}"

    def _started(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(self.command, stdout=log, stderr=log, env=self.environment)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SmallProject:
    """One project for all."""
    return small_project(tmp_path_factory.mktemp("faults") / "project")


@pytest.fixture(scope="module")
def undisturbed(project: SmallProject, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the same study, left in peace."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    done = subprocess.run(
        _command(_study(project, step_s=0.0), out),
        capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 160 MiB."""
    with small_disk(tmp_path / "disk", n_mib=160) as mounted:
        yield mounted


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_plain_processes_survive_it(project: SmallProject, undisturbed: Path, disk: Path, tmp_path: Path):
    """Killed orchestrators and a full disk: every job is done once, and the results are the same bytes."""
    diary = tmp_path / "diary"
    diary.touch()
    (disk / "diary").symlink_to(diary)  # not on the disk that fills up
    study = _study(project, step_s=0.08)
    disturbed = Disturbed(
        _command(study, disk / "out"), disk / "out", tmp_path / "log", dict(os.environ), random.Random(SEED)
    )

    _disturb(disturbed, ballast=disk / "ballast", engine=None)
    disturbed.finish()

    _check_results(disturbed, undisturbed)
    done = Counter(diary.read_text().split())
    assert set(done.values()) == {1}, f"seed {SEED}: {done}"
    assert len(done) == 2 + 20 + 10


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.docker
def test_containers_survive_it(
    project: SmallProject, undisturbed: Path, disk: Path, tmp_path: Path, engine_of_its_own: PrivateEngine
):
    """The same in containers, with an engine that is killed once and stopped once."""
    disturbed = Disturbed(
        [*_command(_study(project, step_s=0.08), disk / "out"), "--executor", "docker"],
        disk / "out",
        tmp_path / "log",
        {**os.environ, "DOCKER_HOST": engine_of_its_own.host},
        random.Random(SEED),
    )

    _disturb(disturbed, ballast=disk / "ballast", engine=engine_of_its_own)
    disturbed.finish()

    _check_results(disturbed, undisturbed)
    done = Counter(_said_done(disturbed))
    assert set(done.values()) == {1}, f"seed {SEED}: {done}"
    assert len(done) == 2 + 20 + 10, f"seed {SEED}: {done}"
    assert engine_of_its_own.containers() == []


def _said_done(disturbed: Disturbed) -> Iterator[str]:
    """
    The job of every "done" in a log, and of every attempt that ended while nobody took down what it said.

    What a container prints while the engine is away is lost with it; its exit code and output are not.
    """
    for path in (disturbed.out / "jobs").glob("*/state.json"):
        record = read_json(path, JobRecord)
        if record.name.startswith(("score", "compare")):
            continue
        for attempt in record.attempts:
            log = path.parent / "attempts" / str(attempt.number) / "log"
            n_said = len(re.findall(r"^done \w+", log.read_text(), re.MULTILINE)) if log.is_file() else 0
            yield from [record.name] * n_said
            if n_said == 0 and attempt.exit_code == 0 and _was_away(disturbed, attempt.ended):
                yield record.name


def _was_away(disturbed: Disturbed, ended: datetime | None) -> bool:
    shortly = timedelta(seconds=1)
    return ended is not None and any(start - shortly <= ended <= end for start, end in disturbed.outages)


def _disturb(disturbed: Disturbed, *, ballast: Path, engine: PrivateEngine | None) -> None:
    """
    Twenty kills at random instants.

    The disk fills up while one orchestrator is at work, is full while the next is, and has room
    again under the eyes of a third, which goes on by itself. The engine goes twice.
    """
    rng = disturbed.rng
    events = [lambda: _fill_up(disturbed, ballast), _nothing, lambda: _make_room(disturbed, ballast)]
    events = [_nothing] * rng.randrange(4, 8) + events
    if engine is not None:
        events.insert(rng.randrange(1, 4), lambda: _restart(disturbed, engine, signal.SIGKILL))
        events += [_nothing] * rng.randrange(3) + [lambda: _restart(disturbed, engine, signal.SIGTERM)]
    for event in (*events, *[_nothing] * (N_KILLS - len(events))):
        disturbed.kill_at_random(meanwhile=event)
    assert disturbed.n_kills == N_KILLS, f"seed {SEED}: the study was done after {disturbed.n_kills} kills"


def _nothing() -> None:
    """Nothing happens but the kill."""


def _fill_up(disturbed: Disturbed, ballast: Path) -> None:
    time.sleep(disturbed.rng.uniform(0, 1))
    _fill(ballast)
    disturbed.wait_for(lambda: disturbed.said("the disk is full: ") > 0)


def _make_room(disturbed: Disturbed, ballast: Path) -> None:
    time.sleep(disturbed.rng.uniform(0, 1))
    ballast.unlink()
    disturbed.wait_for(lambda: disturbed.said("the disk has room again") > 0)


def _restart(disturbed: Disturbed, engine: PrivateEngine, number: signal.Signals) -> None:
    time.sleep(disturbed.rng.uniform(0, 1))
    start = datetime.now(UTC)
    engine.end(number)
    time.sleep(disturbed.rng.uniform(0, 1))
    engine.start()
    disturbed.outages.append((start, datetime.now(UTC)))


def _check_results(disturbed: Disturbed, undisturbed: Path) -> None:
    out = disturbed.out
    records = [json.loads(path.read_text()) for path in (out / "jobs").glob("*/state.json")]
    assert len(records) == N_JOBS
    for record in records:
        *faulty, last = record["attempts"]
        assert record["state"] == "succeeded"
        assert last["fault"] is None
        assert {attempt["fault"] for attempt in faulty} <= {"infrastructure", "disk"}, (
            f"seed {SEED}: {record}"
        )
    for path in sorted(undisturbed.rglob("*")):
        shown = path.relative_to(undisturbed)
        if (
            path.is_file()
            and (path.name in _RESULTS or "predictions" in shown.parts)
            and "jobs" not in shown.parts
        ):
            assert (out / shown).read_bytes() == path.read_bytes(), f"seed {SEED}: {shown}"
    left = [path for path in out.rglob("*") if path.name.endswith((".tmp", ".building"))]
    assert not [path for path in left if "attempts" not in path.parts], f"seed {SEED}: {left}"


_RESULTS = ("comparisons.json", "scores.csv", "metrics.json", "weights.json")


def _study(project: SmallProject, *, step_s: float) -> Path:
    settings = {"step_s": step_s}
    methods = {
        "one": {"algorithm": "logistic", "settings": {"features": 1, **settings}},
        "two": {"algorithm": "logistic", "settings": {"features": 2, **settings}},
    }
    return project.study(f"faults-{step_s}.yaml", methods=methods, runs=5)


def _command(study: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "reseed", "run", str(study), "--out", str(out), "--jobs", "2"]


def _fill(ballast: Path) -> None:
    """Write until nothing fits any more."""
    with ballast.open("wb", buffering=0) as stream:
        for n_bytes in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    stream.write(bytes(n_bytes))
            except OSError:
                continue
