"""How a task measures a submission: one contract for each kind of evaluation."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self, TypeAlias, get_args

from pydantic import AfterValidator, BaseModel, Field, GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema, core_schema

from reseed.contracts.model import METRIC_KEY_PATTERN, Contract, MetricKey


def _inside_ground_truth(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or not value:
        raise ValueError(f"must be a path inside the ground truth folder, got {value!r}")
    return value


def _file_inside_ground_truth(value: str) -> str:
    if not PurePosixPath(value).parts:
        raise ValueError(f"must be a path inside the ground truth folder, got {value!r}")
    return _inside_ground_truth(value)


FileInside: TypeAlias = Annotated[str, AfterValidator(_file_inside_ground_truth)]
FolderInside: TypeAlias = Annotated[str, AfterValidator(_inside_ground_truth)]
LabelName: TypeAlias = Annotated[str, Field(pattern=METRIC_KEY_PATTERN, max_length=32)]
LabelValue: TypeAlias = Annotated[int, Field(ge=1, le=65535)]


def _refuse_equal_columns(**columns: str | None) -> None:
    given = {name: column for name, column in columns.items() if column is not None}
    if len(set(given.values())) != len(given):
        *first, last = given
        names = f"{', '.join(first)} and {last}" if first else last
        raise ValueError(f"{names} must be different columns, got {', '.join(given.values())}")


class ReferenceTable(Contract):
    """The reference standard as a CSV file in the ground truth folder, one row per case."""

    file: FileInside = "reference.csv"
    case: str = "case"
    label: str = "label"
    patient: str | None = Field(default=None, description="Column of the patient, whose cases are clustered.")

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        columns = [name for name in (self.case, self.label, self.patient) if name is not None]
        if len(set(columns)) != len(columns):
            raise ValueError(f"case, label and patient must be different columns, got {', '.join(columns)}")
        return self


class LesionTable(Contract):
    """The reference standard of lists: a CSV file, one row per lesion, in the order of each case's list."""

    file: FileInside = "reference.csv"
    case: str = "case"
    lesion: str = Field(default="lesion", description="Column with the lesion's name within its case.")
    label: str = "label"
    patient: str | None = None

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        _refuse_equal_columns(case=self.case, lesion=self.lesion, label=self.label, patient=self.patient)
        return self


class PatientTable(Contract):
    """Which patient each case is of: a CSV file in the ground truth folder."""

    file: FileInside = "patients.csv"
    case: str = "case"
    patient: str = "patient"

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        _refuse_equal_columns(case=self.case, patient=self.patient)
        return self


class ReferenceImages(Contract):
    """
    The reference standard as label maps, one per case.

    `files`: every image of a folder, named after its case. `msd` and `nnunet`: a dataset folder with
    dataset.json, whose label maps are in labelsTs or labelsTr.
    """

    layout: Literal["files", "msd", "nnunet"] = "files"
    folder: FolderInside = Field(default=".", description="Below the ground truth folder.")
    split: Literal["labelsTs", "labelsTr"] = Field(default="labelsTs", description="Of a dataset folder.")
    patients: PatientTable | None = None


class GridTolerance(Contract):
    """How far two images may be apart and still be on one grid; their sizes must always be equal."""

    spacing: float = Field(default=1e-3, ge=0, description="Relative to the reference's.")
    origin_mm: float = Field(default=1e-2, ge=0)
    direction: float = Field(default=1e-3, ge=0, description="Of each cosine.")


class Classification(Contract):
    """One number per case, higher for the positive class, against a binary label."""

    kind: Literal["classification"] = "classification"
    score: str = Field(description="Slug of the output socket that holds the score.")
    minimum: float | None = Field(default=None, description="A score below this is refused.")
    maximum: float | None = Field(default=None, description="A score above this is refused.")
    threshold: float = Field(default=0.5, description="A score from here on is a call of the positive class.")
    reference: ReferenceTable = ReferenceTable()

    @model_validator(mode="after")
    def _limits_in_order(self) -> Self:
        _refuse_disorder(self.minimum, self.maximum)
        return self

    @property
    def outputs(self) -> dict[str, str]:
        """The output sockets that are read, by the key that names them; the evaluated one first."""
        return {"score": self.score}


class LesionClassification(Contract):
    """A list of numbers per case, one for each lesion that the input names, against a label per lesion."""

    kind: Literal["lesion_classification"] = "lesion_classification"
    scores: str = Field(description="Slug of the output socket that holds the list.")
    minimum: float = Field(default=0.0, ge=0, description="A score below this is refused.")
    maximum: float | None = Field(default=None, description="A score above this is refused.")
    reference: LesionTable = LesionTable()

    @model_validator(mode="after")
    def _limits_in_order(self) -> Self:
        _refuse_disorder(self.minimum, self.maximum)
        return self

    @property
    def outputs(self) -> dict[str, str]:
        """The output sockets that are read, by the key that names them; the evaluated one first."""
        return {"scores": self.scores}


Worth: TypeAlias = float | Literal["skip"]


class Aggregation(Contract):
    """
    How a metric of cases becomes one number, and what it is worth where it is undefined.

    `skip` leaves the case (or the label of the case) out of the mean; a number takes its place.
    """

    statistic: Literal["mean"] = "mean"
    both_empty: Worth = Field(description="When reference and prediction are both empty.")
    one_empty: Worth = Field(description="When one is empty and the metric has no number for that.")


