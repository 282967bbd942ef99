"""CT scans with nodules and what is known of each: from arrays, or from images and a table."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reseed.contracts.errors import InvalidDataset
from reseed.datasets.convert_npz import Arrays, read_arrays
from reseed.datasets.images import SourceImage, array_image, image_file, images_of
from reseed.datasets.source_cases import case_name
from reseed.datasets.split import table_rows

Point = tuple[float, float, float]

NODULE_COLUMNS = ("case", "patient", "nodule", "x_mm", "y_mm", "z_mm", "label")
INDETERMINATE = 3
"""The middle of the readers' scale of malignancy from 1 to 5."""


@dataclass(frozen=True)
class Nodule:
    """One nodule: where its centre is in the scan's own coordinates, and whether it is malignant."""

    name: str
    point_xyz_mm: Point
    label: int


@dataclass(frozen=True)
class NoduleScan:
    """One CT with its nodules."""

    case: str
    patient: str
    image: SourceImage
    nodules: tuple[Nodule, ...]


def npz_scans(
    path: Path,
    *,
    spacing_xyz_mm: Point,
    hounsfield: tuple[float, float],
    skip: Collection[str] = (),
) -> tuple[NoduleScan, ...]:
    """
    Nodules cut out of CT, each a scan of its own with the nodule in its centre.

    Arrays `image` (case, z, y, x) or (case, y, x) of bytes, `case`, and `label` (0, 1) or `malignancy`
    (1 to 5: above 3 is malignant, 3 is left out); `patient` where it is known.

    Parameters
    ----------
    path
        The .npz file.
    spacing_xyz_mm, hounsfield
        Nominal, since the file does not say: the distance of voxels, and what 0 and 255 stand for.
    skip
        Names of cases to leave out.

    Raises
    ------
    InvalidDataset
        As `read_arrays`; when image is not of bytes, neither label nor malignancy is there, or a value of
        theirs is none of the scale.
    """
    arrays = read_arrays(path, ("image", "case"))
    images, labels = arrays["image"], _labels(arrays, path)
    if images.dtype != np.uint8 or images.ndim not in {3, 4}:
        raise InvalidDataset(
            f"{path}: image must be bytes of shape (case, z, y, x) or (case, y, x), "
            f"got {images.dtype} of shape {images.shape}"
        )
    low, high = hounsfield
    patients = arrays.get("patient", arrays["case"])
    scans = []
    for name, patient, cube, label in zip(map(str, arrays["case"]), patients, images, labels, strict=True):
        if label is None or name in skip:
            continue
        sizes = (1, *cube.shape)[-3:]
        voxels = np.round(low + cube.astype(np.float32) / 255 * (high - low)).astype(np.int16)
        x, y, z = ((size - 1) / 2 * step for size, step in zip(reversed(sizes), spacing_xyz_mm, strict=True))
        scans.append(
            NoduleScan(
                case_name(name),
                str(patient),
                array_image(f"{path}: image of {name}", voxels, spacing_xyz_mm),
                (Nodule("1", (x, y, z), label),),
            )
        )
    return tuple(scans)


def _labels(arrays: Arrays, path: Path) -> list[int | None]:
    """0 or 1 for each case; None in the middle of the scale of malignancy."""
    name = "malignancy" if "malignancy" in arrays else "label"
    values = arrays.get(name)
    if values is None or values.ndim != 1 or values.dtype.kind not in "biuf":
        raise InvalidDataset(
            f"{path}: must have an array malignancy (1 to 5) or label (0, 1) with one per case"
        )
    is_scale = name == "malignancy"
    allowed = (values >= 1) & (values <= 5) if is_scale else (values == 0) | (values == 1)
    if not allowed.all():
        words = "from 1 to 5" if is_scale else "0 or 1"
        raise InvalidDataset(f"{path}: {name} must be {words}, got {values[~allowed][0]:g}")
    if not is_scale:
        return [int(value) for value in values]
    return [None if value == INDETERMINATE else int(value > INDETERMINATE) for value in values]


def table_scans(folder: Path, table: Path, *, skip: Collection[str] = ()) -> tuple[NoduleScan, ...]:
    """
    CT scans of a folder and their nodules in a table.

    Parameters
    ----------
    folder
        One image a scan, named after its case.
    table
        CSV with the columns case, patient, nodule, x_mm, y_mm, z_mm (in the image's own coordinates) and
        label (0, 1).
    skip
        Names of cases to leave out.

    Raises
    ------
    InvalidDataset
        One line per mistake in the table, or scan that is not there.
    """
    images = images_of(folder)
    mistakes: list[str] = []
    nodules: dict[str, list[Nodule]] = {}
    patients: dict[str, str] = {}
    for line, row in table_rows(table, NODULE_COLUMNS):
        case = row["case"]
        try:
            x, y, z = (float(row[f"{axis}_mm"]) for axis in "xyz")
        except ValueError:
            x = y = z = math.nan
        if not math.isfinite(x + y + z):
            mistakes.append(f"{table}:{line}: x_mm, y_mm and z_mm must be finite numbers")
        elif row["label"] not in {"0", "1"}:
            mistakes.append(f"{table}:{line}: label must be 0 or 1, got {row['label']!r}")
        elif not row["patient"] or not row["nodule"]:
            mistakes.append(f"{table}:{line}: patient and nodule must not be empty")
        elif patients.setdefault(case, row["patient"]) != row["patient"]:
            mistakes.append(f"{table}:{line}: case {case!r} has two patients")
        elif any(known.name == row["nodule"] for known in nodules.get(case, ())):
            mistakes.append(f"{table}:{line}: nodule {row['nodule']!r} of case {case!r} is given twice")
        elif case not in skip:
            nodules.setdefault(case, []).append(Nodule(row["nodule"], (x, y, z), int(row["label"])))
    mistakes += [f"{folder}: has no image of case {case!r}" for case in nodules if case not in images]
    if mistakes:
        raise InvalidDataset("\n".join(mistakes))
    return tuple(
        NoduleScan(case, patients[case], image_file(images[case]), tuple(nodules[case])) for case in nodules
    )
