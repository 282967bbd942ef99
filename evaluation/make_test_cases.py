#!/usr/bin/env python3
"""
Makes the test cases in evaluation/test: synthetic boxes as organs, a submission that is nearly right.

Run again after a change here: the same files come out, byte for byte. For your own challenge replace
them by a few cases of yours, laid out the same way.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from reseed.contracts.files import write_json_atomically, write_text_atomically
from reseed.contracts.sockets import SocketValue
from reseed.scoring.tasks import read_task

HERE = Path(__file__).resolve().parent
TASK = "pancreas_segmentation"
CASES = {"case_01": (2, 8), "case_02": (3, 7), "case_03": (4, 4)}
"""Where each organ begins and ends, in voxels along every axis; the last case has none."""


def organ(begin: int, end: int) -> NDArray[np.uint8]:
    """A box in a volume of 10×10×10 voxels."""
    voxels = np.zeros((10, 10, 10), dtype=np.uint8)
    voxels[begin:end, begin:end, begin:end] = 1
    return voxels


def write(path: Path, voxels: NDArray[np.uint8]) -> None:
    """Write a volume of 3×1×1 mm voxels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image: Any = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing((1.0, 1.0, 3.0))
    SimpleITK.WriteImage(image, str(path), useCompression=True)


def main() -> None:
    """Write evaluation/test/input and evaluation/test/ground_truth anew."""
    task = read_task(TASK, HERE / "tasks")
    test = HERE / "test"
    for name in ("input", "ground_truth"):
        shutil.rmtree(test / name, ignore_errors=True)
    jobs = []
    for case, (begin, end) in CASES.items():
        write(test / "ground_truth" / "pancreas" / f"{case}.mha", organ(begin, end))
        folder = test / "input" / f"job-of-{case}" / "output" / task.outputs[0].relative_path
        write(folder / "output.mha", organ(begin, max(begin, end - 1)))
        image_name = f"{case}.mha"
        jobs.append(
            {
                "pk": f"job-of-{case}",
                "inputs": [SocketValue.of(task.inputs[0], image_name=image_name).model_dump(mode="json")],
                "outputs": [SocketValue.of(task.outputs[0], image_name="output.mha").model_dump(mode="json")],
                "status": "Succeeded",
            }
        )
    write_json_atomically(test / "input" / "predictions.json", jobs)
    patients = "".join(f"{case},patient_{number}\n" for number, case in enumerate(CASES, start=1))
    write_text_atomically(test / "ground_truth" / "patients.csv", f"case,patient\n{patients}")
    shutil.copy(HERE / "tasks" / f"{TASK}.yaml", test / "ground_truth" / "task.yaml")


if __name__ == "__main__":
    main()
