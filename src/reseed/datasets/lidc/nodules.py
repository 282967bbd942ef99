"""Nodules: the annotations of one scan that mean the same lesion."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reseed.datasets.lidc.database import Annotation, Scan

SAME_NODULE_MM = 8.0
MINIMUM_READERS = 2
UNDECIDED_MALIGNANCY = 3.0
MINIMUM_DISTANCE_FROM_UNDECIDED = 0.5
TEST_PATIENTS_ONE_IN = 3

Point = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Nodule:
    """
    One lesion with the annotations of all who drew it.

    `case` is the patient and a running number over the patient's *kept* nodules, so that a case
    keeps its name for as long as the rules of this dataset's version hold.
    """

    case: str
    scan: Scan
    annotations: tuple[Annotation, ...]

    @property
    def patient(self) -> str:
        """The patient of the scan."""
        return self.scan.patient

    @property
    def malignancy(self) -> float:
        """Mean opinion of the readers, 1 (highly unlikely) to 5 (highly suspicious)."""
        return _mean_malignancy(self.annotations)

    @property
    def label(self) -> int:
        """1 when the readers lean to malignant."""
        return int(self.malignancy > UNDECIDED_MALIGNANCY)

    @property
    def centre_mm(self) -> Point:
        """Mean centroid of the readers, in (x, y, z), to a micrometre."""
        centroids = [a.centroid_mm(self.scan.pixel_spacing_mm) for a in self.annotations]
        x, y, z = _mean_point(centroids)
        return round(x, 3), round(y, 3), round(z, 3)


def clustered_annotations(scan: Scan) -> list[tuple[Annotation, ...]]:
    """
    The annotations of a scan, one tuple per lesion, in the order of their ids.

    An annotation joins the nearest lesion whose mean centroid so far is within 8 mm, or starts a
    new one. LIDC has no identity of lesions across readers; this rule finds 2664.
    """
    lesions: list[list[tuple[Annotation, Point]]] = []
    for annotation in scan.annotations:
        centroid = annotation.centroid_mm(scan.pixel_spacing_mm)
        distances = [math.dist(centroid, _mean_point([point for _, point in lesion])) for lesion in lesions]
        nearest = min(range(len(lesions)), key=distances.__getitem__, default=None)
        if nearest is not None and distances[nearest] <= SAME_NODULE_MM:
            lesions[nearest].append((annotation, centroid))
        else:
            lesions.append([(annotation, centroid)])
    return [tuple(annotation for annotation, _ in lesion) for lesion in lesions]


def kept_nodules(scans: Iterable[Scan]) -> list[Nodule]:
    """
    The nodules of the dataset, by case: two or more readers, with an opinion that leans.

    A mean malignancy within half a point of 3, the readers' word for undecided, is no reference to
    train or judge by.
    """
    found: dict[str, list[tuple[Scan, tuple[Annotation, ...]]]] = defaultdict(list)
    for scan in scans:
        for lesion in clustered_annotations(scan):
            distance = abs(_mean_malignancy(lesion) - UNDECIDED_MALIGNANCY)
            if len(lesion) >= MINIMUM_READERS and distance >= MINIMUM_DISTANCE_FROM_UNDECIDED:
                found[scan.patient].append((scan, lesion))
    return [
        Nodule(f"{patient.lower()}-{number}", scan, lesion)
        for patient, lesions in sorted(found.items())
        for number, (scan, lesion) in enumerate(lesions, start=1)
    ]


def test_patients(nodules: Sequence[Nodule]) -> frozenset[str]:
    """
    The patients held out for testing: one in three, without any seed.

    Patients are put in the order of their number of benign nodules, then of malignant ones, then of
    the SHA-256 of their name; every third is held out. Both sides so have the same mixture of
    patients with one and with many nodules, benign and malignant.
    """
    labels: dict[str, list[int]] = defaultdict(list)
    for nodule in nodules:
        labels[nodule.patient].append(nodule.label)

    def stratum(patient: str) -> tuple[int, int, str]:
        n_malignant = sum(labels[patient])
        n_benign = len(labels[patient]) - n_malignant
        return n_benign, n_malignant, hashlib.sha256(patient.encode()).hexdigest()

    ordered = sorted(labels, key=stratum)
    return frozenset(ordered[TEST_PATIENTS_ONE_IN - 1 :: TEST_PATIENTS_ONE_IN])


def _mean_malignancy(annotations: Sequence[Annotation]) -> float:
    return sum(annotation.malignancy for annotation in annotations) / len(annotations)


def _mean_point(points: Sequence[Point]) -> Point:
    n_points = len(points)
    x, y, z = (math.fsum(point[axis] for point in points) / n_points for axis in range(3))
    return x, y, z
