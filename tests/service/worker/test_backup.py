"""A service that was restored from a backup goes on: nothing twice, nothing lost."""

from __future__ import annotations

import subprocess
from datetime import timedelta

import pytest
from sqlalchemy import select

from reseed.service.database.jobs import claim
from reseed.service.database.models import AlgorithmImage, Evaluation
from reseed.service.domain.states import EvaluationState, JobState, RunState, SubmissionState
from reseed.service.installation import installation
from reseed.service.operations.backup.restoring import restore_backup
from reseed.service.operations.backup.taking import take_backup
from reseed.service.settings import settings_from
from reseed.service.worker.loop import run_worker
from reseed.service.worker.worker import Worker
from tests.service.backups import second_database
from tests.service.worker.world import CASES, Hosted, build_test_image, environment

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]


@pytest.mark.usefixtures("evaluation_image", "engine")
def test_a_restored_service_goes_on(challenge: Hosted):
    """
    A submission that was evaluated is not run again; one that waits for its evaluation is not predicted
    again; one that a worker had just taken begins anew.
    """
    hosted, root = challenge, challenge.root
    digest = build_test_image("good")
    first = hosted.submit(hosted.phase(), digest)
    hosted.work()
    second = hosted.submit(hosted.phase(), digest)
    run_worker(Worker.of(hosted.here), kinds=["start", "try", "predict"], until_idle=True)
    assert hosted.run(second).state is RunState.EVALUATING
    third = hosted.submit(hosted.phase(), digest)
    assert claim(hosted.database, "host.1@gone", lease_for=timedelta(hours=1), kinds=["start"]) is not None
    _store_images(hosted, digest)
    evaluated = _evaluations(hosted)
    assert len(evaluated) == 1

    take_backup(hosted.here, root / "backup.tar")
    (root / "second").mkdir()
    url = second_database(hosted.database, root / "second")
    here = installation(settings_from(environment(root / "second", url)))
    restore_backup(here, root / "backup.tar")
    again = Hosted(root, here, hosted.challenge, hosted.user)
    again.work()

    for pk in (first, second, third):
        submission = again.submission(pk)
        assert submission.state is SubmissionState.EVALUATED, submission.reason
        assert [run.state for run in submission.runs] == [RunState.EVALUATED]
        assert again.here.folder.log(pk, 1, f"case-{CASES[0]}").read_text() == "predicting\n"
    now = _evaluations(again)
    assert {pk: now[pk] for pk in evaluated} == evaluated
    assert len(now) == 3
    assert {job.state for kind in ("start", "evaluate") for job in again.jobs(kind)} == {JobState.DONE}
    assert len(again.jobs("evaluate")) == 3
    predicted = [job for job in again.jobs("predict") if job.submission_pk == second]
    assert [job.state_since for job in predicted] == [
        job.state_since for job in hosted.jobs("predict") if job.submission_pk == second
    ]
    here.database.close()


def _store_images(hosted: Hosted, digest: str) -> None:
    """The tarballs of the images, as their upload leaves them."""
    with hosted.database.read() as session:
        pks = list(session.scalars(select(AlgorithmImage.pk)))
    saved = hosted.here.folder.image(pks[0])
    saved.parent.mkdir(parents=True)
    subprocess.run(["docker", "save", "--output", str(saved), digest], check=True, timeout=120)
    for pk in pks[1:]:
        hosted.here.folder.image(pk).hardlink_to(saved)


def _evaluations(hosted: Hosted) -> dict[object, object]:
    """What each run scored, and when that was written."""
    done = select(Evaluation).where(Evaluation.state == EvaluationState.SUCCEEDED)
    with hosted.database.read() as session:
        return {row.pk: (row.aggregates, row.state_since) for row in session.scalars(done)}
