"""Containers of images that somebody else made."""

from __future__ import annotations

import time
from pathlib import Path

import docker
import pytest

from reseed.contracts.job import Attempt, Job, OutputFolder
from reseed.orchestration.clock import boot_instant, utc_now
from reseed.orchestration.executors.executor import ProgramState
from reseed.orchestration.executors.pinned import PinnedDockerExecutor
from reseed.orchestration.study_folder import StudyFolder
from reseed.orchestration.workspace import prepared_launch

_DEADLINE_S = 60.0


@pytest.mark.docker
@pytest.mark.usefixtures("images")
def test_a_program_does_not_say_how_it_ended(tmp_path: Path, engine: docker.DockerClient):
    """The engine does: what such a program writes where others have their note counts for nothing."""
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(
        'FROM reseed/logistic\nENTRYPOINT ["/bin/sh", "-c", "echo 0 1.0 >/opt/ml/output/exit_code; exit 3"]\n'
    )
    image, _ = engine.images.build(path=str(context), tag="reseed-test/liar", rm=True)
    job = Job(
        key="1" * 64, name="predict/a", kind="predict", role=str(image.id), command="", code="2" * 64,
        outputs=(OutputFolder(target="/output", name=""),),
    )  # fmt: skip
    launch = prepared_launch(job, study=StudyFolder(tmp_path / "study"), dataset=tmp_path, number=1)
    executor = PinnedDockerExecutor.connected()
    attempt = Attempt(
        number=1, executor="docker", started=utc_now(), started_on_boot_clock=boot_instant(),
        handle=executor.submit(launch),
    )  # fmt: skip
    deadline = time.monotonic() + _DEADLINE_S
    while executor.poll(attempt, launch.folder).state is ProgramState.RUNNING:
        assert time.monotonic() < deadline
        time.sleep(0.05)

    assert launch.folder.exit_code_of_container.is_file()
    found = executor.poll(attempt, launch.folder), executor.reconcile(attempt, launch.folder)
    assert [(status.state, status.exit_code) for status in found] == [(ProgramState.EXITED, 3)] * 2
    executor.release(attempt, launch.folder)
    assert executor.poll(attempt, launch.folder).state is ProgramState.LOST
    executor.close()
