"""Evaluated submissions of a phase: what a leaderboard ranks."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from reseed.service.database.columns import now_utc
from reseed.service.database.models import Evaluation, Phase, Submission, User
from reseed.service.database.results import record_success
from reseed.service.database.transitions import enter, transition
from reseed.service.domain.states import EvaluationState, RunState, SubmissionState
from tests.service.boards import metrics_of
from tests.service.rows import add_image, add_submission, add_user
from tests.service.world import World


def phase_of(world: World, session: Session) -> Phase:
    """The world's one phase."""
    return session.get_one(Phase, UUID(world.names["phase_pk"]))


def change_phase(world: World, **values: object) -> None:
    """Set some of its columns."""
    with world.database.write() as session:
        phase = phase_of(world, session)
        for name, value in values.items():
            setattr(phase, name, value)


def release(world: World, **values: object) -> None:
    """Let everybody see its results."""
    change_phase(world, released_at=now_utc() - timedelta(minutes=1), **values)


def add_ranked(
    world: World,
    name: str,
    strength: float,
    n_runs: int,
    rng: np.random.Generator,
    *,
    username: str | None = None,
) -> None:
    """
    A submission all of whose runs are evaluated; `strength` as in `metrics_of`.

    It is of a new user, unless there is one of that name. `NAME_submission` and `NAME_evaluation` are noted.
    """
    with world.database.write() as session:
        phase = phase_of(world, session)
        if username is None:
            user = add_user(session, f"{name}-team")
        else:
            user = session.scalars(select(User).where(User.username == username)).one()
        submission = add_submission(session, phase, user, add_image(session, user, f"{name}-net"), n_runs)
        for evaluation in evaluating(session, submission):
            record_success(session, evaluation, metrics_of(strength, rng).document())
        world.names[f"{name}_submission"] = str(submission.pk)
        world.names[f"{name}_evaluation"] = str(evaluation.pk)


def evaluating(session: Session, submission: Submission) -> list[Evaluation]:
    """The evaluations of a new submission's runs, all of them under way."""
    for state in (SubmissionState.CHECKING, SubmissionState.TRYING, SubmissionState.RUNNING):
        transition(session, submission, state)
    evaluations = []
    for run in submission.runs:
        transition(session, run, RunState.PREDICTING)
        transition(session, run, RunState.EVALUATING)
        evaluation = Evaluation(run=run, phase_pk=submission.phase_pk, submission=submission)
        enter(session, evaluation)
        transition(session, evaluation, EvaluationState.EXECUTING)
        evaluations.append(evaluation)
    return evaluations


def take_back(world: World, evaluation: str) -> None:
    """Take an evaluation off the leaderboard."""
    with world.database.write() as session:
        session.get_one(Evaluation, UUID(world.names[evaluation])).published = False


def rank(world: World) -> World:
    """Two submissions of several runs and one of one run, on the same cases; released."""
    take_back(world, "evaluation")  # the world's own submission is of one case
    rng = np.random.default_rng(4)
    for name, strength, n_runs in (("good", 2.5, 5), ("weak", 0.4, 5), ("once", 2.4, 1)):
        add_ranked(world, name, strength, n_runs, rng)
    release(world)
    return world
