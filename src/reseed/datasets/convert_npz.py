"""Cases of a .npz file of arrays, on a grid that somebody names because the file does not."""

from __future__ import annotations

import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reseed.contracts.errors import InvalidDataset
from reseed.datasets.images import array_image
from reseed.datasets.source_cases import ImageCase, case_name

Arrays = dict[str, npt.NDArray[Any]]


def read_arrays(path: Path, required: Collection[str]) -> Arrays:
    """
    The arrays of a .npz file; nothing in it is run.

    Raises
    ------
    InvalidDataset
        When it is not one, lacks an array, or the arrays are not about the same number of cases.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {str(key): content[key] for key in content.files}
    except FileNotFoundError:
        raise InvalidDataset(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InvalidDataset(f"{path}: is not a readable .npz file: {error}") from None
    missing = [key for key in required if key not in arrays]
    if missing:
        raise InvalidDataset(f"{path}: must have an array {missing[0]!r}; it has {', '.join(arrays)}")
    lengths = {key: len(array) if array.ndim else 0 for key, array in arrays.items()}
    if len(set(lengths.values())) != 1 or lengths["image"] == 0:
        raise InvalidDataset(f"{path}: all arrays must have one entry for each case, got {lengths}")
    return arrays


def npz_cases(
    path: Path, slug: str, *, spacing_xyz_mm: tuple[float, float, float], skip: Collection[str] = ()
) -> tuple[ImageCase, ...]:
    """
    The cases of arrays `image` and `label` of shape (case, z, y, x) or (case, y, x).

    `case` holds their names, `patient` whose they are; without it every case is its own patient.
    A slice becomes a volume of one slice.

    Parameters
    ----------
    path
        The .npz file.
    slug
        The input socket that `image` fills.
    spacing_xyz_mm
        Nominal: the file does not say.
    skip
        Names of cases to leave out.

    Raises
    ------
    InvalidDataset
        As `read_arrays`, or when image and label differ in shape.
    """
    arrays = read_arrays(path, ("image", "label", "case"))
    image, label = arrays["image"], arrays["label"]
    if image.shape != label.shape or image.ndim not in {3, 4}:
        raise InvalidDataset(
            f"{path}: image and label must have one shape, (case, z, y, x) or (case, y, x), "
            f"got {image.shape} and {label.shape}"
        )
    patients = arrays.get("patient", arrays["case"])
    return tuple(
        ImageCase(
            case_name(str(name)),
            str(patient),
            {slug: array_image(f"{path}: image of {name}", image[index], spacing_xyz_mm)},
            array_image(f"{path}: label of {name}", label[index], spacing_xyz_mm),
        )
        for index, (name, patient) in enumerate(zip(arrays["case"], patients, strict=True))
        if str(name) not in skip
    )
