"""The channel `training` of an image algorithm: an nnU-Net raw dataset and a table of its cases."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from algorithms.common.images import LabelMap, read_label_map, read_volume, same_grid
from algorithms.common.nnunet.planning import RawCase
from reseed.contracts.errors import UserError

PATIENTS = "patients.csv"
DATASET = "dataset.json"


@dataclass(frozen=True)
class TrainingCase:
    """One row of patients.csv, and the files of the case."""

    case: str
    patient: str
    files: RawCase


@dataclass(frozen=True)
class TrainingChannel:
    """A checked training channel; cases in the order of their names."""

    cases: tuple[TrainingCase, ...]
    dataset_json: dict[str, Any]

    @property
    def labels(self) -> dict[str, int]:
        """Value by name of structure, background included."""
        return {str(name): int(value) for name, value in self.dataset_json["labels"].items()}

    @property
    def n_channels(self) -> int:
        """Images of a case."""
        return len(self.dataset_json["channel_names"])


def read_training_channel(folder: Path) -> TrainingChannel:
    """
    The channel, after a check of its tables and names; the images are read by whoever needs them.

    Raises
    ------
    UserError
        When a file is missing, or a table breaks the form that docs/contracts.md describes.
    """
    dataset_json = _dataset_json(folder / DATASET)
    ending = str(dataset_json["file_ending"])
    n_channels = len(dataset_json["channel_names"])
    cases = []
    for case, patient in _rows(folder / PATIENTS):
        images = tuple(folder / "imagesTr" / f"{case}_{channel:04}{ending}" for channel in range(n_channels))
        files = RawCase(images, folder / "labelsTr" / f"{case}{ending}")
        for path in (*files.images, files.label):
            if not path.is_file():
                raise UserError(
                    f"case {case!r}: {path.relative_to(folder)} is missing in the training channel"
                )
        cases.append(TrainingCase(case, patient, files))
    known = {
        "channel_names": dataset_json["channel_names"],
        "labels": dataset_json["labels"],
        "file_ending": ending,
    }
    return TrainingChannel(tuple(cases), known)


def checked_label_map(case: TrainingCase, labels: dict[str, int]) -> LabelMap:
    """
    The label map of a case, on the grid of its first image, with known values only.

    Raises
    ------
    UserError
        Naming the case and what is wrong.
    """
    label_map = read_label_map(case.files.label, case=case.case)
    image = read_volume(case.files.images[0], case=case.case)
    if not same_grid(label_map.image, image):
        raise UserError(f"case {case.case!r}: labels must lie on the grid of the first image, and do not")
    unknown = sorted(set(np.unique(label_map.array).tolist()) - set(labels.values()))
    if unknown:
        raise UserError(
            f"case {case.case!r}: labels must be among {sorted(labels.values())}, got {unknown[:5]}"
        )
    return label_map


def _rows(path: Path) -> list[tuple[str, str]]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; the training channel needs a {path.name}")
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        missing = [name for name in ("case", "patient") if name not in (reader.fieldnames or [])]
        if missing:
            raise UserError(f"{path}: must have columns case and patient; missing {', '.join(missing)}")
        rows = sorted((row["case"], row["patient"]) for row in reader)
    names = [case for case, _ in rows]
    if len(set(names)) != len(names):
        raise UserError(f"{path}: case {next(n for n in names if names.count(n) > 1)!r} is given twice")
    if not rows:
        raise UserError(f"{path}: must name at least one case, got none")
    return rows


def _dataset_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; the training channel needs nnU-Net's {path.name}")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON: {error}") from None
    missing = [key for key in ("channel_names", "labels", "file_ending") if key not in document]
    if missing:
        raise UserError(f"{path}: must have {', '.join(missing)}, as nnU-Net's dataset.json has")
    labels = document["labels"]
    if not isinstance(labels, dict) or labels.get("background") != 0:
        raise UserError(f"{path}: labels must map names to values, background to 0, got {str(labels)[:80]}")
    if sorted(labels.values(), key=str) != sorted(range(len(labels)), key=str):
        raise UserError(f"{path}: label values must be 0 to {len(labels) - 1}, got {sorted(labels.values())}")
    return dict(document)
