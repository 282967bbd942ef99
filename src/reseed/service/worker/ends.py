"""How submissions end without a result: whatever is left of them ends with them."""

from __future__ import annotations

from sqlalchemy.orm import Session

from reseed.service.database.jobs import cancel_jobs
from reseed.service.database.models import AlgorithmImage, AlgorithmModel, Evaluation, Job, Run, Submission
from reseed.service.database.results import end_parts, record_failure
from reseed.service.database.transitions import transition
from reseed.service.domain.states import ArchiveState, RunState, SubmissionState


def end_submission(session: Session, submission: Submission, state: SubmissionState, reason: str) -> None:
    """End a submission, unless it has ended, and with it its runs, cases, evaluations and jobs."""
    if not submission.state.is_terminal:
        transition(session, submission, state, reason=reason)
    ended = f"its submission is {submission.state}"
    end_parts(session, submission, reason=ended)
    cancel_jobs(session, Job.submission_pk == submission.pk, reason=ended)


def fail_subject(session: Session, job: Job, reason: str, *, is_refusal: bool = False) -> None:
    """
    Fail what a job is about, in the transaction that ends the job.

    Parameters
    ----------
    session
        A writing transaction, in which the job has ended.
    job
        Which has failed.
    reason
        What a person sees.
    is_refusal
        Whether what was uploaded breaks a rule, so that an image or a model is rejected.
    """
    if job.algorithm_image_pk is not None or job.algorithm_model_pk is not None:
        archive: AlgorithmImage | AlgorithmModel
        if job.algorithm_image_pk is not None:
            archive = session.get_one(AlgorithmImage, job.algorithm_image_pk)
        else:
            archive = session.get_one(AlgorithmModel, job.algorithm_model_pk)
        if archive.state in (ArchiveState.RECEIVED, ArchiveState.CHECKING):
            to = ArchiveState.REJECTED if is_refusal else ArchiveState.FAILED
            transition(session, archive, to, reason=reason)
        return
    if job.evaluation_pk is not None:
        evaluation = session.get_one(Evaluation, job.evaluation_pk)
        if not evaluation.state.is_terminal:
            record_failure(session, evaluation, reason)
        end_submission(session, evaluation.submission, SubmissionState.FAILED, reason)
        return
    if job.run_pk is not None:
        run = session.get_one(Run, job.run_pk)
        if not run.state.is_terminal:
            transition(session, run, RunState.FAILED, reason=reason)
        end_submission(session, run.submission, SubmissionState.FAILED, f"run {run.number}: {reason}")
        return
    if job.submission_pk is not None:
        submission = session.get_one(Submission, job.submission_pk)
        end_submission(session, submission, SubmissionState.FAILED, reason)
