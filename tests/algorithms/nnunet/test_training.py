"""Trainings in this process: workers, losses, fine-tuning, and where nnU-Net finds the trainer."""

from __future__ import annotations

import json

import numpy as np
import pytest
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

from algorithms.common.arrays import ArrayFile, array_file_bytes, read_array_file
from algorithms.common.nnunet.environment import EXTERNAL_TRAINERS, Folders, nnunet_environment
from algorithms.common.nnunet.segmentation import DATASET
from algorithms.common.nnunet.settings import TrainSettings
from algorithms.common.nnunet.trainer import ReseedTrainer
from algorithms.common.nnunet.training import NetworkTask
from reseed.contracts.errors import UserError
from reseed.contracts.seeds import Seeds
from tests.algorithms.jobs import Job
from tests.algorithms.nnunet.pipelines import manifest_of, smoke_settings
from tests.algorithms.nnunet.test_seeds import trained_files, weights

ALGORITHM = "hippocampus_segmentation"


@pytest.fixture(scope="module")
def first(preprocessed, tmp_path_factory):
    """A training as it comes."""
    job = Job(tmp_path_factory.mktemp("first"), ALGORITHM, "train", smoke_settings(ALGORITHM))
    trained_files(job.link("opt/ml/input/data/preprocessed", preprocessed(ALGORITHM)))
    return job


def test_trainer_is_found_by_nnunet():
    """
    nnU-Net's own search finds the trainer in the folder that `nnUNet_extTrainer` names.
    """
    found = recursive_find_python_class(
        str(EXTERNAL_TRAINERS), "ReseedTrainer", None, base_folder=str(EXTERNAL_TRAINERS)
    )

    assert issubclass(found, nnUNetTrainer)


@pytest.mark.parametrize("n_workers", [1, 3])
def test_workers_change_nothing(train_job, first, n_workers):
    """
    Batches made by one or three other processes are those made by this one, in the same order.
    """
    assert weights(trained_files(train_job(ALGORITHM, workers=str(n_workers)))) == weights(first.files())


@pytest.mark.parametrize(
    "change", [{"loss": "ce"}, {"loss": "focal_ce"}, {"mirroring": "false"}, {"best_by": "detection"}]
)
def test_settings_reach_the_training(train_job, first, change):
    """
    Losses and mirroring change the weights; how the best epoch is chosen leaves the last one alone.
    """
    files = trained_files(train_job(ALGORITHM, **change))

    assert (weights(files) == weights(first.files())) == ("best_by" in change)
    network = json.loads(files["network.json"])
    assert (network["mirror_axes"] is None) == ("mirroring" in change)


@pytest.mark.parametrize(
    ("names", "lesion"), [(("pancreas", "cancer"), [2]), (("cancer", "pancreas"), [1]), (("a", "b"), [1])]
)
def test_best_by_detection_of_the_lesion(preprocessed, tmp_path, names, lesion):
    """
    What the best epoch detects is the label with the name of a lesion, the first one where none has.
    """
    folder = preprocessed(ALGORITHM)
    task = NetworkTask(DATASET, folder, (), ())
    dataset_json = task.dataset_json()
    dataset_json["labels"] = {"background": 0, names[0]: 1, names[1]: 2}
    given = manifest_of(ALGORITHM).resolved_settings({"best_by": "detection"}, stage="train")
    plans = {**task.plans(), "continue_training": False}
    (configuration,) = plans["configurations"]
    with nnunet_environment(Folders(tmp_path, folder, tmp_path), log=tmp_path / "log"):
        trainer = ReseedTrainer(plans, configuration, 0, dataset_json)
    trainer.prepare(
        TrainSettings.of(given),
        Seeds(weights=1, order=2, augmentation=3, dropout=4, split=5),
        split=([], []),
        n_workers=0,
        stop_requested=lambda: False,
        after_epoch=lambda: None,
    )

    assert trainer.detections is not None
    assert trainer.detections.lesion == lesion


def test_fine_tuning(train_job, first):
    """
    A training that starts from weights says so in run.json, with their digest; its weights are others.
    """
    file = first.paths.model / "weights-final.npz"
    job = train_job(ALGORITHM, initial_weights="base.npz", learning_rate="0.0000001", weight_decay="0")
    (job.root / "opt/ml/input/data/initial_weights").mkdir()
    (job.root / "opt/ml/input/data/initial_weights/base.npz").symlink_to(file)

    files = trained_files(job)

    record = json.loads(files["run.json"])
    digest = json.loads(first.files()["run.json"])["weights"]["weights-final.npz"]
    assert record["initial_weights"] == digest
    assert record["networks"]["."]["initial_weights"]["left_random"] == []
    before, after = (read_array_file(path).arrays for path in (file, job.paths.model / "weights-final.npz"))
    assert all(np.allclose(before[name], after[name], atol=1e-4) for name in before)
    assert any(not np.array_equal(before[name], after[name]) for name in before)


def test_unfitting_initial_weights(train_job, tmp_path):
    """
    Weights that are not there stop the training with one line.
    """
    with pytest.raises(UserError, match=r"initial_weights: .*no-such.npz: no such file"):
        trained_files(train_job(ALGORITHM, initial_weights=str(tmp_path / "no-such.npz")))


def test_loss_that_is_no_number(train_job, first):
    """
    A loss that is not finite stops the training and names the setting.
    """
    arrays = read_array_file(first.paths.model / "weights-final.npz").arrays
    job = train_job(ALGORITHM, initial_weights="broken.npz")
    broken = job.root / "opt/ml/input/data/initial_weights/broken.npz"
    broken.parent.mkdir()
    broken.write_bytes(array_file_bytes(ArrayFile({name: array * np.nan for name, array in arrays.items()})))

    with pytest.raises(UserError, match=r"the loss must stay finite, got nan .* lower learning_rate"):
        trained_files(job)
