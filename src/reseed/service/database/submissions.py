"""Tables of submissions: their runs, the runs' cases, and the evaluations."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from reseed.service.database.algorithms import AlgorithmImage, AlgorithmModel
from reseed.service.database.challenges import Phase
from reseed.service.database.columns import (
    Base,
    JsonDocument,
    Noun,
    Stateful,
    owned_by,
    refers_to,
    state_column,
)
from reseed.service.database.people import Team, User
from reseed.service.domain.roles import SubmissionKind
from reseed.service.domain.states import CaseState, EvaluationState, RunState, SubmissionState


class Submission(Noun, Stateful, Base):
    """
    An image with its models, or with its training, handed in to a phase.

    `idempotency_key` is the client's, by which it may ask again for what it could not see the answer to.
    """

    __tablename__ = "submissions"
    __table_args__ = (
        Index("ix_submissions_phase_state", "phase_pk", "state"),
        Index("ix_submissions_idempotency_key", "creator_pk", "idempotency_key", unique=True),
    )

    phase_pk: Mapped[UUID] = refers_to("phases", index=False)
    creator_pk: Mapped[UUID] = refers_to("users")
    team_pk: Mapped[UUID | None] = refers_to("teams", nullable=True)
    algorithm_image_pk: Mapped[UUID] = refers_to("algorithm_images")
    kind: Mapped[SubmissionKind] = mapped_column(state_column(SubmissionKind))
    n_runs: Mapped[int] = mapped_column(default=1)
    entropy: Mapped[int | None]
    comment: Mapped[str] = mapped_column(default="")
    publication_url: Mapped[str] = mapped_column(default="")
    idempotency_key: Mapped[str | None] = mapped_column(String(100))
    state: Mapped[SubmissionState] = mapped_column(
        state_column(SubmissionState), default=SubmissionState.RECEIVED
    )
    cancel_asked_at: Mapped[datetime | None]
    outputs_removed_at: Mapped[datetime | None]

    phase: Mapped[Phase] = relationship(lazy="joined", innerjoin=True)
    creator: Mapped[User] = relationship(lazy="joined", innerjoin=True)
    team: Mapped[Team | None] = relationship()
    algorithm_image: Mapped[AlgorithmImage] = relationship()
    runs: Mapped[list[Run]] = relationship(
        back_populates="submission", order_by="Run.number", cascade="all, delete-orphan"
    )


class Run(Noun, Stateful, Base):
    """One retraining, or one brought model, of a submission; numbered from 1."""

    __tablename__ = "runs"
    __table_args__ = (UniqueConstraint("submission_pk", "number"),)

    submission_pk: Mapped[UUID] = owned_by("submissions", index=False)
    number: Mapped[int]
    algorithm_model_pk: Mapped[UUID | None] = refers_to("algorithm_models", nullable=True)
    seeds: Mapped[dict[str, Any] | None] = mapped_column(JsonDocument)
    record: Mapped[dict[str, Any] | None] = mapped_column(JsonDocument, deferred=True)
    state: Mapped[RunState] = mapped_column(state_column(RunState), default=RunState.QUEUED)

    submission: Mapped[Submission] = relationship(back_populates="runs")
    algorithm_model: Mapped[AlgorithmModel | None] = relationship()
    cases: Mapped[list[RunCase]] = relationship(order_by="RunCase.name", cascade="all, delete-orphan")


class RunCase(Noun, Stateful, Base):
    """One hidden case under one run: how it went, and where its log is."""

    __tablename__ = "run_cases"
    __table_args__ = (UniqueConstraint("run_pk", "name"),)

    run_pk: Mapped[UUID] = owned_by("runs", index=False)
    name: Mapped[str] = mapped_column(String(128))
    is_trial: Mapped[bool] = mapped_column(default=False)
    state: Mapped[CaseState] = mapped_column(state_column(CaseState), default=CaseState.QUEUED)
    started: Mapped[datetime | None]
    seconds: Mapped[float | None]
    exit_code: Mapped[int | None]
    last_error_line: Mapped[str] = mapped_column(default="")


class Evaluation(Noun, Stateful, Base):
    """
    What one run scored on a phase; there is never a second one of the same run.

    `aggregates` is that part of metrics.json; `metrics` is all of it, read only when asked for.
    """

    __tablename__ = "evaluations"
    __table_args__ = (
        UniqueConstraint("run_pk", "phase_pk"),
        # whether a leaderboard is current, without reading past the large documents of the rows
        Index("ix_evaluations_of_a_board", "phase_pk", "state", "published", "state_since"),
    )

    run_pk: Mapped[UUID] = owned_by("runs", index=False)
    phase_pk: Mapped[UUID] = refers_to("phases")
    submission_pk: Mapped[UUID] = owned_by("submissions")
    is_external: Mapped[bool] = mapped_column(default=False)
    claimed_by_pk: Mapped[UUID | None] = refers_to("users", nullable=True)
    state: Mapped[EvaluationState] = mapped_column(
        state_column(EvaluationState), default=EvaluationState.QUEUED
    )
    aggregates: Mapped[dict[str, Any] | None] = mapped_column(JsonDocument)
    metrics: Mapped[dict[str, Any] | None] = mapped_column(JsonDocument, deferred=True)
    published: Mapped[bool] = mapped_column(default=True)
    ended: Mapped[datetime | None]

    run: Mapped[Run] = relationship(lazy="joined", innerjoin=True)
    submission: Mapped[Submission] = relationship(lazy="joined", innerjoin=True)
