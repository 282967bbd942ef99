"""What workers leave behind when they are killed goes once a submission is over."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from reseed.service.database.models import AlgorithmModel, Submission
from reseed.service.database.overdue import end_submission
from reseed.service.database.transitions import enter
from reseed.service.domain.states import ArchiveState, SubmissionState
from reseed.service.worker.leftovers import remove_leftovers
from tests.service.worker.world import Hosted

KEPT = {
    "runs/1/logs/case-1.log",
    "runs/1/predictions/predictions.json",
    # an algorithm may give its outputs such a name
    "runs/1/predictions/case-1/output/.mask.7.tmp",
}
LEFT = {
    "runs/1/.model.building/weights",
    "runs/1/logs/.case-1.log.7.tmp",
    "runs/1/predictions/.predictions.json.7.tmp",
    "runs/1/steps/case-1/attempt.json",
    "runs/1/steps/case-1/attempts/1/output/mask",
    "runs/1/steps/train/checkpoints/last",
}
MODEL = "runs/1/model/weights"


def _submission(challenge: Hosted, *, is_brought: bool) -> UUID:
    pk = challenge.submit(challenge.phase(), "sha256:" + "b" * 64)
    with challenge.database.write() as session:
        submission = session.get_one(Submission, pk)
        if is_brought:
            algorithm = submission.algorithm_image.algorithm
            model = AlgorithmModel(
                algorithm=algorithm, creator=submission.creator, state=ArchiveState.READY, sha256="1" * 64
            )
            enter(session, model)
            submission.runs[0].algorithm_model_pk = model.pk
    for name in (*KEPT, *LEFT, MODEL):
        path = challenge.here.folder.submission(pk) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return pk


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("is_brought", [True, False])
def test_leftovers_of_a_submission_that_is_over(challenge: Hosted, is_brought: bool):
    """
    They stay while somebody may go on with them; results, logs and a model that was trained here stay.
    """
    pk = _submission(challenge, is_brought=is_brought)
    folder = challenge.here.folder.submission(pk)
    assert remove_leftovers(challenge.database, challenge.here.folder) == 0
    assert _files(folder) == KEPT | LEFT | {MODEL}

    with challenge.database.write() as session:
        submission = session.get_one(Submission, pk)
        end_submission(session, submission, SubmissionState.FAILED, "run 1: the first case: exit code 3")
    assert remove_leftovers(challenge.database, challenge.here.folder) == 1
    assert _files(folder) == (KEPT if is_brought else KEPT | {MODEL})
    assert remove_leftovers(challenge.database, challenge.here.folder) == 0


def test_a_folder_of_nobody_s_is_left(challenge: Hosted):
    """
    The database may be older than the folder, as after a restore.
    """
    folder = challenge.here.folder.submission(UUID(int=1))
    (folder / "runs/1/steps").mkdir(parents=True)
    assert remove_leftovers(challenge.database, challenge.here.folder) == 0
    assert (folder / "runs/1/steps").is_dir()
