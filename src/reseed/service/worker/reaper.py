"""The reaper: no job without a living worker, and nothing longer in a state than its deadline says."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from reseed.service.database.engine import Database
from reseed.service.database.jobs import reap_leases
from reseed.service.database.models import (
    AlgorithmImage,
    AlgorithmModel,
    Evaluation,
    Job,
    Run,
    RunCase,
    Submission,
    Upload,
)
from reseed.service.database.transitions import transition
from reseed.service.domain.states import (
    ArchiveState,
    CaseState,
    EvaluationState,
    JobState,
    RunState,
    SubmissionState,
    UploadState,
)
from reseed.service.worker.ends import end_submission, fail_subject

_OPEN_JOBS = (JobState.QUEUED, JobState.LEASED)
_log = logging.getLogger(__name__)


def reap(database: Database) -> int:
    """
    Take back the jobs of workers that gave no sign, and end what is past its deadline.

    Any number of workers may do so at the same time. Nothing is written when nothing is due.

    Returns
    -------
    int
        How many rows were ended, besides jobs that are only queued again.
    """
    with database.read() as session:
        if not _is_anything_due(session, database.now(session)):
            return 0
    with database.write() as session:
        now = database.now(session)
        ended = reap_leases(session, now)
        for job in ended:
            _log.warning("job ended", extra={"job": str(job.pk), "kind": job.kind, "reason": job.reason})
            fail_subject(session, job, _in_words(job))
        n_ended = len(ended)
        for table, end in _ENDS.items():
            overdue = select(table).where(table.deadline < now).with_for_update(skip_locked=True, of=table)
            for row in session.scalars(overdue).unique().all():
                if row.deadline is None:
                    continue  # ended with another one, a moment ago
                _log.warning("deadline passed", extra={"noun": table.__tablename__, "pk": str(row.pk)})
                end(session, row)
                n_ended += 1
        return n_ended


def _is_anything_due(session: Session, now: datetime) -> bool:
    late = or_(Job.lease_until < now, Job.deadline < now)
    if session.scalar(select(Job.pk).where(Job.state.in_(_OPEN_JOBS), late).limit(1)) is not None:
        return True
    return any(
        session.scalar(select(table.pk).where(table.deadline < now).limit(1)) is not None for table in _ENDS
    )


def _in_words(job: Job) -> str:
    """What a person is told of a job that the reaper has ended; the job's own reason names hosts."""
    if "no sign of life" in job.reason:
        return f"the service lost its workers at this {job.attempts} times"
    return f"the service did not get to it in time: its job `{job.kind}` {job.reason}"


def _expire_submission(session: Session, submission: Submission) -> None:
    reason = f"was {submission.state} for longer than a submission may be"
    end_submission(session, submission, SubmissionState.EXPIRED, reason)


def _expire_run(session: Session, run: Run) -> None:
    reason = f"was {run.state} for longer than a run may be"
    transition(session, run, RunState.EXPIRED, reason=reason)
    end_submission(session, run.submission, SubmissionState.EXPIRED, f"run {run.number} {reason}")


def _expire_case(session: Session, case: RunCase) -> None:
    reason = f"was {case.state} for longer than a case may be"
    transition(session, case, CaseState.FAILED, reason=reason)
    run = session.get_one(Run, case.run_pk)
    if not run.state.is_terminal:
        transition(session, run, RunState.EXPIRED, reason=f"a case {reason}")
    end_submission(session, run.submission, SubmissionState.EXPIRED, f"run {run.number}: a case {reason}")


def _expire_evaluation(session: Session, evaluation: Evaluation) -> None:
    if evaluation.state is EvaluationState.CLAIMED:
        # somebody else may claim it
        transition(
            session,
            evaluation,
            EvaluationState.QUEUED,
            reason="its evaluator did not answer in time",
            claimed_by_pk=None,
        )
        return
    reason = f"its evaluation was {evaluation.state} for longer than one may be"
    transition(session, evaluation, EvaluationState.EXPIRED, reason=reason)
    run = session.get_one(Run, evaluation.run_pk)
    if not run.state.is_terminal:
        transition(session, run, RunState.EXPIRED, reason=reason)
    submission = session.get_one(Submission, evaluation.submission_pk)
    end_submission(session, submission, SubmissionState.EXPIRED, f"run {run.number}: {reason}")


def _expire_archive(session: Session, archive: AlgorithmImage | AlgorithmModel) -> None:
    reason = f"was {archive.state} for longer than it may be"
    transition(session, archive, ArchiveState.EXPIRED, reason=reason)


def _expire_upload(session: Session, upload: Upload) -> None:
    reason = "was not finished in time" if upload.state is UploadState.OPEN else "was not used in time"
    transition(session, upload, UploadState.EXPIRED, reason=reason)


# a submission's parts end with it: it comes first
_ENDS: dict[Any, Callable[[Session, Any], None]] = {
    Submission: _expire_submission,
    Run: _expire_run,
    RunCase: _expire_case,
    Evaluation: _expire_evaluation,
    AlgorithmImage: _expire_archive,
    AlgorithmModel: _expire_archive,
    Upload: _expire_upload,
}
