"""What the seeds of an nnU-Net training reach, each algorithm with its profile `smoke`."""

from __future__ import annotations

import importlib
import json
import os

import pytest

from algorithms.common.nnunet.jobs import train_member
from tests.algorithms.jobs import Job
from tests.algorithms.nnunet.pipelines import ALGORITHMS, manifest_of, smoke_settings

STREAMS = ("WEIGHTS", "ORDER", "AUGMENTATION", "DROPOUT")


def trained_files(job: Job) -> dict[str, bytes]:
    """Train in this process, which has nnU-Net loaded already, and read the model folder."""
    job.write_settings()
    networks_of = importlib.import_module(f"algorithms.{job.algorithm}.train").networks_of
    train_member(
        job.root,
        {**os.environ, **job.environment()},
        manifest_of(job.algorithm),
        networks_of,
        stop_requested=lambda: False,
    )
    return job.files()


def weights(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files of weights of the last epoch."""
    return {name: content for name, content in files.items() if name.endswith("weights-final.npz")}


@pytest.fixture(scope="module", params=ALGORITHMS)
def algorithm(request):
    """One after the other."""
    return request.param


@pytest.fixture(scope="module")
def first(preprocessed, algorithm, tmp_path_factory):
    """A training as it comes."""
    job = Job(tmp_path_factory.mktemp("first"), algorithm, "train", smoke_settings(algorithm))
    return trained_files(job.link("opt/ml/input/data/preprocessed", preprocessed(algorithm)))


class TestStreams:
    def test_nothing_varied(self, train_job, algorithm, first):
        """
        The same seeds give the same bytes, weights and run.json alike.
        """
        assert trained_files(train_job(algorithm)) == first

    @pytest.mark.parametrize("stream", STREAMS)
    def test_one_varied(self, train_job, algorithm, first, stream):
        """
        Another seed in one stream alone gives other weights in every network.
        """
        job = train_job(algorithm)
        job.seeds[stream] += 1

        other, mine = weights(trained_files(job)), weights(first)

        assert other.keys() == mine.keys()
        assert all(other[name] != mine[name] for name in mine)

    def test_the_split_on_request(self, train_job, algorithm, first):
        """
        The stream `split` decides which cases are held out, and nothing else does.
        """
        job = train_job(algorithm, epochs="1")
        job.seeds["SPLIT"] += 4

        record = json.loads(trained_files(job)["run.json"])

        assert record["validation_cases"] != json.loads(first["run.json"])["validation_cases"]
