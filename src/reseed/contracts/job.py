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


class Attempt(Contract):
    """One start of a job."""

    number: int = Field(ge=1)
    executor: str
    handle: dict[str, str | int | float] = Field(description="How the executor finds it again.")
    started: datetime
    ended: datetime | None = None
    exit_code: int | None = None
    peak_memory_mib: float | None = Field(default=None, description="Largest resident set seen, sampled.")
    reason: str | None = Field(default=None, description="Why it ended without a result, in words.")
    fault: Literal["job", "infrastructure", "interruption"] | None = None


class JobRecord(Contract):
    """state.json of a job."""

    key: Sha256
    name: str
    state: JobState
    attempts: tuple[Attempt, ...] = ()

    @property
    def last(self) -> Attempt | None:
        """The latest attempt."""
        return self.attempts[-1] if self.attempts else None
