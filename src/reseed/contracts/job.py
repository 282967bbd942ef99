"""Jobs: the nodes of a study's plan, and what is known of each on disk."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from reseed.contracts.manifest import Resources
from reseed.contracts.model import Contract, Sha256


class JobKind(StrEnum):
    """What a job does, in the order in which a study does it."""

    PREPROCESS = "preprocess"
    TRAIN = "train"
    PREDICT = "predict"
    SCORE = "score"
    COMPARE = "compare"


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self in _TERMINAL


_TERMINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})


Fault = Literal["job", "infrastructure", "disk", "interruption"]
"""Whose fault it is that an attempt has no result; a full disk and a stop are never the job's."""


class InputFolder(Contract):
    """A folder that a job reads: of the dataset, of an earlier job's output, or with a given file."""

    target: str = Field(description="Absolute path inside the container.")
    job: Sha256 | None = Field(default=None, description="Key of the earlier job; None for the dataset.")
    path: str = Field(default="", description="Below the dataset folder, or below the job's output.")
    file: Sha256 | None = Field(
        default=None, description="Digest of a file kept with the study, which is the folder's only one."
    )


class OutputFolder(Contract):
    """A folder that a job writes."""

    target: str = Field(description="Absolute path inside the container.")
    name: str = Field(description="Below the job's output; empty for the whole of it.")


class Job(Contract):
    """Everything needed to start a job, and nothing known only afterwards."""

    key: Sha256 = Field(description="Digest of all that decides the result.")
    name: str = Field(description="kind/method/run-3/member-1, as people read it.")
    kind: JobKind
    method: str | None = None
    run: int | None = None
    member: int | None = None
    role: str = Field(description="Algorithm name, `evaluation` or `comparison`: whose program this is.")
    command: str = Field(description="Entry point: preprocess, train, inference, evaluate, compare.")
    code: Sha256 = Field(description="Digest of the image, or of the program when it is a plain process.")
    settings: dict[str, str] = Field(default_factory=dict, description="hyperparameters.json.")
    environment: dict[str, str] = Field(default_factory=dict, description="Seeds and the ensemble member.")
    config: dict[str, str] = Field(default_factory=dict, description="Further config files, text by name.")
    data: str | None = Field(default=None, description="Digest of the part of the dataset that it reads.")
    inputs: tuple[InputFolder, ...] = ()
    outputs: tuple[OutputFolder, ...]
    has_checkpoints: bool = False
    needs: tuple[Sha256, ...] = ()
    resources: Resources = Resources()


class BootInstant(Contract):
    """An instant on the clock that counts from a machine's start; setting the clock does not move it."""

    boot: str = Field(min_length=1, description="Which start of which machine.")
    seconds: float = Field(ge=0, description="Since then, sleep included.")


class Attempt(Contract):
    """One start of a job."""

    number: int = Field(ge=1)
    executor: str
    handle: dict[str, str | int | float] = Field(description="How the executor finds it again.")
    started: datetime
    started_on_boot_clock: BootInstant | None = Field(
        default=None, description="The same instant, as measured."
    )
    ended: datetime | None = Field(
        default=None, description="When it started plus how long it took: a clock that is set is not time."
    )
    exit_code: int | None = None
    peak_memory_mib: float | None = Field(default=None, description="Largest resident set seen, sampled.")
    reason: str | None = Field(default=None, description="Why it ended without a result, in words.")
    fault: Fault | None = None


class JobRecord(Contract):
    """state.json of a job."""

    key: Sha256
    name: str
    state: JobState
    attempts: tuple[Attempt, ...] = ()
    output_bytes: int | None = Field(default=None, ge=0, description="Size of the result.")

    @property
    def last(self) -> Attempt | None:
        """The latest attempt."""
        return self.attempts[-1] if self.attempts else None
