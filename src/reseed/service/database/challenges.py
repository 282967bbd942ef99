"""Tables of a challenge and its phases."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from reseed.service.database.columns import Base, Noun, owned_by, state_column
from reseed.service.domain.roles import JoinPolicy, SubmissionKind


class Challenge(Noun, Base):
    """A question that algorithms compete on, with its organisers and participants."""

    __tablename__ = "challenges"

    slug: Mapped[str] = mapped_column(String(64), unique=True)
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(default="")
    contact: Mapped[str] = mapped_column(default="")
    is_public: Mapped[bool] = mapped_column(default=False)
    join_policy: Mapped[JoinPolicy] = mapped_column(state_column(JoinPolicy), default=JoinPolicy.ON_REQUEST)

    phases: Mapped[list[Phase]] = relationship(
        back_populates="challenge", order_by="Phase.position", cascade="all, delete-orphan"
    )


class Phase(Noun, Base):
    """
    A part of a challenge with its own hidden cases, limits and leaderboard.

    `cases_folder` (a dataset of the hidden inputs), `reference_folder` (the reference standard) and
    `training_folder` are folders on the worker's machine; no route ever shows them to participants.
    `trial_case` is the case that is tried first, where the organiser has named one; only what is printed
    at a named one is ever shown to participants, and only with `shows_trial_log`; `shows_error_lines`
    shows them the last line of any program of theirs that fails.
    """

    __tablename__ = "phases"
    __table_args__ = (UniqueConstraint("challenge_pk", "slug"),)

    challenge_pk: Mapped[UUID] = owned_by("challenges")
    slug: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(default="")
    position: Mapped[int] = mapped_column(default=1)

    task_name: Mapped[str] = mapped_column(String(64))
    task_text: Mapped[str]
    cases_folder: Mapped[str]
    reference_folder: Mapped[str]
    training_folder: Mapped[str | None]
    evaluation_image: Mapped[str | None]
    is_external: Mapped[bool] = mapped_column(default=False)

    submission_kind: Mapped[SubmissionKind] = mapped_column(state_column(SubmissionKind))
    n_runs: Mapped[int] = mapped_column(default=1)
    submissions_per_day: Mapped[int] = mapped_column(default=1)
    submissions_in_total: Mapped[int | None]
    case_timeout_s: Mapped[int] = mapped_column(default=600)
    training_timeout_s: Mapped[int] = mapped_column(default=86400)
    evaluation_timeout_s: Mapped[int] = mapped_column(default=3600)
    members: Mapped[int] = mapped_column(default=1)
    cpus: Mapped[int] = mapped_column(default=2)
    memory_gib: Mapped[int] = mapped_column(default=8)
    gpus: Mapped[int] = mapped_column(default=0)
    hyperparameters: Mapped[dict[str, Any]] = mapped_column(default=dict)

    opens_at: Mapped[datetime | None]
    closes_at: Mapped[datetime | None]
    released_at: Mapped[datetime | None]
    allows_csv: Mapped[bool] = mapped_column(default=False)
    trial_case: Mapped[str | None] = mapped_column(String(128))
    shows_trial_log: Mapped[bool] = mapped_column(default=False)
    shows_error_lines: Mapped[bool] = mapped_column(default=False, server_default=false())

    challenge: Mapped[Challenge] = relationship(back_populates="phases", lazy="joined", innerjoin=True)

    def shows_words(self, case: str | None = None) -> bool:
        """Whether submitters see what their program said last, in a training or at a case."""
        if self.shows_error_lines:
            return True
        return self.shows_trial_log and case is not None and case == self.trial_case
