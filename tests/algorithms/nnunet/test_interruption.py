"""Trainings that are stopped and killed, and end as if nobody had."""

from __future__ import annotations

import json
import signal

import pytest

from tests.algorithms.jobs import Job, wait_for
from tests.algorithms.nnunet.pipelines import smoke_settings

ALGORITHM = "hippocampus_segmentation"
LONG = {"epochs": "12", "iterations": "12"}
DEADLINE_S = 200


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
