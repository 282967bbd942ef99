"""run.json: everything a stranger needs to know of one retraining of one method."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field, JsonValue

from reseed.contracts.environment import ProgramEnvironment
from reseed.contracts.footprint import Footprint
from reseed.contracts.manifest import SettingValue
from reseed.contracts.model import Contract, Sha256
from reseed.contracts.seeds import Seeds, VariationSource


class Program(Contract):
    """What was executed."""

    executor: str
    algorithm: str
    version: str
    digest: Sha256 = Field(description="Of the image, or of the program's files and packages.")
    image: str | None = None
    git_commit: str | None = None
    git_is_clean: bool | None = None
    git_remote: str | None = Field(default=None, description="Where the commit is, without credentials.")
    evaluation: Sha256 | None = Field(default=None, description="Digest of the program that scored.")


class Hardware(Contract):
    """The machine of the orchestrator."""

    machine: str
    system: str
    processor: str
    n_cpus: int
    memory_gib: float
    gpus: tuple[str, ...] = ()


class TrainingData(Contract):
    """What was learned from, and what was predicted."""

    dataset: str
    version: str
    digest: Sha256


class MemberRecord(Contract):
    """One model of the ensemble."""

    member: int
    job: Sha256
    seeds: Seeds
    weights: dict[str, Sha256] = Field(description="SHA-256 by file of the model folder.")
    started: datetime
    ended: datetime
    n_attempts: int
    hours: float
    gpus: int
    peak_memory_mib: float | None = None
    place: dict[str, str] = Field(
        default_factory=dict,
        description="Where its last attempt ran on a cluster: node, partition, slurm_job.",
    )
    reported: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="The algorithm's own run.json: flags, silent defaults resolved, curves; its environment "
        "where it is not the run's.",
    )


class RunRecord(Contract):
    """run.json."""

    schema_version: str = "1.1"
    study: str
    task: str | None = None
    study_entropy: str = Field(description="In decimal; it may exceed what JSON readers hold exactly.")
    method: str
    run: int
    vary: tuple[VariationSource, ...]
    levels: dict[VariationSource, int] = Field(
        default_factory=dict, description="In a designed study, the level of each source that this run has."
    )
    settings: dict[str, SettingValue] = Field(description="Every setting, defaults made explicit.")
    program: Program
    data: TrainingData
    members: tuple[MemberRecord, ...]
    weights_digest: Sha256 = Field(description="Over the weights of all members.")
    jobs: dict[str, Sha256] = Field(description="Keys of the jobs, by name.")
    hours: float = Field(description="Sum over the training jobs.")
    footprint: Footprint | None = Field(
        default=None, description="Of the run's own jobs, every attempt; null where nothing was recorded."
    )
    environment: ProgramEnvironment | None = Field(
        default=None,
        description="Of the programs that trained, seen from inside; null when they did not say.",
    )
    packages: dict[str, str] = Field(description="Versions of the orchestrator's Python packages.")
    hardware: Hardware
