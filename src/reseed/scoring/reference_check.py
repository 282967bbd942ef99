"""Whether a ground truth folder holds what its task says: every case is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reseed.contracts.errors import UserError
from reseed.contracts.evaluation import Classification, Detection, LesionClassification, Segmentation
from reseed.contracts.task import Task
from reseed.imaging.metaimage import UnusableImage
from reseed.scoring.images import label_map
from reseed.scoring.lesion_classification import reference_lesions
from reseed.scoring.reference import reference_cases
from reseed.scoring.reference_images import ReferenceImage, read_reference_image, reference_images


def reference_line(ground_truth: Path, task: Task) -> str:
    """
    The reference standard of a task in a line: how many cases, patients, positives.

    Raises
    ------
    UserError
        For the first mistake found.
    """
    if not ground_truth.is_dir():
        raise UserError(f"{ground_truth}: no such folder; it must hold the ground truth")
    rule = task.evaluation
    match rule:
        case Classification():
            cases = reference_cases(ground_truth, rule.reference)
            n_positive = sum(case.label for case in cases)
            found = f"{n_positive} of {len(cases)} {task.case_noun} with label 1"
            return found + _of_patients([case.patient for case in cases])
        case LesionClassification():
            scans = reference_lesions(ground_truth, rule.reference)
            labels = [label for scan in scans for label in scan.label_by_lesion.values()]
            found = f"{sum(labels)} of {len(labels)} lesions with label 1 in {len(scans)} {task.case_noun}"
            return found + _of_patients([scan.patient for scan in scans])
        case Segmentation():
            images = reference_images(ground_truth, rule.reference, rule.known_labels)
            known: frozenset[int] | set[int] | None = rule.known_labels
        case Detection():
            images = reference_images(ground_truth, rule.reference)
            known = None if rule.lesion_labels is None else {0, *rule.lesion_labels, *rule.ignored_labels}
    n_filled = sum(_is_filled(image, known) for image in images)
    return f"{n_filled} of {len(images)} {task.case_noun} with a structure" + _of_patients(
        [image.patient for image in images]
    )


def _is_filled(case: ReferenceImage, known: frozenset[int] | set[int] | None) -> bool:
    image = read_reference_image(case)
    try:
        voxels = image.voxels if known is None else label_map(image, known)
    except UnusableImage as error:
        raise UserError(f"{case.path}: the reference {error}") from None
    return bool(np.any(voxels))


def _of_patients(patients: Sequence[str | None]) -> str:
    named = {patient for patient in patients if patient is not None}
    return f", of {len(named)} patients" if named else ", each of another patient"
