"""The nnU-Net algorithms on tiny phantoms: their manifests, settings and datasets."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reseed.contracts.manifest import AlgorithmManifest, setting_text
from reseed.contracts.task import Task
from reseed.datasets.conversion import write_image_dataset
from reseed.datasets.phantom import (
    PDAC_LABELS,
    PhantomGrid,
    bpmri_phantoms,
    pdac_ct_phantoms,
    structure_phantoms,
)
from reseed.datasets.source_cases import DatasetDescription, ImageCase, LabelValues
from reseed.documents.reading import read_yaml
from tests.algorithms.jobs import PROJECT

ALGORITHMS = (
    "cspca_detection",
    "hippocampus_segmentation",
    "pancreas_segmentation",
    "pdac_detection",
    "prostate_segmentation",
)


def manifest_of(algorithm: str) -> AlgorithmManifest:
    """manifest.yaml of an algorithm."""
    return read_yaml(PROJECT / "algorithms" / algorithm / "manifest.yaml", AlgorithmManifest)


def task_of(name: str) -> Task:
    """A task of the project."""
    return read_yaml(PROJECT / "evaluation/tasks" / f"{name}.yaml", Task)


def smoke_settings(algorithm: str, **changes: str) -> dict[str, str]:
    """The profile `smoke` as hyperparameters.json has it."""
    profile = manifest_of(algorithm).profiles["smoke"]
    return {**{key: setting_text(value) for key, value in profile.items()}, **changes}


def phantoms(algorithm: str, n_cases: int = 8) -> list[ImageCase]:
    """Tiny cases that fill the algorithm's sockets."""
    rng = np.random.default_rng(0)
    match algorithm:
        case "hippocampus_segmentation":
            grid = PhantomGrid((12, 40, 32), (1, 1, 1))
            return structure_phantoms(n_cases, rng, slugs=["t1-brain-mri"], grid=grid, n_labels=2)
        case "prostate_segmentation":
            grid = PhantomGrid((14, 40, 40), (3, 1, 1))
            return structure_phantoms(n_cases, rng, slugs=["transverse-t2-prostate-mri"], grid=grid)
        case "cspca_detection":
            return bpmri_phantoms(
                n_cases,
                rng,
                t2=PhantomGrid((12, 48, 44), (5, 2, 2)),
                diffusion=PhantomGrid((12, 24, 22), (5, 4, 4)),
            )
        case "pdac_detection" | "pancreas_segmentation":
            return pdac_ct_phantoms(n_cases, rng, grid=PhantomGrid((24, 40, 48), (6, 6, 6)))
    raise ValueError(algorithm)


def write_dataset(folder: Path, algorithm: str, n_cases: int = 8, n_test: int = 2) -> Path:
    """A dataset folder of phantoms, as `reseed data convert` would make it."""
    cases = phantoms(algorithm, n_cases)
    labels = LabelValues(names=PDAC_LABELS if algorithm == "pdac_detection" else {})
    if algorithm == "pancreas_segmentation":
        labels = LabelValues({1: 1, 4: 1, 5: 1, 2: 0, 3: 0, 6: 0}, {1: "pancreas"})
    folder.mkdir(parents=True)
    write_image_dataset(
        folder,
        cases,
        test=frozenset(case.case for case in cases[-n_test:]),
        task=task_of(manifest_of(algorithm).task),
        labels=labels,
        description=DatasetDescription("phantom", "Phantoms", "1.0", "CC0-1.0", "none", "made up"),
        progress=lambda line: None,
    )
    return folder
