"""A challenge file: what an organiser hosts, in one YAML file."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from reseed.contracts.containers import MAX_MEMBERS
from reseed.contracts.model import SLUG_PATTERN, Contract

Slug = Annotated[str, Field(min_length=2, max_length=64, pattern=SLUG_PATTERN)]
"""A name in addresses."""

Title = Annotated[str, Field(min_length=1, max_length=200)]


_YEARS = range(1970, 9999)


def _within_reach(instant: datetime) -> datetime:
    """In any time zone: the first and the last year that there are leave no room for one."""
    if instant.year not in _YEARS:
        raise ValueError(f"must be an instant of the years {_YEARS.start} to {_YEARS.stop - 1}")
    return instant


Instant = Annotated[AwareDatetime, AfterValidator(_within_reach)]
"""A point in time, with its time zone."""


class PhaseLimits(Contract):
    """What one submission, and one participant, may use."""

    submissions_per_day: int = Field(default=1, ge=0, le=1000)
    submissions_in_total: int | None = Field(default=None, ge=0, le=100_000)
    case_timeout_s: int = Field(default=600, ge=1, le=86_400, description="One case, by one run.")
    training_timeout_s: int = Field(
        default=86_400,
        ge=1,
        le=14 * 86_400,
        description="One training of a retraining: of each of its ensemble members.",
    )
    members: int = Field(
        default=1,
        ge=1,
        le=MAX_MEMBERS,
        description="Ensemble members that a retraining may have, one training each.",
    )
    evaluation_timeout_s: int = Field(default=3_600, ge=1, le=86_400)
    cpus: int = Field(default=2, ge=1, le=256)
    memory_gib: int = Field(default=8, ge=1, le=4096)
    gpus: int = Field(default=0, ge=0, le=16)


class PhaseSettings(Contract):
    """
    One phase: its task, its hidden cases, and what it takes.

    The data are a dataset folder, or the folders of cases and reference one by one; paths are
    relative to the challenge file.
    """

    title: Title
    description: str = ""
    task: str = Field(description="A task of evaluation/tasks/, or the path of a task file (.yaml).")
    dataset: str | None = Field(default=None, description="A dataset folder, as `reseed data` makes one.")
    cases: str | None = Field(default=None, description="Folder of the hidden cases, one folder each.")
    reference: str | None = Field(default=None, description="Folder of the reference standard.")
    training: str | None = Field(default=None, description="Folder of the training channel.")
    submission_kind: Literal["inference", "training"] = "inference"
    runs: int = Field(default=1, ge=1, le=64, description="Retrainings, or brought models, asked for.")
    hyperparameters: dict[str, str] = Field(default_factory=dict, description="Of every retraining.")
    limits: PhaseLimits = PhaseLimits()
    evaluation_image: str | None = Field(default=None, description="Of another evaluation container.")
    is_external: bool = Field(default=False, description="Evaluated by somebody who claims evaluations.")
    opens_at: Instant | None = None
    closes_at: Instant | None = None
    released_at: Instant | None = Field(
        default=None, description="From when on everybody sees results; without it, organisers only."
    )
    allows_csv: bool = Field(default=False, description="Results by case may be downloaded.")
    trial_case: str | None = Field(
        default=None,
        max_length=128,
        description="The case that is tried first; by default the first by name.",
    )
    shows_trial_log: bool = Field(
        default=False,
        description="Submitters see what their program prints at the trial case, which may quote its input.",
    )

    shows_error_lines: bool = Field(
        default=False,
        description="Submitters see the last line on stderr of a program of theirs that failed, which may "
        "quote what it read.",
    )

    @model_validator(mode="after")
    def _data_are_given_once(self) -> Self:
        parts = {"cases": self.cases, "reference": self.reference, "training": self.training}
        if self.dataset is not None:
            given = next((key for key, value in parts.items() if value is not None), None)
            if given is not None:
                raise ValueError(f"{given} is in the dataset already: give one or the other")
            return self
        missing = next((key for key in ("cases", "reference") if parts[key] is None), None)
        if missing is not None:
            raise ValueError(f"{missing} is missing: give a dataset, or the folders of cases and reference")
        if self.submission_kind == "training" and self.training is None:
            raise ValueError("training is missing: submissions with training need the folder that they read")
        return self

    @model_validator(mode="after")
    def _a_shown_trial_case_is_named(self) -> Self:
        if self.shows_trial_log and self.trial_case is None:
            raise ValueError(
                "trial_case is missing: shows_trial_log shows submitters whatever their program prints of "
                "that case, so name one that may be known"
            )
        return self

    @model_validator(mode="after")
    def _closes_after_it_opens(self) -> Self:
        if self.opens_at is not None and self.closes_at is not None and self.closes_at <= self.opens_at:
            raise ValueError("closes_at must be after opens_at")
        return self


class ChallengeFile(Contract):
    """A challenge with its organisers and phases."""

    challenge: Slug = Field(description="Its name in addresses.")
    title: Title
    description: str = Field(default="", description="Markdown.")
    contact: str = ""
    is_public: bool = Field(default=True, description="Whether anybody may see it.")
    join_policy: Literal["open", "on_request", "closed"] = "on_request"
    organisers: tuple[str, ...] = Field(min_length=1, description="User names.")
    phases: dict[Slug, PhaseSettings] = Field(min_length=1, description="By their names in addresses.")
