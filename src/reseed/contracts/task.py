"""A task file: sockets, reference standard, metrics and how runs are compared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Self, TypeVar

from pydantic import Field, field_validator, model_validator

from reseed.contracts.evaluation import (
    Classification,
    Detection,
    Evaluation,
    LesionClassification,
    ReferenceTable,
    Segmentation,
)
from reseed.contracts.model import Contract, MetricKey, Name
from reseed.contracts.sockets import Socket

T = TypeVar("T")

__all__ = [
    "CaseMatch",
    "Classification",
    "ComparisonSettings",
    "Detection",
    "Interface",
    "LesionClassification",
    "ReferenceTable",
    "Segmentation",
    "Task",
]


class CaseMatch(Contract):
    """How a prediction finds its case: by the name of an input image, or by the value of an id socket."""

    by: Literal["image_name", "value"]
    socket: str = Field(description="Slug of the input socket that identifies the case.")
    ending: str = Field(
        default="", description="What an image's name has after the case, such as _0000 or _t2w."
    )


class Interface(Contract):
    """One of several sets of inputs that an algorithm may take, found by their slugs in any order."""

    inputs: tuple[str, ...] = Field(min_length=1, description="Slugs.")
    match: CaseMatch | None = Field(default=None, description="Where it differs from the task's.")
    output: str | None = Field(default=None, description="Slug of the evaluated output, where it differs.")

    @property
    def key(self) -> tuple[str, ...]:
        """The sorted slugs: what a job's inputs are compared with."""
        return tuple(sorted(self.inputs))


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
    interfaces: tuple[Interface, ...] = Field(
        default=(), description="Without any, inputs are not looked at beyond the one that tells the case."
    )
    match: CaseMatch
    evaluation: Evaluation
    metrics: tuple[MetricKey, ...] = Field(min_length=1)
    reported: tuple[MetricKey, ...] = Field(
        default=(), description="Further metrics: in metrics.json, not ranked by and not compared."
    )
    ranking_metric: MetricKey
    comparison: ComparisonSettings = ComparisonSettings()

    @field_validator("inputs", "outputs")
    @classmethod
    def _sockets_once(cls, value: tuple[Socket, ...]) -> tuple[Socket, ...]:
        for kind in ("slug", "relative_path"):
            twice = _given_twice(getattr(socket, kind) for socket in value)
            if twice is not None:
                raise ValueError(f"two sockets have the {kind} {twice!r}")
        return value

    @field_validator("metrics", "reported")
    @classmethod
    def _metrics_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        twice = _given_twice(value)
        if twice is not None:
            raise ValueError(f"metric {twice!r} is given twice")
        return value

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        inputs = [socket.slug for socket in self.inputs]
        outputs = [socket.slug for socket in self.outputs]
        if self.match.socket not in inputs:
            raise ValueError(f"match.socket {self.match.socket!r} is not among the inputs {inputs}")
        self._check_match("match", self.match)
        for key, slug in self.evaluation.outputs.items():
            if slug not in outputs:
                raise ValueError(f"evaluation.{key} {slug!r} is not among the outputs {outputs}")
            _refuse_other_kind(f"evaluation.{key}", self.output(slug), is_image=key in _IMAGE_OUTPUTS)
        if self.ranking_metric not in self.metrics:
            known = ", ".join(self.metrics)
            raise ValueError(f"ranking_metric {self.ranking_metric!r} is not among the metrics: {known}")
        twice = next((metric for metric in self.reported if metric in self.metrics), None)
        if twice is not None:
            raise ValueError(f"reported {twice!r} is among the metrics already")
        self._check_interfaces(inputs, outputs)
        return self

    def _check_interfaces(self, inputs: list[str], outputs: list[str]) -> None:
        for index, interface in enumerate(self.interfaces):
            place = f"interfaces.{index}"
            unknown = next((slug for slug in interface.inputs if slug not in inputs), None)
            if unknown is not None:
                raise ValueError(f"{place}.inputs {unknown!r} is not among the inputs {inputs}")
            if interface.output is not None and interface.output not in outputs:
                raise ValueError(f"{place}.output {interface.output!r} is not among the outputs {outputs}")
            if interface.output is not None:
                evaluated = next(iter(self.evaluation.outputs))
                _refuse_other_kind(
                    f"{place}.output", self.output(interface.output), is_image=evaluated in _IMAGE_OUTPUTS
                )
            match = interface.match or self.match
            if match.socket not in interface.inputs:
                raise ValueError(f"{place}: the match's socket {match.socket!r} is not among its inputs")
            if interface.match is not None:
                self._check_match(f"{place}.match", interface.match)
        if _given_twice(interface.key for interface in self.interfaces) is not None:
            raise ValueError("interfaces: two of them take the same inputs")

    def _check_match(self, place: str, match: CaseMatch) -> None:
        """Only an Image has a name, and only a Value is told in predictions.json."""
        needed = "Image" if match.by == "image_name" else "Value"
        found = self.input(match.socket).super_kind
        if found != needed:
            raise ValueError(
                f"{place}.socket {match.socket!r} must be of super_kind {needed} to match by {match.by}, "
                f"got {found}"
            )

    def input(self, slug: str) -> Socket:
        """The input socket of that slug."""
        return next(socket for socket in self.inputs if socket.slug == slug)

    def output(self, slug: str) -> Socket:
        """The output socket of that slug."""
        return next(socket for socket in self.outputs if socket.slug == slug)


_IMAGE_OUTPUTS = ("prediction", "detection_map")
"""Those of an evaluation that are images; the others are read as JSON."""


def _refuse_other_kind(place: str, socket: Socket, *, is_image: bool) -> None:
    is_json = socket.super_kind != "Image" and socket.relative_path.endswith(".json")
    if not (socket.super_kind == "Image" if is_image else is_json):
        needed = "an Image" if is_image else "a Value, or a File that ends in .json"
        raise ValueError(f"{place} {socket.slug!r} must be {needed}, got super_kind {socket.super_kind}")


def _given_twice(values: Iterable[T]) -> T | None:
    given = list(values)
    return next((value for value in given if given.count(value) > 1), None)
