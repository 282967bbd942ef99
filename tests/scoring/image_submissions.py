"""Builds small submissions of images on disk, right by default, to be broken by a test."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK

from reseed.contracts.containers import SubmissionPaths
from tests.scoring.submissions import socket_value

SPACING_XYZ = (0.5, 0.75, 3.0)
SHAPE_ZYX = (6, 12, 10)


def write_image(
    path: Path,
    voxels: np.ndarray,
    *,
    spacing: tuple[float, ...] = SPACING_XYZ,
    origin: tuple[float, ...] = (1.0, -2.0, 3.0),
    compressed: bool = True,
) -> Path:
    """Write an array (z, y, x) as an image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = SimpleITK.GetImageFromArray(voxels)
    if voxels.ndim == 3:
        image.SetSpacing(spacing)
        image.SetOrigin(origin)
    SimpleITK.WriteImage(image, str(path), useCompression=compressed)
    return path


def box(*corners: slice, value: float = 1, dtype: Any = np.uint8) -> np.ndarray:
    """An image that is zero but for a box."""
    voxels = np.zeros(SHAPE_ZYX, dtype=dtype)
    voxels[corners] = value
    return voxels


@dataclass(frozen=True)
class ImageSubmission:
    """A submission of images, one job for each case, and its ground truth."""

    folder: Path
    ground_truth: Path
    input_slug: str
    output_slug: str

    @property
    def paths(self) -> SubmissionPaths:
        """As the scoring code sees it."""
        return SubmissionPaths(self.folder)

    def output_folder(self, case: str) -> Path:
        """Where a case's predicted image lies."""
        return self.paths.output_of(f"job-{case}", f"images/{self.output_slug}")

    def predict(self, case: str, voxels: np.ndarray, *, suffix: str = ".mha", **geometry: Any) -> Path:
        """Replace the predicted image of a case."""
        for old in self.output_folder(case).glob("*"):
            old.unlink()
        return write_image(self.output_folder(case) / f"abc{suffix}", voxels, **geometry)

    def job(self, case: str, *, key: str = "socket", **changed: Any) -> dict[str, Any]:
        """The job of a case in predictions.json."""
        image = {"pk": "x", "name": f"{case}.mha"}
        return {
            "pk": f"job-{case}",
            "inputs": [socket_value(self.input_slug, f"images/{self.input_slug}", key=key, image=image)],
            "outputs": [socket_value(self.output_slug, f"images/{self.output_slug}", key=key)],
            "status": "Succeeded",
            **changed,
        }

    def write_jobs(self, jobs: list[Any]) -> None:
        """Replace predictions.json."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.paths.predictions.write_text(json.dumps(jobs), encoding="utf-8")


PANCREAS = {
    # Dice by hand: the same; half of it missing; nothing found; nothing there and nothing found
    "a": (box(slice(1, 5), slice(2, 6), slice(2, 6)), box(slice(1, 5), slice(2, 6), slice(2, 6))),
    "b": (box(slice(1, 5), slice(2, 6), slice(2, 6)), box(slice(1, 5), slice(2, 6), slice(2, 4))),
    "c": (box(slice(1, 5), slice(2, 6), slice(2, 6)), box(slice(0, 0))),
    "d": (box(slice(0, 0)), box(slice(0, 0))),
}
PANCREAS_DICE = {"a": 1.0, "b": 2 / 3, "c": 0.0, "d": 1.0}
PATIENTS = {"a": "p1", "b": "p1", "c": "p2", "d": "p3"}


def pancreas_submission(root: Path) -> ImageSubmission:
    """A right submission to pancreas_segmentation of the four cases of PANCREAS."""
    made = ImageSubmission(root / "input", root / "ground_truth", "venous-ct", "pancreas-segmentation")
    for case, (reference, prediction) in PANCREAS.items():
        write_image(made.ground_truth / "pancreas" / f"{case}.nii.gz", reference)
        made.predict(case, prediction)
    made.write_jobs([made.job(case) for case in PANCREAS])
    write_patients(made.ground_truth, PATIENTS)
    return made


def write_patients(ground_truth: Path, patients: dict[str, str]) -> None:
    """Write patients.csv."""
    rows = "".join(f"{case},{patient}\n" for case, patient in patients.items())
    (ground_truth / "patients.csv").write_text(f"case,patient\n{rows}", encoding="utf-8")


def pdac_submission(root: Path, cases: dict[str, tuple[np.ndarray, np.ndarray, float]]) -> ImageSubmission:
    """A submission to pdac_detection: for each case lesions, detection map and likelihood."""
    made = ImageSubmission(root / "input", root / "ground_truth", "venous-ct", "pdac-detection-map")
    jobs = []
    for case, (lesions, detection_map, likelihood) in cases.items():
        write_image(made.ground_truth / "lesions" / f"{case}.nii.gz", lesions)
        made.predict(case, detection_map.astype(np.float32))
        made.paths.output_of(f"job-{case}", "pdac-likelihood.json").write_text(json.dumps(likelihood))
        job = made.job(case)
        job["outputs"].append(socket_value("pdac-likelihood", "pdac-likelihood.json"))
        jobs.append(job)
    made.write_jobs(jobs)
    write_patients(made.ground_truth, {case: f"patient {case}" for case in cases})
    return made
