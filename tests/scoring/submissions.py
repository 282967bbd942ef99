"""Builds small submissions and reference standards on disk, right by default, to be broken by a test."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reseed.contracts.containers import SubmissionPaths

REPOSITORY = Path(__file__).resolve().parents[2]
TASKS = REPOSITORY / "evaluation" / "tasks"
INPUT = "lung-nodule-volume"
OUTPUT = "lung-nodule-malignancy-likelihood"
OUTPUT_FILE = f"{OUTPUT}.json"

SCORES = {"n1": 0.9, "n2": 0.2, "n3": 0.7, "n4": 0.6, "n5": 0.1}
LABELS = {"n1": "1", "n2": "0", "n3": "1", "n4": "0", "n5": "1"}
PATIENTS = {"n1": "p1", "n2": "p1", "n3": "p2", "n4": "p3", "n5": "p4"}
AUROC = 4 / 6
"""Of SCORES by hand: n1 beats n2 and n4, n3 beats n2 and n4, n5 beats neither."""
AP = (1 / 1 + 2 / 2 + 3 / 5) / 3
"""Of SCORES by hand: the positives have ranks 1, 2 and 5."""


def socket_value(slug: str, relative_path: str, *, key: str = "socket", **given: Any) -> dict[str, Any]:
    """A socket value as a platform writes it, under the new key or the old one."""
    kind = "Image" if relative_path.startswith("images/") else "Value"
    described = {
        "slug": slug,
        "title": slug,
        "kind": kind,
        "super_kind": kind,
        "relative_path": relative_path,
    }
    return {"pk": 7, "value": None, "file": None, "image": None, **given, key: described}


def job(case: str, *, pk: str | None = None, key: str = "socket", **changed: Any) -> dict[str, Any]:
    """A job of predictions.json for one nodule, with some of what a platform adds."""
    image = {"pk": f"uuid-{case}", "name": f"{case}.mha"}
    return {
        "pk": pk or f"job-{case}",
        "url": "https://platform.example/jobs/1/",
        "inputs": [socket_value(INPUT, f"images/{INPUT}", key=key, image=image)],
        "outputs": [socket_value(OUTPUT, OUTPUT_FILE, key=key)],
        "status": "Succeeded",
        **changed,
    }


@dataclass(frozen=True)
class SubmissionFolder:
    """A submission, and the reference standard that it is measured against."""

    folder: Path
    ground_truth: Path

    @property
    def paths(self) -> SubmissionPaths:
        """As the scoring code sees it."""
        return SubmissionPaths(self.folder)

    def write_jobs(self, jobs: Any) -> None:
        """Replace predictions.json."""
        self.paths.predictions.write_text(json.dumps(jobs), encoding="utf-8")

    def output(self, case: str) -> Path:
        """The output file of a case's job."""
        return self.paths.output_of(f"job-{case}", OUTPUT_FILE)

    def write_text(self, case: str, text: str) -> None:
        """Replace the output of a case by any text."""
        self.output(case).write_text(text, encoding="utf-8")

    def write_reference(self, rows: list[list[str]], header: tuple[str, ...] = ()) -> None:
        """Replace the reference table."""
        self.ground_truth.mkdir(parents=True, exist_ok=True)
        with (self.ground_truth / "reference.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([header or ("case", "patient", "malignancy", "label"), *rows])


def reference_rows() -> list[list[str]]:
    """The rows of a right reference table."""
    return [[case, PATIENTS[case], "4.5" if label == "1" else "1.5", label] for case, label in LABELS.items()]


def write_submission(folder: Path, ground_truth: Path) -> SubmissionFolder:
    """A right submission with its reference standard."""
    made = SubmissionFolder(folder, ground_truth)
    for case, score in SCORES.items():
        made.output(case).parent.mkdir(parents=True)
        made.write_text(case, json.dumps(score))
    made.write_jobs([job(case) for case in SCORES])
    made.write_reference(reference_rows())
    return made