class Segmentation(Contract):
    """A label map per case, against a label map on the same grid."""

    kind: Literal["segmentation"] = "segmentation"
    prediction: str = Field(description="Slug of the output socket that holds the label map.")
    labels: dict[LabelName, tuple[LabelValue, ...]] = Field(
        min_length=1, description="Structures: the name, and the label values that make it up."
    )
    ignored_labels: tuple[LabelValue, ...] = Field(
        default=(), description="Other values that may occur; they count as background."
    )
    boundary: Literal["surface_elements", "surface_voxels"] = "surface_elements"
    tolerance_mm: float = Field(default=1.0, ge=0, description="Of the normalised surface distance.")
    aggregation: dict[MetricKey, Aggregation]
    grid: GridTolerance = GridTolerance()
    reference: ReferenceImages = ReferenceImages()

    @model_validator(mode="after")
    def _labels_have_values(self) -> Self:
        empty = next((name for name, values in self.labels.items() if not values), None)
        if empty is not None:
            raise ValueError(f"labels.{empty} must have one label value or more")
        for name, values in self.labels.items():
            _refuse_overlap(f"labels.{name}", values, self.ignored_labels)
        return self

    @property
    def outputs(self) -> dict[str, str]:
        """The output sockets that are read, by the key that names them; the evaluated one first."""
        return {"prediction": self.prediction}

    @property
    def known_labels(self) -> frozenset[int]:
        """Every value that a label map may hold."""
        named = {value for values in self.labels.values() for value in values}
        return frozenset({0, *named, *self.ignored_labels})


class Extraction(Contract):
    """How lesion candidates are cut out of a softmax; the defaults are those of the PI-CAI baselines."""

    threshold_factor: float = Field(default=2.5, ge=1)
    min_voxels: int = Field(default=10, ge=0)
    max_candidates: int = Field(default=5, ge=1)
    stop_below: float = Field(default=0.01, gt=0)


class Detection(Contract):
    """A detection map per case, and perhaps a likelihood, against lesions on the same grid."""

    kind: Literal["detection"] = "detection"
    detection_map: str = Field(description="Slug of the output socket that holds the map.")
    likelihood: str | None = Field(
        default=None, description="Slug of the case's score; without one it is the maximum of the map."
    )
    minimum: float = Field(default=0.0, ge=0, description="A likelihood below this is refused.")
    maximum: float | None = Field(default=None, description="A confidence or likelihood above is refused.")
    extraction: Extraction | None = Field(
        default=None, description="When the map is a softmax; without it, it holds lesion candidates."
    )
    overlap: Literal["iou", "dsc"] = "iou"
    min_overlap: float = Field(default=0.10, gt=0, le=1)
    matching: Literal["most_matches", "largest_overlap"] = "most_matches"
    surplus: Literal["discarded", "false_positive"] = Field(
        default="discarded", description="A candidate on a lesion that another one hits."
    )
    lesion_labels: tuple[LabelValue, ...] | None = Field(
        default=None, description="Values of the reference that are lesions; without it, all but 0."
    )
    ignored_labels: tuple[LabelValue, ...] = Field(default=(), description="Values that are no lesion.")
    grid: GridTolerance = GridTolerance()
    reference: ReferenceImages = ReferenceImages()

    @model_validator(mode="after")
    def _limits_in_order(self) -> Self:
        _refuse_disorder(self.minimum, self.maximum)
        return self

    @model_validator(mode="after")
    def _labels_have_values(self) -> Self:
        if self.lesion_labels is not None and not self.lesion_labels:
            raise ValueError("lesion_labels must have one label value or more")
        _refuse_overlap("lesion_labels", self.lesion_labels or (), self.ignored_labels)
        return self

    @property
    def outputs(self) -> dict[str, str]:
        """The output sockets that are read, by the key that names them; the evaluated one first."""
        likelihood = {} if self.likelihood is None else {"likelihood": self.likelihood}
        return {"detection_map": self.detection_map, **likelihood}


def _refuse_disorder(minimum: float | None, maximum: float | None) -> None:
    if minimum is not None and maximum is not None and minimum > maximum:
        raise ValueError(f"minimum {minimum:g} is above maximum {maximum:g}")


def _refuse_overlap(name: str, values: Iterable[int], ignored: Collection[int]) -> None:
    both = next((value for value in values if value in ignored), None)
    if both is not None:
        raise ValueError(f"ignored_labels must be others than those of {name}, got {both} in both")


EvaluationKind = Literal["classification", "lesion_classification", "segmentation", "detection"]


class _OfUnknownKind(BaseModel):
    """What an evaluation is read as whose kind is none: it says which there are."""

    kind: EvaluationKind


class _ByKind:
    """
    Chooses the contract of an evaluation by its `kind`; without one it is a classification.

    pydantic's own discriminator has no default, and a validator in front of it would lose the
    strictness of JSON.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices = {kind.model_fields["kind"].default: handler(kind) for kind in get_args(source)}
        choices["unknown"] = handler(_OfUnknownKind)
        return core_schema.tagged_union_schema(choices, discriminator=_kind_of)


def _kind_of(value: Any) -> str:
    kind = value.get("kind", "classification") if isinstance(value, dict) else getattr(value, "kind", None)
    return kind if isinstance(kind, str) and kind in get_args(EvaluationKind) else "unknown"


Evaluation: TypeAlias = Annotated[
    Classification | LesionClassification | Segmentation | Detection,
    _ByKind(),
]
