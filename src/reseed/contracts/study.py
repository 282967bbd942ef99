"""study.yaml: methods × runs on one task."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from reseed.contracts.design import Design, Levels
from reseed.contracts.footprint import ExpectedUse
from reseed.contracts.manifest import ResourceChanges, SettingValue, Stage
from reseed.contracts.model import Contract, MetricKey, Name
from reseed.contracts.seeds import DEFAULT_VARY, SeedStream, VariationSource
from reseed.contracts.slurm import SlurmSettings

MethodName = Annotated[Name, Field(max_length=40)]
ExecutorName = Literal["process", "docker", "slurm"]


class MethodSpec(Contract):
    """An algorithm with its settings; what is compared is this, not one trained model."""

    algorithm: str = Field(min_length=1, description="Name of a folder below algorithms/, or a path to one.")
    settings: dict[str, SettingValue] = Field(default_factory=dict)
    profile: str | None = Field(default=None, description="A named set of settings of the algorithm.")
    runs: int | None = Field(default=None, ge=1, description="When it differs from the study's.")
    initial_weights: str | None = Field(
        default=None,
        min_length=1,
        description="A file of weights that every training starts from, by its path from the study file.",
    )
    resources: dict[Stage, ResourceChanges] = Field(
        default_factory=dict, description="What one job needs at most, where the manifest's is another."
    )
    expected: dict[Stage, ExpectedUse] = Field(
        default_factory=dict, description="What one job is known to take, where the manifest's is another."
    )


class CompareSpec(Contract):
    """What is compared at the end, and against which method."""

    metrics: tuple[MetricKey, ...] = Field(default=(), description="Default: those of the task.")
    baseline: MethodName | None = Field(default=None, description="Default: the first method.")
    confidence_level: float = Field(default=0.95, gt=0, lt=1)


class Study(Contract):
    """A whole study file."""

    study: Name
    task: Name = Field(description="Name of a task file in evaluation/tasks/.")
    dataset: str = Field(min_length=1, description="Name of a dataset that Reseed builds, or a path to one.")
    entropy: int = Field(ge=0, lt=2**128, description="Every seed of the study descends from it.")
    runs: int | None = Field(
        default=None, ge=1, description="Independent retrainings of each method; a design says by itself."
    )
    members: int = Field(default=1, ge=1, description="Models of the ensemble of a run, by cross-validation.")
    vary: tuple[VariationSource, ...] = Field(
        default=DEFAULT_VARY, min_length=1, description="What differs from run to run, unless a design says."
    )
    design: Design | None = Field(default=None, description="Which run shares which seed with which other.")
    methods: dict[MethodName, MethodSpec] = Field(min_length=1)
    compare: CompareSpec = CompareSpec()
    executor: ExecutorName = "process"
    slurm: SlurmSettings = Field(
        default=SlurmSettings(), description="For executor slurm; what is not given here is the site's."
    )
    runs_per_gpu: int = Field(default=1, ge=1, description="Jobs that share a GPU, of those that use one.")

    @field_validator("vary")
    @classmethod
    def _streams_once(cls, value: tuple[VariationSource, ...]) -> tuple[VariationSource, ...]:
        if len(set(value)) != len(value):
            raise ValueError(f"names a stream twice: {[stream.value for stream in value]}")
        return value

    @model_validator(mode="after")
    def _baseline_is_a_method(self) -> Self:
        baseline = self.compare.baseline
        if baseline is not None and baseline not in self.methods:
            known = ", ".join(self.methods)
            raise ValueError(f"compare.baseline {baseline!r} is not a method; methods: {known}")
        return self

    @model_validator(mode="after")
    def _runs_are_given_once(self) -> Self:
        if self.design is None:
            if self.runs is None:
                raise ValueError("runs, the number of retrainings of each method, is required and missing")
            return self
        if self.runs not in (None, self.design.n_runs):
            raise ValueError(f"the design makes {self.design.n_runs} runs of a method, runs says {self.runs}")
        if "vary" in self.model_fields_set and set(self.vary) != set(self.design.levels):
            listed = ", ".join(self.design.levels)
            raise ValueError(f"the design varies {listed}; leave vary out, or let it name the same")
        other = [name for name, spec in self.methods.items() if spec.runs not in (None, self.design.n_runs)]
        if other:
            raise ValueError(f"methods.{other[0]}.runs: a design has the same runs for every method")
        return self

    @property
    def varied(self) -> tuple[VariationSource, ...]:
        """What differs between runs of a method."""
        return self.vary if self.design is None else tuple(self.design.levels)

    def levels_of(self, run: int) -> Levels:
        """The level of each source of the design in a run; empty without a design."""
        return {} if self.design is None else self.design.levels_of(run)

    def repetition(self, run: int) -> int:
        """Which of several runs with equal seeds a run is, counted from 0."""
        if self.design is not None:
            return self.levels_of(run).get(VariationSource.NONDETERMINISM, 0)
        return run if self.varied == (VariationSource.NONDETERMINISM,) else 0

    def varies(self, stream: SeedStream) -> bool:
        """Whether a stream's seed differs between runs."""
        return VariationSource(stream.value) in self.varied

    def n_runs(self, method: str) -> int:
        """The number of retrainings of a method."""
        every = self.runs if self.design is None else self.design.n_runs
        own = self.methods[method].runs
        return own if own is not None else every or 0

    @property
    def baseline(self) -> str:
        """The method that the others are compared with."""
        return self.compare.baseline or next(iter(self.methods))
