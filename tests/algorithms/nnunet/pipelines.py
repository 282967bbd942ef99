"""The nnU-Net algorithms on tiny phantoms: datasets, jobs as processes, trainings in this process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from reseed.contracts.containers import TrainingPaths
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

PROJECT = Path(__file__).parents[3]
SEEDS = {"WEIGHTS": 11, "ORDER": 12, "AUGMENTATION": 13, "DROPOUT": 0, "SPLIT": 15}


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


@dataclass
class Job:
    """One entry point with a root of its own, as a process."""

    root: Path
    algorithm: str
    command: str
    settings: dict[str, str] = field(default_factory=dict)
    member: int = 0
    members: int = 2
    seeds: dict[str, int] = field(default_factory=lambda: dict(SEEDS))

    def link(self, target: str, source: Path) -> Job:
        """Show it a folder at a path below its root."""
        path = self.root / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(source)
        return self

    @property
    def paths(self) -> TrainingPaths:
        """Where its files are."""
        return TrainingPaths(self.root)

    @property
    def log(self) -> Path:
        """JSON lines."""
        return self.root / "stdout.jsonl"

    def environment(self) -> dict[str, str]:
        """As an executor sets it."""
        return {
            "RESEED_ROOT": str(self.root),
            "RESEED_MEMBER": str(self.member),
            "RESEED_MEMBERS": str(self.members),
            "OMP_NUM_THREADS": "1",
            "SM_NUM_CPUS": "1",
            **{f"RESEED_SEED_{stream}": str(seed) for stream, seed in self.seeds.items()},
        }

    def write_settings(self) -> None:
        """hyperparameters.json."""
        config = self.paths.hyperparameters
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(json.dumps(self.settings))

    def start(self) -> subprocess.Popen[str]:
        """Start it; stdout goes to a file that can be watched."""
        self.write_settings()
        with self.log.open("w") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"algorithms.{self.algorithm}.{self.command}"],
                cwd=PROJECT,
                env={**os.environ, "PYTHONPATH": str(PROJECT), **self.environment()},
                stdout=log,
                stderr=subprocess.PIPE,
                text=True,
            )

    def run(self) -> tuple[int, str]:
        """Start it and wait; exit code and stderr."""
        process = self.start()
        _, stderr = process.communicate(timeout=500)
        return process.returncode, stderr

    def files(self, folder: str = "opt/ml/model") -> dict[str, bytes]:
        """Bytes of every file below a folder, by name."""
        top = self.root / folder
        return {
            path.relative_to(top).as_posix(): path.read_bytes() for path in top.rglob("*") if path.is_file()
        }
