"""An engine that does not answer for a while costs no submission anything."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from reseed.orchestration.executors.pinned import PinnedDockerExecutor
from reseed.service.database.jobs import MAX_ATTEMPTS, claim
from reseed.service.database.models import Job
from reseed.service.domain.states import CaseState, JobState, RunState
from reseed.service.worker.loop import run_worker, work
from reseed.service.worker.worker import Worker
from tests.private_engine import PrivateEngine, private_engine
from tests.service.worker.world import Hosted, build_test_image, image_tag

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]


@pytest.fixture
def engine_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateEngine]:
    """An engine which may be stopped, and which workers made from now on use."""
    engine = private_engine()
    try:
        monkeypatch.setenv("DOCKER_HOST", engine.host)
        yield engine
    finally:
        engine.close()


# docker-py leaves the sockets open whose connection was refused
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_job_waits_for_the_engine_and_uses_up_no_attempt(
    challenge: Hosted, engine_of_its_own: PrivateEngine, monkeypatch: pytest.MonkeyPatch
):
    """However often it is tried meanwhile; then it goes on."""
    with monkeypatch.context() as other:
        other.delenv("DOCKER_HOST")
        digest = build_test_image("good")
        engine_of_its_own.load(image_tag("good"))
    # others evaluate: the engine has no evaluation image
    pk = challenge.submit(challenge.phase(is_external=True), digest)
    worker = Worker.of(challenge.here)
    assert isinstance(worker.programs, PinnedDockerExecutor)
    engine_of_its_own.end()

    job = None
    for _ in range(2 * MAX_ATTEMPTS):
        lease = claim(worker.database, worker.owner, lease_for=worker.lease_for)
        assert lease is not None
        work(worker, lease)
        with worker.database.read() as session:
            job = session.get_one(Job, lease.job_pk)
        if job.state is JobState.QUEUED:
            challenge.make_due(job)
    assert job is not None
    assert (job.state, job.attempts) == (JobState.QUEUED, 0)
    assert "does not answer" in job.reason
    assert not challenge.submission(pk).state.is_terminal

    engine_of_its_own.start()
    run_worker(worker, until_idle=True)

    worker.programs.close()
    run = challenge.run(pk)
    assert run.state is RunState.EVALUATING
    assert {case.state for case in run.cases} == {CaseState.SUCCEEDED}
    gc.collect()
