"""Whether a ground truth folder holds what its task says: every case is read."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from reseed.contracts.errors import UserError
from reseed.contracts.evaluation import Classification, Detection, LesionClassification, Segmentation
from reseed.contracts.task import Task
from reseed.imaging.metaimage import UnusableImage
from reseed.scoring.detection import OF_BOTH_CLASSES, lesion_voxels
from reseed.scoring.images import label_map
from reseed.scoring.lesion_classification import reference_lesions
from reseed.scoring.reference import reference_cases
from reseed.scoring.reference_images import ReferenceImage, read_reference_image, reference_images
from reseed.scoring.segmented_labels import label_values


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
            structures = [_structures(image, rule) for image in images]
            _refuse_absent_structure(ground_truth, rule, task, set().union(*structures))
            n_filled = sum(bool(names) for names in structures)
        case Detection():
            images = reference_images(ground_truth, rule.reference)
            n_filled = sum(_has_lesion(image, rule) for image in images)
            _refuse_one_class(ground_truth, task, n_filled, len(images))
    return f"{n_filled} of {len(images)} {task.case_noun} with a structure" + _of_patients(
        [image.patient for image in images]
    )


def _structures(case: ReferenceImage, rule: Segmentation) -> set[str]:
    """The structures that a reference has; labels that the task ignores are none."""
    try:
        voxels = label_map(read_reference_image(case), rule.known_labels)
    except UnusableImage as error:
        raise UserError(f"{case.path}: the reference {error}") from None
    return {name for name, labels in rule.labels.items() if np.isin(voxels, labels).any()}


def _refuse_absent_structure(folder: Path, rule: Segmentation, task: Task, present: Collection[str]) -> None:
    """What no reference has is rightly left empty, and then has no number in any case unless one is given."""
    absent = next((name for name in rule.labels if name not in present), None)
    if absent is None:
        return
    metrics = (*task.metrics, *task.reported)
    empty = np.zeros((1, 1, 1), dtype=bool)
    undefined = label_values(empty, empty, (1.0, 1.0, 1.0), rule, metrics).values
    for key in metrics:
        if rule.aggregation[key].both_empty == "skip" and not math.isfinite(undefined[key]):
            labels = ", ".join(str(label) for label in rule.labels[absent])
            raise UserError(
                f"{folder}: no reference has the structure {absent!r} (label {labels}), so metric {key!r} is "
                f"undefined in every case; give evaluation.aggregation.{key}.both_empty a number"
            )


def _has_lesion(case: ReferenceImage, rule: Detection) -> bool:
    return bool(np.any(lesion_voxels(read_reference_image(case), rule, case.path)))


def _refuse_one_class(folder: Path, task: Task, n_positive: int, n_cases: int) -> None:
    """Without a lesion no metric is defined, and without a case that has none those of cases are not."""
    metrics = (*task.metrics, *task.reported)
    needing = [key for key in metrics if key in OF_BOTH_CLASSES] if n_positive else list(metrics)
    if needing and n_positive in {0, n_cases}:
        raise UserError(
            f"{folder}: {n_positive} of {n_cases} {task.case_noun} of the reference have a lesion; metric "
            f"{needing[0]!r} needs {'some without one' if n_positive else 'some with one'}"
        )


def _of_patients(patients: Sequence[str | None]) -> str:
    named = {patient for patient in patients if patient is not None}
    return f", of {len(named)} patients" if named else ", each of another patient"
