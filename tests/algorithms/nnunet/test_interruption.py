"""Trainings that are stopped and killed, and end as if nobody had."""

from __future__ import annotations

import json
import os
import signal
import time

import numpy as np
import pytest

from algorithms.common.arrays import ArrayFile, array_file_bytes, read_array_file
from tests.algorithms.jobs import Job, processes_of, wait_for
from tests.algorithms.nnunet.pipelines import smoke_settings
from tests.algorithms.nnunet.test_seeds import weights

ALGORITHM = "hippocampus_segmentation"
LONG = {"epochs": "12", "iterations": "12"}
DEADLINE_S = 200
END_S = 60
"""In which a training with workers ends, whatever the machine does beside it."""


@pytest.fixture(scope="module")
def undisturbed(preprocessed, tmp_path_factory):
    """A training that nobody stopped, in a process of its own."""
    job = Job(tmp_path_factory.mktemp("undisturbed"), ALGORITHM, "train", smoke_settings(ALGORITHM, **LONG))
    job.link("opt/ml/input/data/preprocessed", preprocessed(ALGORITHM))
    assert job.run() == (0, "")
    return job


def test_model_folder(undisturbed):
    """
    run.json says all that the weights depend on, what nobody set, and no time.
    """
    record = json.loads(undisturbed.files()["run.json"])

    assert sorted(undisturbed.files()) == [
        "dataset.json", "network.json", "plans.json", "preparation.json", "run.json", "weights-best.npz",
        "weights-final.npz",
    ]  # fmt: skip
    assert record["settings"]["loss"] == "dice_ce"
    assert record["seeds"] == {"weights": 11, "order": 12, "augmentation": 13, "dropout": 0, "split": 15}
    assert record["computation"]["deterministic_algorithms"] is True
    assert record["computation"]["autocast"] is None
    resolved = record["resolved"]
    assert resolved["optimiser"]["parameters"]["momentum"] == 0.99
    assert resolved["library_defaults"]["version of nnunetv2"].startswith("2.8")
    assert {"name": "MirrorTransform"}.items() <= resolved["augmentation"][-3].items()
    assert len(record["networks"]["."]["curve"]) == 12


def test_sigkill(train_job, undisturbed):
    """
    Killed in mid-training, once a checkpoint is there, and started again: the same bytes.
    """
    killed = train_job(ALGORITHM, **LONG)
    process = killed.start()
    wait_for((killed.paths.checkpoints / "checkpoint.npz").exists, process, deadline_s=DEADLINE_S)
    process.kill()
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == -signal.SIGKILL
    assert not killed.paths.model.exists()

    assert killed.run() == (0, "")

    assert '"resumed"' in killed.log.read_text()
    assert killed.files() == undisturbed.files()


def test_sigterm(train_job, undisturbed):
    """
    SIGTERM leaves a checkpoint of the iteration at hand and exits with 143; a training that is started
    again ends with the same bytes.
    """
    stopped = train_job(ALGORITHM, **LONG)
    process = stopped.start()
    wait_for(lambda: '"event": "epoch"' in stopped.log.read_text(), process, deadline_s=DEADLINE_S)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 143
    assert stderr.startswith("interrupted: checkpoint in epoch ")

    assert stopped.run() == (0, "")

    assert '"resumed"' in stopped.log.read_text()
    assert stopped.files() == undisturbed.files()


def test_another_seeds_checkpoint(train_job, undisturbed):
    """
    A checkpoint left under other seeds is refused, not mixed in.
    """
    other = train_job(ALGORITHM, **LONG)
    other.seeds["ORDER"] += 1
    other.link("opt/ml/checkpoints", undisturbed.paths.checkpoints)

    code, stderr = other.run()

    assert code == 1
    assert "was left by a training with other settings" in stderr.splitlines()[-1]


class TestWorkers:
    """Trainings whose batches are made by other processes, which end with them."""

    @pytest.fixture
    def started(self, train_job):
        """A training in its first epochs, with its process; nothing of it is left running."""
        job = train_job(ALGORITHM, workers="1", **LONG)
        process = job.start()
        wait_for(lambda: '"event": "epoch"' in job.log.read_text(), process, deadline_s=DEADLINE_S)
        # itself, and one worker for each kind of batches
        assert len(processes_of(job)) == 3
        yield job, process
        for number in processes_of(job):
            os.kill(number, signal.SIGKILL)
        process.communicate()

    def assert_none_left(self, job):
        deadline = time.monotonic() + END_S
        while left := processes_of(job):
            assert time.monotonic() < deadline, left
            time.sleep(0.05)

    @pytest.mark.parametrize("all_processes", [False, True])
    def test_sigterm(self, started, undisturbed, all_processes):
        """
        SIGTERM, to the training or to all its processes as some schedulers send it, ends them all, and
        a training that is started again ends with the same weights.
        """
        job, process = started
        workers = [number for number in processes_of(job) if number != process.pid]
        process.send_signal(signal.SIGTERM)
        for number in workers if all_processes else ():
            os.kill(number, signal.SIGTERM)

        _, stderr = process.communicate(timeout=END_S)

        assert process.returncode == 143
        assert stderr.splitlines()[-1].startswith("interrupted: checkpoint in epoch ")
        assert processes_of(job) == []
        assert job.run() == (0, "")
        assert '"resumed"' in job.log.read_text()
        assert weights(job.files()) == weights(undisturbed.files())

    def test_sigkill(self, started):
        """
        Workers whose training was killed end by themselves.
        """
        job, process = started

        process.kill()
        process.wait(timeout=END_S)

        self.assert_none_left(job)

    def test_failure(self, train_job, undisturbed):
        """
        A step that fails ends the training and its workers, with the failure file.
        """
        arrays = read_array_file(undisturbed.paths.model / "weights-final.npz").arrays
        job = train_job(ALGORITHM, workers="1", initial_weights="broken.npz")
        broken = job.root / "opt/ml/input/data/initial_weights/broken.npz"
        broken.parent.mkdir()
        content = ArrayFile({name: array * np.nan for name, array in arrays.items()})
        broken.write_bytes(array_file_bytes(content))
        process = job.start()
        try:
            _, stderr = process.communicate(timeout=DEADLINE_S)
        finally:
            for number in processes_of(job):
                os.kill(number, signal.SIGKILL)

        assert process.returncode == 1
        assert "the loss must stay finite" in stderr.splitlines()[-1]
        assert job.paths.failure.read_text() == f"{stderr.splitlines()[-1]}\n"
