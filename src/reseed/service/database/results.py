"""What the end of an evaluation means for its run and its submission, in one transaction."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from reseed.service.database.models import Evaluation, Run, RunCase, Submission
from reseed.service.database.transitions import transition
from reseed.service.domain.states import CaseState, EvaluationState, RunState, SubmissionState


def record_success(
    session: Session, evaluation: Evaluation, metrics: dict[str, Any], *, actor: UUID | None = None
) -> None:
    """
    Keep the metrics of a run; the last run of a submission ends it as evaluated.

    Parameters
    ----------
    session
        A writing transaction.
    evaluation
        Claimed or executing.
    metrics
        metrics.json, whole.
    actor
        The external evaluator; None for the worker.

    Raises
    ------
    StateChanged, ForbiddenTransition
        When the evaluation has ended otherwise: nothing is written twice.
    """
    transition(
        session,
        evaluation,
        EvaluationState.SUCCEEDED,
        actor=actor,
        metrics=metrics,
        aggregates=metrics["aggregates"],
    )
    run = session.get_one(Run, evaluation.run_pk)
    transition(session, run, RunState.EVALUATED, actor=actor)
    end_if_evaluated(session, session.get_one(Submission, evaluation.submission_pk))


def end_if_evaluated(session: Session, submission: Submission) -> None:
    """End a running submission as evaluated when all of its runs are."""
    states = set(session.scalars(select(Run.state).where(Run.submission_pk == submission.pk)))
    if states == {RunState.EVALUATED} and submission.state is SubmissionState.RUNNING:
        transition(session, submission, SubmissionState.EVALUATED)


def record_failure(
    session: Session, evaluation: Evaluation, reason: str, *, actor: UUID | None = None
) -> None:
    """
    End an evaluation without metrics, and with it its run and the whole submission.

    A submission with fewer runs than were asked for would be ranked on another footing.

    Raises
    ------
    StateChanged, ForbiddenTransition
        When the evaluation has ended otherwise.
    """
    transition(session, evaluation, EvaluationState.FAILED, reason=reason, actor=actor)
    run = session.get_one(Run, evaluation.run_pk)
    if not run.state.is_terminal:
        transition(session, run, RunState.FAILED, reason=reason, actor=actor)
    submission = session.get_one(Submission, evaluation.submission_pk)
    if not submission.state.is_terminal:
        transition(
            session,
            submission,
            SubmissionState.FAILED,
            reason=f"run {run.number}: {reason}",
            actor=actor,
        )
        end_parts(session, submission, reason="its submission failed")


def end_parts(session: Session, submission: Submission, *, reason: str, actor: UUID | None = None) -> None:
    """End the runs, cases and evaluations of a submission that has ended without a result."""
    for run in session.scalars(select(Run).where(Run.submission_pk == submission.pk)):
        if not run.state.is_terminal:
            transition(session, run, RunState.CANCELLED, reason=reason, actor=actor)
    for case in session.scalars(select(RunCase).join(Run).where(Run.submission_pk == submission.pk)):
        if not case.state.is_terminal:
            transition(session, case, CaseState.CANCELLED, reason=reason, actor=actor)
    for evaluation in session.scalars(select(Evaluation).where(Evaluation.submission_pk == submission.pk)):
        if not evaluation.state.is_terminal:
            transition(session, evaluation, EvaluationState.CANCELLED, reason=reason, actor=actor)
