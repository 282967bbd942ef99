"""The reference standard as label maps: a folder of images, or an MSD or nnU-Net dataset folder."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from reseed.contracts.errors import InvalidDocument, UserError
from reseed.contracts.evaluation import PatientTable, ReferenceImages
from reseed.documents.mistakes import shown_value
from reseed.documents.reading import json_document
from reseed.imaging.metaimage import UnusableImage
from reseed.scoring.images import Image, image_suffix, read_image
from reseed.scoring.reference import table_rows


@dataclass(frozen=True)
class ReferenceImage:
    """One case of the reference standard, whose label map has not been read yet."""

    case_id: str
    path: Path
    patient: str | None = None


def reference_images(
    ground_truth: Path, described: ReferenceImages, known: Collection[int] | None = None
) -> tuple[ReferenceImage, ...]:
    """
    The cases of a reference in images, sorted by case id.

    Parameters
    ----------
    ground_truth
        The ground truth folder.
    described
        Which layout it has.
    known
        The labels that the task knows; dataset.json may not declare others.

    Raises
    ------
    UserError
        When a folder or file is missing, or dataset.json is not one.
    InvalidDocument
        One line per mistake in the table of patients, or in dataset.json.
    """
    folder = ground_truth / described.folder
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; it holds the reference standard of the task")
    if described.layout == "files":
        paths = _images_of(folder)
    else:
        dataset = folder / "dataset.json"
        document = _dataset(dataset)
        _check_labels(dataset, document, known)
        listed = _listed(dataset, document) if described.split == "labelsTr" else None
        paths = _images_of(folder / described.split)
        if listed is not None:
            paths = _only_listed(dataset, paths, listed)
    if not paths:
        raise UserError(f"{folder}: has no image; the reference standard needs one per case")
    patients = {} if described.patients is None else _patients(ground_truth, described.patients, paths)
    return tuple(ReferenceImage(case, paths[case], patients.get(case)) for case in sorted(paths))


def read_reference_image(case: ReferenceImage) -> Image:
    """
    The label map of a case.

    Raises
    ------
    UserError
        Naming the file; a mistake in the reference is the organiser's.
    """
    try:
        return read_image(case.path)
    except UnusableImage as error:
        raise UserError(f"{case.path}: the reference {error}") from None


def _images_of(folder: Path) -> dict[str, Path]:
    """The images of a folder by their name without ending."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; it holds the reference standard of the task")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        suffix = image_suffix(path)
        if suffix is None or path.name.startswith("."):  # macOS leaves ._ files in MSD archives
            continue
        case = path.name[: -len(suffix)]
        if case in found:
            raise UserError(f"{folder}: case {case!r} has two images, {found[case].name} and {path.name}")
        found[case] = path
    return found


def _dataset(path: Path) -> dict[str, Any]:
    document = json_document(path)
    if not isinstance(document, dict) or not isinstance(document.get("labels"), dict):
        raise InvalidDocument(f"{path}: must be the dataset.json of an MSD or nnU-Net dataset, with labels")
    return document


def _check_labels(path: Path, document: Mapping[str, Any], known: Collection[int] | None) -> None:
    """MSD maps value to name, nnU-Net name to value or values."""
    declared: set[int] = set()
    for key, value in document["labels"].items():
        values = [key] if isinstance(value, str) else value if isinstance(value, list) else [value]
        for each in values:
            text = str(each)
            if isinstance(each, bool) or not text.isdecimal():
                if key == "ignore":
                    continue
                raise InvalidDocument(f"{path}: labels.{key} must be a label value, got {shown_value(each)}")
            declared.add(int(text))
    unknown = [] if known is None else sorted(declared - set(known))
    if unknown:
        labels = ", ".join(str(label) for label in sorted(known or ()))
        raise InvalidDocument(
            f"{path}: declares label {unknown[0]}, which the task does not know; it knows {labels}"
        )


def _listed(path: Path, document: Mapping[str, Any]) -> list[str] | None:
    """The cases that dataset.json lists for training; None when it lists none, as nnU-Net's may."""
    training = document.get("training")
    if training is None:
        return None
    if not isinstance(training, list):
        raise InvalidDocument(f"{path}: training must be a list, got {shown_value(training)}")
    cases = []
    for index, entry in enumerate(training):
        label = entry.get("label") if isinstance(entry, dict) else None
        if not isinstance(label, str):
            raise InvalidDocument(f"{path}: training.{index} must have a label, the path of a label map")
        name = PurePosixPath(label).name
        cases.append(name[: -len(image_suffix(Path(name)) or "")] if image_suffix(Path(name)) else name)
    return cases


def _only_listed(path: Path, paths: Mapping[str, Path], listed: list[str]) -> dict[str, Path]:
    missing = next((case for case in listed if case not in paths), None)
    if missing is not None:
        raise InvalidDocument(f"{path}: training lists case {missing!r}, which has no label map")
    return {case: paths[case] for case in listed}


def _patients(ground_truth: Path, table: PatientTable, paths: Mapping[str, Path]) -> dict[str, str]:
    path = ground_truth / table.file
    patients: dict[str, str] = {}
    for line, row in table_rows(path, (table.case, table.patient)):
        case, patient = row[table.case], row[table.patient]
        if not case or not patient:
            raise InvalidDocument(f"{path}:{line}: {table.case} and {table.patient} must not be empty")
        if patients.setdefault(case, patient) != patient:
            raise InvalidDocument(f"{path}:{line}: case {case!r} has two patients")
    missing = next((case for case in paths if case not in patients), None)
    if missing is not None:
        raise InvalidDocument(f"{path}: has no patient for case {missing!r}")
    return patients
