"""Preprocessed phantoms and trained members, made once for a worker."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.algorithms.jobs import Job
from tests.algorithms.nnunet.pipelines import smoke_settings, write_dataset


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The phantom dataset of an algorithm."""

    @cache
    def make(algorithm: str) -> Path:
        return write_dataset(tmp_path_factory.mktemp("data") / algorithm, algorithm)

    return make


@pytest.fixture(scope="session")
def preprocessed(dataset, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """What the algorithm's `preprocess` makes of it, in a process of its own."""

    @cache
    def make(algorithm: str) -> Path:
        job = Job(tmp_path_factory.mktemp("preprocess"), algorithm, "preprocess", smoke_settings(algorithm))
        job.link("opt/ml/input/data/training", dataset(algorithm) / "training")
        assert job.run() == (0, "")
        return job.paths.output_data

    return make


@pytest.fixture
def train_job(preprocessed, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Job]:
    """A maker of training jobs with roots of their own, not yet run."""

    def make(algorithm: str, **changes: str) -> Job:
        job = Job(tmp_path_factory.mktemp("train"), algorithm, "train", smoke_settings(algorithm, **changes))
        return job.link("opt/ml/input/data/preprocessed", preprocessed(algorithm))

    return make
