"""Containers that nobody will ask for again are ended, and only those."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import docker
import pytest

from reseed.contracts.errors import InfrastructureError
from reseed.contracts.job import Attempt
from reseed.orchestration.executors.pinned import PinnedDockerExecutor
from reseed.orchestration.study_folder import AttemptFolder
from reseed.service.database.jobs import claim, enqueue, finish
from reseed.service.database.models import Job
from reseed.service.worker.orphans import end_orphans
from reseed.service.worker.worker import INSTALLATION_LABEL, Worker
from tests.service.worker.world import Hosted, build_test_image

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]
_MINUTE = timedelta(minutes=1)


class Reluctant(PinnedDockerExecutor):
    """An engine that does not remove the container of an attempt when it is asked to."""

    def release(self, attempt: Attempt, folder: AttemptFolder) -> None:
        raise InfrastructureError(f"{folder.path.name} cannot be removed: removal is already in progress")


def test_a_container_that_is_not_removed_is_no_fault_of_the_job(
    engine: docker.DockerClient, challenge: Hosted
):
    """
    The submission ends by its own reason, at the first attempt; the container goes afterwards.
    """
    pk = challenge.submit(challenge.phase(), build_test_image("broken"))
    worker = challenge.work(programs=Reluctant.connected())
    assert challenge.submission(pk).reason == (
        "run 1: the first case: exit code 3: the weights do not fit the network"
    )
    assert [job.attempts for job in challenge.jobs("try")] == [1]
    assert isinstance(worker.programs, PinnedDockerExecutor)
    assert end_orphans(challenge.database, challenge.here.folder, worker.programs) == 1
    label = f"{INSTALLATION_LABEL}={challenge.here.folder.root}"
    assert engine.containers.list(all=True, filters={"label": label}) == []


def _job(challenge: Hosted, kind: str, owner: str | None = None, *, is_done: bool = False) -> UUID:
    with challenge.database.write() as session:
        job = enqueue(session, Job(kind=kind))
    if owner is not None:
        lease = claim(challenge.database, owner, lease_for=_MINUTE, kinds=[kind])
        assert lease is not None
        if is_done:
            with challenge.database.write() as session:
                finish(session, lease)
    return job.pk


def test_whose_containers_are_ended(engine: docker.DockerClient, challenge: Hosted):
    """
    Those of jobs that are over, unknown, or another engine's; not those that somebody here goes on with.
    """
    worker = Worker.of(challenge.here)
    assert isinstance(worker.programs, PinnedDockerExecutor)
    here, elsewhere = f"host.1@{worker.programs.engine_id}", "host.1@another"
    kept = {_job(challenge, "queued"), _job(challenge, "ours", here)}
    ended = {_job(challenge, "over", here, is_done=True), _job(challenge, "theirs", elsewhere), uuid4()}
    image = build_test_image("good")
    for pk in kept | ended:
        engine.containers.create(image, labels=dict(worker.labels(str(pk))))
    try:
        assert end_orphans(challenge.database, challenge.here.folder, worker.programs) == 3
        label = next(iter(f"{name}={value}" for name, value in worker.labels("").items()))
        left = {UUID(each.labels["org.reseed.service.job"]) for each in worker.programs.labelled(label)}
        assert left == kept
        assert end_orphans(challenge.database, challenge.here.folder, worker.programs) == 0
    finally:
        for pk in kept | ended:
            for each in worker.programs.labelled(f"org.reseed.service.job={pk}"):
                worker.programs.end(each.identifier)
