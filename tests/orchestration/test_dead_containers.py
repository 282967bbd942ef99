"""An engine that is killed while it removes a container keeps it, dead: it has no log, and never runs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import docker
import docker.models.containers
import pytest

from reseed.contracts.job import Attempt
from reseed.orchestration.executors.docker import DockerExecutor
from reseed.orchestration.executors.executor import Handle
from reseed.orchestration.study_folder import AttemptFolder
from reseed.orchestration.workspace import Launch
from tests.private_engine import PrivateEngine

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


def _status(engine: PrivateEngine, container: str) -> str:
    client = docker.DockerClient(engine.host)
    try:
        return str(client.containers.get(container).status)
    finally:
        client.close()
