"""How a study runs on a Slurm cluster: the `slurm` section of a study, or a site's slurm.yaml."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from reseed.contracts.model import Contract, Name

ContainerProgram = Literal["podman", "docker", "apptainer", "pyxis", "none"]

_OURS = (
    "array", "chdir", "dependency", "error", "gres", "hold", "job-name", "mem", "nodes", "no-requeue",
    "ntasks", "open-mode", "output", "parsable", "requeue", "signal", "time", "wrap",
)  # fmt: skip


class SlurmSettings(Contract):
    """
    What a site asks of every job, and how containers are started there.

    Memory, cores, GPUs and the time limit of a job come from the algorithm's manifest.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    time_h: float | None = Field(
        default=None,
        gt=0,
        description="The longest one Slurm job may run here, in hours. A training that needs more goes on "
        "from its checkpoint in the next. Default: as long as the manifest allows.",
    )
    gres: str | None = Field(
        default="gpu",
        description="What a GPU is called here, for instance gpu:a100; null where trainings have none.",
    )
    sbatch: tuple[str, ...] = Field(default=(), description="Further options of sbatch, as --exclude=node7.")
    setup: tuple[str, ...] = Field(
        default=(), description="Shell lines before each job, as module load apptainer."
    )
    container: ContainerProgram = Field(
        default="none", description="What starts containers on the nodes; none runs plain processes."
    )
    template: str | None = Field(
        default=None, description="A site's own container template, below the file that names it."
    )
    container_options: tuple[str, ...] = Field(
        default=(), description="Further options of the container program."
    )
    images: dict[Name, str] = Field(
        default_factory=dict,
        description="Image by algorithm, and `evaluation`: a file on the shared folder, or a reference.",
    )
    max_jobs: int | None = Field(
        default=None, ge=1, description="Jobs of one kind side by side. Default: as many as Slurm starts."
    )
    checkpoint_s: int = Field(
        default=120, ge=1, description="How long before its time limit a training is told to checkpoint."
    )
    python: str | None = Field(
        default=None, description="The Python with Reseed on the nodes. Default: the one that submits."
    )
    poll_s: float = Field(default=10.0, gt=0, description="How often Slurm is asked while somebody watches.")

    @field_validator("sbatch")
    @classmethod
    def _options_are_not_ours(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for option in value:
            name = option.removeprefix("--").partition("=")[0]
            if not option.startswith("--") or "\n" in option:
                raise ValueError(f"an option of sbatch starts with --, got {option!r}")
            if name in _OURS:
                raise ValueError(f"--{name} is set by Reseed, got {option!r}")
        return value

    @field_validator("setup")
    @classmethod
    def _one_line_each(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for line in value:
            if "\n" in line:
                raise ValueError(f"one shell line each, got {line!r}")
        return value

    @model_validator(mode="after")
    def _time_to_checkpoint(self) -> Self:
        if self.time_h is not None and self.checkpoint_s >= self.time_h * 3600:
            raise ValueError(f"checkpoint_s {self.checkpoint_s} must be shorter than time_h {self.time_h:g}")
        return self

    def over(self, site: SlurmSettings) -> SlurmSettings:
        """These settings where they are given, a site's where they are not."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return SlurmSettings.model_validate({**site.model_dump(exclude_unset=True), **given})
