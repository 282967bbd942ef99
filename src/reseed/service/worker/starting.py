"""Job `start`: a submission waits for its image and its models, then its first run begins."""

from __future__ import annotations

import secrets
from datetime import timedelta

from sqlalchemy.orm import Session

from reseed.orchestration.packaging.image_rules import n_members_of
from reseed.service.database.jobs import Lease, finish, held_job, release
from reseed.service.database.models import AlgorithmImage, AlgorithmModel, Submission
from reseed.service.database.overdue import end_submission
from reseed.service.database.transitions import transition
from reseed.service.domain.limits import members_refusal
from reseed.service.domain.roles import SubmissionKind
from reseed.service.domain.states import ArchiveState, SubmissionState
from reseed.service.worker.at_hand import enqueue_for_run, stay_of
from reseed.service.worker.worker import Worker

_LOOK_AGAIN = timedelta(seconds=2)
_WAITING = (ArchiveState.RECEIVED, ArchiveState.CHECKING)


def start(worker: Worker, lease: Lease) -> None:
    """Begin a submission, reject it with what it is made of, or look again later."""
    with worker.database.write() as session:
        held_job(session, lease)
        submission = session.get_one(Submission, lease.submission_pk)
        if submission.state is SubmissionState.RECEIVED:
            transition(session, submission, SubmissionState.CHECKING, reason="waits for its image and models")
        parts = _parts(session, submission)
        refused = next((each for each in parts if each.state not in (*_WAITING, ArchiveState.READY)), None)
        if refused is not None:
            reason = f"its {_noun(refused)} is {refused.state}: {refused.reason or 'without a reason'}"
            _reject(session, lease, submission, reason)
            return
        if any(each.state in _WAITING for each in parts):
            release(session, lease, reason="its image or a model is not checked yet", after=_LOOK_AGAIN)
            return
        is_trained = submission.kind is SubmissionKind.TRAINING
        if is_trained and not submission.algorithm_image.has_training:
            _reject(
                session, lease, submission, "its image has no training, and the phase retrains submissions"
            )
            return
        n_members = n_members_of(submission.algorithm_image.labels) if is_trained else 1
        refusal = members_refusal(n_members, at_most=submission.phase.members)
        if refusal is not None:
            _reject(session, lease, submission, refusal)
            return
        entropy = submission.entropy if submission.entropy is not None else secrets.randbits(63)
        within = stay_of(SubmissionState.TRYING, submission, n_trainings=1 + n_members if is_trained else 0)
        transition(session, submission, SubmissionState.TRYING, entropy=entropy, within=within)
        enqueue_for_run(session, submission, submission.runs[0], "preprocess" if is_trained else "try")
        finish(session, lease)


def _reject(session: Session, lease: Lease, submission: Submission, reason: str) -> None:
    finish(session, lease, reason=reason)
    end_submission(session, submission, SubmissionState.REJECTED, reason)


def _parts(session: Session, submission: Submission) -> list[AlgorithmImage | AlgorithmModel]:
    """The image and the models that a submission consists of."""
    pks = [run.algorithm_model_pk for run in submission.runs if run.algorithm_model_pk is not None]
    return [submission.algorithm_image, *(session.get_one(AlgorithmModel, pk) for pk in pks)]


def _noun(archive: AlgorithmImage | AlgorithmModel) -> str:
    return "image" if isinstance(archive, AlgorithmImage) else "model"
