"""A small made-up set of nodules, and the entry points as processes."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from algorithms.nodule_malignancy.description import manifest
from reseed.contracts.sockets import SocketValue
from reseed.datasets.metaimage import metaimage_bytes

PROJECT = Path(__file__).parents[3]
SEEDS = {"WEIGHTS": 11, "ORDER": 12, "AUGMENTATION": 13, "DROPOUT": 0, "SPLIT": 15}


def ball(radius_mm, rng):
    """A ball of that radius with a wavering edge, in percent of readers."""
    z, y, x = (np.indices((32, 32, 32)) - 15.5) * 1.25
    distance = np.sqrt(x**2 + y**2 + z**2) + rng.normal(0, 0.5, (32, 32, 32))
    return np.clip(100 * (radius_mm - distance + 0.5), 0, 100).astype(np.uint8)


def volume_bytes(voxels):
    """As the dataset has it."""
    return metaimage_bytes(voxels, spacing_xyz_mm=(1.25, 1.25, 1.25), origin_xyz_mm=(1.5, -2.0, 30.0))


def write_case(folder, case, voxels):
    """A case as an algorithm meets it."""
    (source,) = manifest().inputs
    (folder / source.relative_path).mkdir(parents=True)
    (folder / source.relative_path / f"{case}.mha").write_bytes(volume_bytes(voxels))
    value = SocketValue.of(source, image_name=f"{case}.mha").model_dump(mode="json")
    (folder / "inputs.json").write_text(json.dumps([value]))


@dataclass
class Job:
    """One entry point with a root of its own, started as a process."""

    root: Path
    command: str
    settings: dict[str, str] = field(default_factory=dict)
    member: int = 0
    members: int = 3
    seeds: dict[str, int] = field(default_factory=lambda: dict(SEEDS))

    def start(self):
        """Start it; stdout goes to a file that can be watched."""
        config = self.root / "opt/ml/input/config/hyperparameters.json"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(json.dumps(self.settings))
        environment = {
            **os.environ,
            "PYTHONPATH": str(PROJECT),
            "RESEED_ROOT": str(self.root),
            "RESEED_MEMBER": str(self.member),
            "RESEED_MEMBERS": str(self.members),
            "OMP_NUM_THREADS": "1",
            **{f"RESEED_SEED_{stream}": str(seed) for stream, seed in self.seeds.items()},
        }
        with self.log.open("w") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"algorithms.nodule_malignancy.{self.command}"],
                cwd=PROJECT,
                env=environment,
                stdout=log,
                stderr=subprocess.PIPE,
                text=True,
            )

    def run(self):
        """Start it and wait; exit code and stderr."""
        process = self.start()
        _, stderr = process.communicate(timeout=300)
        return process.returncode, stderr

    @property
    def log(self):
        """JSON lines."""
        return self.root / "stdout.jsonl"

    @property
    def ml(self):
        """/opt/ml."""
        return self.root / "opt/ml"

    def model_files(self):
        """Bytes of every file of the model folder, by name."""
        return {path.name: path.read_bytes() for path in (self.ml / "model").iterdir()}


@pytest.fixture(scope="session")
def training_channel(tmp_path_factory):
    """72 balls of 48 patients; the larger ones are malignant, mostly."""
    folder = tmp_path_factory.mktemp("channel")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for index in range(72):
        label = int(index % 5 < 2)
        case = f"case-{index:02}"
        voxels = ball(rng.normal(9 if label else 6, 1.5), rng)
        (folder / "images" / f"{case}.mha").write_bytes(volume_bytes(voxels))
        rows.append([case, f"P{index % 48}", 2 + 2.5 * label, label])
    with (folder / "reference.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["case", "patient", "malignancy", "label"], *rows])
    return folder


@pytest.fixture
def job(tmp_path):
    """A maker of jobs, each with a root of its own and channels as symlinks."""
    count = iter(range(100))

    def make(command, *, channels=(), **changes):
        root = tmp_path / f"{command}-{next(count)}"
        (root / "opt/ml/input/data").mkdir(parents=True)
        for name, folder in channels:
            (root / "opt/ml/input/data" / name).symlink_to(folder)
        return Job(root, command, **changes)

    return make


@pytest.fixture(scope="session")
def preprocessed(training_channel, tmp_path_factory):
    """The folder that `preprocess` makes, by dimension."""
    from algorithms.nodule_malignancy.preprocess import preprocessed_cases
    from algorithms.nodule_malignancy.preprocessed import write_preprocessed

    folders = {}
    for dimension in (2, 3):
        folders[dimension] = tmp_path_factory.mktemp(f"preprocessed-{dimension}")
        write_preprocessed(folders[dimension], preprocessed_cases(training_channel, dimension))
    return folders
