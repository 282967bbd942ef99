"""
An engine that is killed at a bad moment.

While it removes a container: it keeps it, dead, which has no log and never runs. While it starts one:
it does not know that the container runs.
"""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import docker
import docker.models.containers
import psutil
import pytest

from reseed.contracts.job import Attempt, JobRecord
from reseed.documents.reading import read_json
from reseed.orchestration.executors.docker import DockerExecutor
from reseed.orchestration.executors.executor import Handle, ProgramState, ProgramStatus
from reseed.orchestration.study_folder import AttemptFolder
from reseed.orchestration.study_run import StudyRun
from reseed.orchestration.workspace import Launch
from tests.private_engine import PATIENCE_S, PrivateEngine

from .conftest import SmallProject
from .test_docker import docker_study_run
from .test_study_run import Diary

pytestmark = [pytest.mark.docker]


class Killed(BaseException):
    """Nothing can be done after it."""


class KilledAtItsLog(DockerExecutor):
    """Goes before the end of a container is recorded."""

    def logs(self, attempt: Attempt, folder: AttemptFolder) -> str:
        """Be killed."""
        raise Killed


class KilledAtItsRemoval(DockerExecutor):
    """Goes after that, before the container is removed."""

    def release(self, attempt: Attempt, folder: AttemptFolder) -> None:
        """Be killed."""
        raise Killed


class KilledAtItsSide(DockerExecutor):
    """Goes once a training is at work."""

    def poll(self, attempt: Attempt, folder: AttemptFolder) -> ProgramStatus:
        """Be killed, if it is one that has made a step."""
        if (folder.path.parent.parent / "checkpoints/state.json").is_file():
            raise Killed
        return super().poll(attempt, folder)


class KilledAtItsStart(DockerExecutor):
    """Goes between the making of a container and its start."""

    def submit(self, launch: Launch) -> Handle:
        """Be killed half-way."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(docker.models.containers.Container, "start", _be_killed)
            return super().submit(launch)


def _be_killed(_self: object) -> None:
    raise Killed


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, engine_of_its_own: PrivateEngine) -> PrivateEngine:
    """The engine that this test uses."""
    monkeypatch.setenv("DOCKER_HOST", engine_of_its_own.host)
    return engine_of_its_own


def test_studies_go_on_after_it(project: SmallProject, tmp_path: Path, here: PrivateEngine):
    """What had run is done, what had never run is started, nothing is done twice and nothing is left."""
    study = project.study(runs=1, members=1)
    kinds = (KilledAtItsStart, KilledAtItsLog, KilledAtItsRemoval)
    runs = [docker_study_run(study, tmp_path / kind.__name__) for kind in kinds]
    for run, kind in zip(runs, kinds, strict=True):
        with pytest.raises(Killed):
            dataclasses.replace(run, executor=kind.connected()).run(Diary(), n_jobs=1)
    containers = here.containers()
    assert len(containers) == len(kinds)
    here.die_while_removing(*containers)
    assert {_status(here, container) for container in containers} == {"dead"}

    for run in runs:
        assert run.run(Diary(), n_jobs=2).is_complete

    records = [json.loads(path.read_text()) for path in tmp_path.glob("*/jobs/*/state.json")]
    assert [len(record["attempts"]) for record in records] == [1] * len(records)
    assert here.containers() == []


def test_what_it_does_not_know_to_run_is_not_started_beside_itself(
    project: SmallProject, tmp_path: Path, here: PrivateEngine
):
    """What has ended meanwhile is taken in; what still runs is ended before it is started again."""
    runs = []
    for name, step_s in (("slow", 60.0), ("quick", 0.02)):
        methods = {"one": {"algorithm": "logistic", "settings": {"step_s": step_s}}}
        run = docker_study_run(
            project.study(f"{name}.yaml", methods=methods, runs=1, members=1), tmp_path / name
        )
        with pytest.raises(Killed):
            dataclasses.replace(run, executor=KilledAtItsSide.connected()).run(Diary(), n_jobs=1)
        runs.append(run)
    slow, quick = (_training(run) for run in runs)
    pid = _state(here, str(slow[0].handle["container"]))["Pid"]
    here.die_while_starting(*(str(attempt.handle["container"]) for attempt, _ in (slow, quick)))
    assert {_status(here, container) for container in here.containers()} == {"created"}
    assert psutil.pid_exists(pid)

    executor = DockerExecutor.connected()
    assert _processes(slow[0]) != []
    assert executor.reconcile(*slow).state is ProgramState.ABSENT
    assert not psutil.pid_exists(pid)
    assert _processes(slow[0]) == []
    _wait_for(quick[1].exit_code_of_container)
    diary = Diary()
    assert runs[1].run(diary, n_jobs=1).is_complete

    assert diary.started_jobs == [f"{kind}/one/run-0" for kind in ("predict", "score")] + ["compare"]
    assert here.containers() == []


def _training(run: StudyRun) -> tuple[Attempt, AttemptFolder]:
    """The attempt of a study's only training, and its folder."""
    job = next(path.parent.parent for path in run.folder.jobs.glob("*/checkpoints/state.json"))
    attempt = read_json(job / "state.json", JobRecord).attempts[-1]
    return attempt, run.folder.job(job.name).attempt(attempt.number)


def _processes(attempt: Attempt) -> list[int]:
    """Every process of an attempt's container, whatever its engine says."""
    container = str(attempt.handle["container"])
    found = []
    for pid in psutil.pids():
        try:
            if container in Path(f"/proc/{pid}/cgroup").read_text():
                found.append(pid)
        except OSError:
            continue  # it has ended meanwhile
    return found


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not path.is_file():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _state(engine: PrivateEngine, container: str) -> dict[str, Any]:
    client = docker.DockerClient(engine.host)
    try:
        return dict(client.containers.get(container).attrs["State"])
    finally:
        client.close()


def _status(engine: PrivateEngine, container: str) -> str:
    return str(_state(engine, container)["Status"])
