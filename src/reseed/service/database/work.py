"""Tables of the worker's jobs and of the audit trail."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from reseed.service.database.columns import (
    Base,
    Noun,
    Stateful,
    now_utc,
    owned_by,
    refers_to,
    state_column,
)
from reseed.service.domain.states import JobState


class Job(Noun, Stateful, Base):
    """
    Something for a worker to do, claimed by lease.

    Of the subjects (`submission_pk`, `run_pk`, …) those are given that its kind is about. Of its
    attempts, those are lost whose worker vanished; the others have failed, but for the one at work.
    """

    __tablename__ = "jobs"
    __table_args__ = (Index("ix_jobs_claim", "state", "priority", "available_at"),)

    kind: Mapped[str] = mapped_column(String(32))
    submission_pk: Mapped[UUID | None] = owned_by("submissions", nullable=True)
    run_pk: Mapped[UUID | None] = owned_by("runs", nullable=True)
    evaluation_pk: Mapped[UUID | None] = owned_by("evaluations", nullable=True)
    algorithm_image_pk: Mapped[UUID | None] = owned_by("algorithm_images", nullable=True)
    algorithm_model_pk: Mapped[UUID | None] = owned_by("algorithm_models", nullable=True)
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    priority: Mapped[int] = mapped_column(Integer, default=100)
    available_at: Mapped[datetime] = mapped_column(default=now_utc)
    state: Mapped[JobState] = mapped_column(state_column(JobState), default=JobState.QUEUED)
    lease_owner: Mapped[str | None] = mapped_column(String(200))
    lease_until: Mapped[datetime | None] = mapped_column(index=True)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    lost_attempts: Mapped[int] = mapped_column(Integer, default=0)


class Event(Base):
    """One line of the audit trail: who did what to which row, and when. Never changed, never removed."""

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_noun", "noun", "noun_pk"),)

    number: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True
    )
    at: Mapped[datetime] = mapped_column(default=now_utc, index=True)
    actor_pk: Mapped[UUID | None] = refers_to("users", nullable=True)
    noun: Mapped[str] = mapped_column(String(32))
    noun_pk: Mapped[UUID]
    action: Mapped[str] = mapped_column(String(32))
    before: Mapped[str | None] = mapped_column(String(24))
    after: Mapped[str | None] = mapped_column(String(24))
    reason: Mapped[str] = mapped_column(default="")
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
