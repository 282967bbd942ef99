"""A small made-up set of nodules, jobs on it, and trainings in this process."""

from __future__ import annotations

import csv
import itertools
import json

import numpy as np
import pytest
import torch

from algorithms.common.checkpoint import Checkpoint
from algorithms.common.determinism import repeatable_computation
from algorithms.common.interruption import Interrupted
from algorithms.nodule_malignancy.description import manifest
from reseed.contracts.sockets import SocketValue
from reseed.datasets.metaimage import metaimage_bytes
from tests.algorithms.jobs import Job

ALGORITHM = "nodule_malignancy"


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
        made = Job(tmp_path / f"{command}-{next(count)}", ALGORITHM, command, **{"members": 3, **changes})
        made.ml.mkdir(parents=True)
        for name, folder in channels:
            made.link(f"opt/ml/input/data/{name}", folder)
        return made

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


@pytest.fixture
def repeatable():
    """torch as an entry point sets it, and back."""
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    repeatable_computation({})
    yield
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode(mode)


@pytest.fixture
def trained(tmp_path, training):
    """A maker of trainings that have ended, from the module's fixture `training`, which makes new ones."""
    count = iter(range(100))

    def make(*given, **settings):
        made = training(*given, **settings)
        made.run(Checkpoint(tmp_path / str(next(count)), "test"), lambda: False)
        return made

    return make


def trained_in_steps(make, checkpoint):
    """A training that is stopped before every step and taken up by a new object; how often it started."""
    for n_starts in itertools.count(1):
        made = make()
        calls = iter([False])
        try:
            made.run(checkpoint, lambda calls=calls: next(calls, True))
        except Interrupted:
            continue
        return made, n_starts
    raise AssertionError


def same(first, second):
    """Whether weights by name are equal bit for bit."""
    return first.keys() == second.keys() and all((first[name] == second[name]).all() for name in first)
