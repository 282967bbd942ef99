"""manifest.yaml of an algorithm folder: what the algorithm is, what it takes, what it needs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from reseed.contracts.errors import InvalidDocument
from reseed.contracts.footprint import ExpectedUse
from reseed.contracts.model import Contract, Name
from reseed.contracts.sockets import Socket

Stage = Literal["preprocess", "train", "inference"]
SettingValue = bool | int | float | str


class Hyperparameter(Contract):
    """
    One setting of an algorithm, with its type, default and limits.

    `stages` names the entry points that it influences: a setting that only `train` reads does not
    make `preprocess` run again.
    """

    type: Literal["integer", "number", "boolean", "string"]
    default: SettingValue
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[SettingValue, ...] | None = None
    stages: tuple[Stage, ...] = ("train",)

    @model_validator(mode="after")
    def _default_obeys_the_rules(self) -> Self:
        self.value_of(self.default)
        return self

    def value_of(self, given: SettingValue) -> SettingValue:
        """
        A setting as the algorithm uses it, from YAML (typed) or hyperparameters.json (text).

        Raises
        ------
        ValueError
            When it has another type or lies outside the limits.
        """
        value = self._typed(given)
        if self.choices is not None and value not in self.choices:
            allowed = ", ".join(str(choice) for choice in self.choices)
            raise ValueError(f"must be one of {allowed}, got {given!r}")
        if isinstance(value, int | float) and not isinstance(value, bool):
            if self.minimum is not None and value < self.minimum:
                raise ValueError(f"must be at least {self.minimum:g}, got {given!r}")
            if self.maximum is not None and value > self.maximum:
                raise ValueError(f"must be at most {self.maximum:g}, got {given!r}")
        return value

    def _typed(self, given: SettingValue) -> SettingValue:
        match self.type, given:
            case "boolean", bool():
                return given
            case "boolean", "true" | "false":
                return given == "true"
            case "string", str():
                return given
            case "integer" | "number", int() | float() | str() if not isinstance(given, bool):
                number = _finite_number(given)
                if number is not None and self.type == "number":
                    return float(number)
                if number is not None and float(number).is_integer():
                    return int(number)
        raise ValueError(f"must be of type {self.type}, got {given!r}")


class Resources(Contract):
    """What one job of an entry point needs at most."""

    cpus: int = Field(default=1, ge=1)
    gpus: int = Field(default=0, ge=0, description="GPUs used when the machine has them.")
    memory_gib: float = Field(default=4.0, gt=0)
    timeout_s: int = Field(default=3600, ge=1)


class ResourceChanges(Contract):
    """What a method's jobs need at most, where its settings make that another than the manifest's."""

    cpus: int | None = Field(default=None, ge=1)
    gpus: int | None = Field(default=None, ge=0)
    memory_gib: float | None = Field(default=None, gt=0)
    timeout_s: int | None = Field(default=None, ge=1)

    def applied_to(self, resources: Resources) -> Resources:
        """The same resources, but for what is given here."""
        return resources.model_copy(update=self.model_dump(exclude_none=True))


class Publication(Contract):
    """Where the algorithm was published."""

    title: str
    doi: str | None = None
    url: str | None = None


class TaskSockets(Contract):
    """A further task of an algorithm, with the sockets that it has there."""

    task: Name
    inputs: tuple[Socket, ...] = Field(min_length=1)
    outputs: tuple[Socket, ...] = Field(min_length=1)


class AlgorithmManifest(Contract):
    """An algorithm folder: one image, three entry points."""

    algorithm: Name
    title: str
    version: str
    description: str
    task: Name
    licence: str
    publication: Publication | None = None
    trains_with: Name | None = Field(
        default=None,
        description="Another algorithm whose preprocessing and trainings serve this one too, as they are.",
    )
    inputs: tuple[Socket, ...] = Field(min_length=1)
    outputs: tuple[Socket, ...] = Field(min_length=1)
    further_tasks: tuple[TaskSockets, ...] = Field(
        default=(), description="Other tasks that the same program is made for."
    )
    hyperparameters: dict[str, Hyperparameter]
    profiles: dict[str, dict[str, SettingValue]] = Field(
        default_factory=dict, description="Named sets of settings, for instance `smoke`."
    )
    preprocess: Resources = Resources()
    train: Resources = Resources()
    inference: Resources = Resources()
    expected: dict[Stage, ExpectedUse] = Field(
        default_factory=dict, description="What one job is known to take with the default settings."
    )

    @model_validator(mode="after")
    def _profiles_are_valid(self) -> Self:
        for name, settings in self.profiles.items():
            mistakes = self.setting_mistakes(settings)
            if mistakes:
                raise ValueError(f"profile {name!r}: {'; '.join(mistakes.values())}")
        return self

    @property
    def tasks(self) -> tuple[str, ...]:
        """Every task that the algorithm is made for, its own first."""
        return (self.task, *(further.task for further in self.further_tasks))

    def setting_mistakes(self, given: Mapping[str, SettingValue]) -> dict[str, str]:
        """What is wrong with each setting that is wrong, in words, by its name."""
        mistakes = {}
        for key, value in given.items():
            rule = self.hyperparameters.get(key)
            if rule is None:
                known = ", ".join(sorted(self.hyperparameters)) or "none"
                mistakes[key] = f"{self.algorithm} has no setting {key!r}; it has {known}"
                continue
            try:
                rule.value_of(value)
            except ValueError as error:
                mistakes[key] = f"setting {key!r} {error}"
        return mistakes

    def resolved_settings(
        self, given: Mapping[str, SettingValue], *, stage: Stage | None = None
    ) -> dict[str, SettingValue]:
        """
        Every setting with its value, defaults made explicit; of one entry point, or of all.

        Raises
        ------
        InvalidDocument
            One line for each setting that is unknown or out of its limits.
        """
        mistakes = self.setting_mistakes(given)
        if mistakes:
            raise InvalidDocument(*mistakes.values())
        return {
            key: rule.value_of(given.get(key, rule.default))
            for key, rule in sorted(self.hyperparameters.items())
            if stage is None or stage in rule.stages
        }


def _finite_number(given: float | str) -> float | None:
    """A finite number, whole numbers exactly; None when it is not one."""
    if isinstance(given, str):
        try:
            return int(given)
        except ValueError:
            pass
    try:
        value = float(given)
    except ValueError:
        return None
    if isinstance(given, int):
        return given
    return value if math.isfinite(value) else None


def setting_text(value: SettingValue) -> str:
    """A setting as hyperparameters.json carries it: always a string."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)
