"""Small folders and files that datasets are made from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import SimpleITK

from reseed.contracts.task import Task
from reseed.scoring.tasks import read_task

REPOSITORY = Path(__file__).parents[2]
SHARED = REPOSITORY.parent / "shared" / "data"


def task(name: str) -> Task:
    return read_task(name, REPOSITORY / "evaluation" / "tasks")


def image(seed: int, *, shape=(4, 6, 5), spacing=(1.0, 1.0, 2.0), dtype=np.int16):
    voxels = np.random.default_rng(seed).integers(-50, 50, shape).astype(dtype)
    result = SimpleITK.GetImageFromArray(voxels)
    result.SetSpacing(spacing)
    result.SetOrigin((3.0, -4.0, 5.0))
    return result


def label_map(seed: int, *, like, n_labels=2, dtype=np.uint8):
    size = like.GetSize()[::-1]
    result = SimpleITK.GetImageFromArray(
        np.random.default_rng(seed).integers(0, n_labels + 1, size).astype(dtype)
    )
    result.CopyInformation(like)
    return result


def write(made, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(made, str(path))


def decathlon_folder(folder: Path, *, n_cases=6, n_channels=1) -> Path:
    """As the archives of the Decathlon unpack."""
    for number in range(n_cases):
        volumes = [image(10 * number + channel) for channel in range(n_channels)]
        labels = label_map(number, like=volumes[0])
        write(
            volumes[0] if n_channels == 1 else SimpleITK.JoinSeries(volumes),
            folder / "imagesTr" / f"brain_{number:03d}.nii.gz",
        )
        write(labels, folder / "labelsTr" / f"brain_{number:03d}.nii.gz")
    (folder / "dataset.json").write_text(
        json.dumps(
            {"labels": {"0": "background", "1": "Anterior", "2": "Posterior"}, "modality": {"0": "MRI"}}
        )
    )
    return folder


def nnunet_folder(folder: Path, *, n_cases=6, n_channels=1) -> Path:
    """A raw dataset of nnU-Net."""
    for number in range(n_cases):
        for channel in range(n_channels):
            made = image(10 * number + channel)
            write(made, folder / "imagesTr" / f"case_{number:03d}_{channel:04d}.nii.gz")
        write(label_map(number, like=image(0)), folder / "labelsTr" / f"case_{number:03d}.nii.gz")
    document = {
        "channel_names": {str(channel): "MRI" for channel in range(n_channels)},
        "labels": {"background": 0, "whole": [1, 2], "front": 1, "back": 2},
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(document))
    return folder


def voxels(path):
    return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
