"""Cases of DICOM series: one case a study, one series a socket."""

from __future__ import annotations

import fnmatch
import functools
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reseed.contracts.errors import InvalidDataset
from reseed.datasets.images import SourceImage, image_file, images_of, last_sentence, simpleitk
from reseed.datasets.source_cases import ImageCase, case_name

_PATIENT_ID = "0010|0020"
_STUDY_UID = "0020|000d"
_SERIES_DESCRIPTION = "0008|103e"
_POSITION = "0020|0032"
_ORIENTATION = "0020|0037"

SPACING_TOLERANCE = 0.02
"""Of the step from slice to slice, along and across their normal, relative to the usual distance."""


@dataclass(frozen=True)
class Series:
    """One DICOM series, by its first file's header."""

    folder: Path
    description: str
    patient: str
    study: str
    files: tuple[str, ...]

    def matches(self, pattern: str, root: Path) -> bool:
        """Whether its description, or its folder below the source, is like the pattern."""
        names = (self.description, self.folder.relative_to(root).as_posix(), self.folder.name)
        return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for name in names)


def dicom_series(root: Path) -> tuple[Series, ...]:
    """
    All series below a folder, by folder and series number.

    Raises
    ------
    InvalidDataset
        When there is none.
    """
    found = []
    for folder in sorted({path.parent for path in root.rglob("*") if path.is_file()}):
        for uid in simpleitk().ImageSeriesReader.GetGDCMSeriesIDs(str(folder)):
            files = simpleitk().ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid)
            header = _header(files[0])
            found.append(
                Series(
                    folder,
                    header.get(_SERIES_DESCRIPTION, ""),
                    header.get(_PATIENT_ID, ""),
                    header.get(_STUDY_UID, ""),
                    tuple(files),
                )
            )
    if not found:
        raise InvalidDataset(f"{root}: has no DICOM series")
    return tuple(found)


def dicom_cases(
    root: Path, patterns: Mapping[str, str], *, labels: Path | None, skip: Collection[str] = ()
) -> tuple[ImageCase, ...]:
    """
    One case for each study below a folder, named after the patient's id.

    Parameters
    ----------
    root
        Searched at any depth; files that are not DICOM are passed over.
    patterns
        Which series fills a socket, by its slug: a pattern (*, ?, [...]) for the series description or its
        folder, not minding case.
    labels
        Folder with a label map CASE.nii.gz (or .mha …) for each case; None for cases to predict only.
    skip
        Names of cases to leave out.

    Raises
    ------
    InvalidDataset
        One line for each study where a pattern finds no series, or several; for each case without a
        label map; and for a patient without an id.
    """
    studies: dict[tuple[str, str], list[Series]] = defaultdict(list)
    for series in dicom_series(root):
        studies[series.patient, series.study].append(series)
    label_maps = {} if labels is None else images_of(labels)
    cases: list[ImageCase] = []
    mistakes: list[str] = []
    n_studies: Counter[str] = Counter()
    for (patient, _), members in sorted(studies.items()):
        n_studies[patient] += 1
        number = n_studies[patient]
        case = case_name(patient if number == 1 else f"{patient}_{number}")
        if case in skip:
            continue
        if not case:
            mistakes.append(f"{members[0].folder}: PatientID is empty; a case takes its name from it")
            continue
        chosen, wrong = _chosen(members, patterns, root, case)
        mistakes += wrong
        if labels is not None and case not in label_maps:
            mistakes.append(f"{labels}: has no label map {case}.nii.gz")
        elif not wrong:
            label_map = image_file(label_maps[case]) if labels is not None else None
            cases.append(ImageCase(case, patient, chosen, label_map))
    if mistakes:
        raise InvalidDataset("\n".join(mistakes))
    return tuple(cases)


def _chosen(
    members: Sequence[Series], patterns: Mapping[str, str], root: Path, case: str
) -> tuple[dict[str, SourceImage], list[str]]:
    chosen, wrong = {}, []
    for slug, pattern in patterns.items():
        found = [series for series in members if series.matches(pattern, root)]
        if len(found) != 1:
            names = ", ".join(repr(series.description) for series in (found or members))
            wrong.append(
                f"case {case!r}: {pattern!r} for {slug} must fit one series, fits {len(found)}; "
                f"{'these' if found else 'the study has'}: {names}"
            )
            continue
        series = found[0]
        chosen[slug] = SourceImage(str(series.folder), functools.partial(read_series, series))
    return chosen, wrong


def read_series(series: Series) -> Any:
    """
    The volume of a series.

    Raises
    ------
    InvalidDataset
        When GDCM cannot read it, or its slices are not evenly spaced (one is missing or twice there) or
        not stacked at right angles to their plane.
    """
    check_slices(series)
    reader = simpleitk().ImageSeriesReader()
    reader.SetFileNames(series.files)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise InvalidDataset(f"{series.folder}: cannot be read: {last_sentence(error)}") from None
    return image[:, :, :, 0] if image.GetDimension() == 4 and image.GetSize()[3] == 1 else image


def check_slices(series: Series) -> None:
    """
    Refuse a series with a gap, or whose slices are stacked askew, as those of a tilted gantry are.

    Raises
    ------
    InvalidDataset
        Naming the slices on both sides of it.
    """
    if len(series.files) < 2:
        return
    headers = [_header(name) for name in series.files]
    if any(_POSITION not in header or _ORIENTATION not in header for header in headers):
        raise InvalidDataset(f"{series.folder}: a slice has no position or orientation")
    cosines = _vector(headers[0][_ORIENTATION])
    normal = np.cross(cosines[:3], cosines[3:])
    steps = np.diff([_vector(header[_POSITION]) for header in headers], axis=0)
    steps_mm = steps @ normal
    sideways_mm = np.linalg.norm(steps - np.outer(steps_mm, normal), axis=1)
    usual_mm = float(np.sort(steps_mm)[(len(steps_mm) - 1) // 2])  # one that occurs, unlike a mean of two
    tolerance_mm = SPACING_TOLERANCE * abs(usual_mm)
    uneven = np.flatnonzero(np.abs(steps_mm - usual_mm) > tolerance_mm)
    askew = np.flatnonzero(sideways_mm > tolerance_mm)
    if len(uneven):
        at = int(uneven[0])
        raise InvalidDataset(
            f"{series.folder}: slices must be evenly spaced by {abs(usual_mm):.3f} mm, got "
            f"{abs(steps_mm[at]):.3f} mm between {_both_sides(series, at)}"
        )
    if len(askew):
        at = int(askew[0])
        raise InvalidDataset(
            f"{series.folder}: slices must be stacked at right angles to their plane, got a shift of "
            f"{sideways_mm[at]:.3f} mm within it between {_both_sides(series, at)}, as of a tilted gantry"
        )


def _both_sides(series: Series, at: int) -> str:
    return " and ".join(Path(name).name for name in series.files[at : at + 2])


def _header(file: str) -> dict[str, str]:
    reader = simpleitk().ImageFileReader()
    reader.SetFileName(file)
    reader.ReadImageInformation()
    keys = (_PATIENT_ID, _STUDY_UID, _SERIES_DESCRIPTION, _POSITION, _ORIENTATION)
    return {key: reader.GetMetaData(key).strip() for key in keys if reader.HasMetaDataKey(key)}


def _vector(text: str) -> Any:
    return np.array([float(part) for part in text.split("\\")])
