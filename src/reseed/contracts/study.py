"""study.yaml: methods × runs on one task."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from reseed.contracts.manifest import SettingValue
from reseed.contracts.model import Contract, MetricKey, Name
from reseed.contracts.seeds import DEFAULT_VARY, SeedStream

MethodName = Annotated[Name, Field(max_length=40)]
ExecutorName = Literal["process", "docker"]


class MethodSpec(Contract):
    """An algorithm with its settings; what is compared is this, not one trained model."""

    algorithm: str = Field(min_length=1, description="Name of a folder below algorithms/, or a path to one.")
    settings: dict[str, SettingValue] = Field(default_factory=dict)
    profile: str | None = Field(default=None, description="A named set of settings of the algorithm.")
    runs: int | None = Field(default=None, ge=1, description="When it differs from the study's.")


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
    runs: int = Field(ge=1, description="Independent retrainings of each method.")
    members: int = Field(default=1, ge=1, description="Models of the ensemble of a run, by cross-validation.")
    vary: tuple[SeedStream, ...] = Field(default=DEFAULT_VARY, min_length=1)
    methods: dict[MethodName, MethodSpec] = Field(min_length=1)
    compare: CompareSpec = CompareSpec()
    executor: ExecutorName = "process"

    @field_validator("vary")
    @classmethod
    def _streams_once(cls, value: tuple[SeedStream, ...]) -> tuple[SeedStream, ...]:
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

    def n_runs(self, method: str) -> int:
        """The number of retrainings of a method."""
        own = self.methods[method].runs
        return self.runs if own is None else own

    @property
    def baseline(self) -> str:
        """The method that the others are compared with."""
        return self.compare.baseline or next(iter(self.methods))
