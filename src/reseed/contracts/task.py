"""A task file: sockets, reference standard, metrics and how runs are compared."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from reseed.contracts.model import Contract, MetricKey, Name
from reseed.contracts.sockets import Socket


class CaseMatch(Contract):
    """How a prediction finds its case: by the name of an input image, or by the value of an id socket."""

    by: Literal["image_name", "value"]
    socket: str = Field(description="Slug of the input socket that identifies the case.")


class ReferenceTable(Contract):
    """The reference standard as a CSV file in the ground truth folder, one row per case."""

    file: str = "reference.csv"
    case: str = "case"
    label: str = "label"
    patient: str | None = Field(default=None, description="Column of the patient, whose cases are clustered.")

    @field_validator("file")
    @classmethod
    def _stays_inside(cls, value: str) -> str:
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"must be a path inside the ground truth folder, got {value!r}")
        return value

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        columns = [name for name in (self.case, self.label, self.patient) if name is not None]
        if len(set(columns)) != len(columns):
            raise ValueError(f"case, label and patient must be different columns, got {', '.join(columns)}")
        return self


class Classification(Contract):
    """One number per case, higher for the positive class, against a binary label."""

    kind: Literal["classification"] = "classification"
    score: str = Field(description="Slug of the output socket that holds the score.")
    minimum: float | None = Field(default=None, description="A score below this is refused.")
    maximum: float | None = Field(default=None, description="A score above this is refused.")
    reference: ReferenceTable = ReferenceTable()

    @model_validator(mode="after")
    def _limits_in_order(self) -> Self:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum:g} is above maximum {self.maximum:g}")
        return self


class ComparisonSettings(Contract):
    """How uncertain numbers are reported."""

    confidence_level: float = Field(default=0.95, gt=0, lt=1)


class Task(Contract):
    """One task, in one file that an organiser can edit."""

    task: Name
    title: str
    description: str
    case_noun: str = Field(default="cases", description="What a case is called in words, in the plural.")
    inputs: tuple[Socket, ...] = Field(min_length=1)
    outputs: tuple[Socket, ...] = Field(min_length=1)
    match: CaseMatch
    evaluation: Classification
    metrics: tuple[MetricKey, ...] = Field(min_length=1)
    ranking_metric: MetricKey
    comparison: ComparisonSettings = ComparisonSettings()

    @field_validator("inputs", "outputs")
    @classmethod
    def _sockets_once(cls, value: tuple[Socket, ...]) -> tuple[Socket, ...]:
        for kind in ("slug", "relative_path"):
            given = [getattr(socket, kind) for socket in value]
            twice = next((name for name in given if given.count(name) > 1), None)
            if twice is not None:
                raise ValueError(f"two sockets have the {kind} {twice!r}")
        return value

    @field_validator("metrics")
    @classmethod
    def _metrics_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        twice = next((name for name in value if value.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"metric {twice!r} is given twice")
        return value

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        inputs = [socket.slug for socket in self.inputs]
        outputs = [socket.slug for socket in self.outputs]
        if self.match.socket not in inputs:
            raise ValueError(f"match.socket {self.match.socket!r} is not among the inputs {inputs}")
        if self.evaluation.score not in outputs:
            raise ValueError(f"evaluation.score {self.evaluation.score!r} is not among the outputs {outputs}")
        if self.ranking_metric not in self.metrics:
            known = ", ".join(self.metrics)
            raise ValueError(f"ranking_metric {self.ranking_metric!r} is not among the metrics: {known}")
        return self

    def output(self, slug: str) -> Socket:
        """The output socket of that slug."""
        return next(socket for socket in self.outputs if socket.slug == slug)
