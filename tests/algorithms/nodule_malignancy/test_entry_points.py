"""preprocess, train and inference as the processes that an executor starts."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest

from reseed.contracts.digests import file_digest, folder_digest
from reseed.contracts.environment import ProgramEnvironment
from reseed.contracts.training_report import ResolvedTraining
from tests.algorithms.jobs import Job, wait_for
from tests.algorithms.nodule_malignancy.conftest import ALGORITHM, ball, write_case

DEADLINE_S = 120
LONG = {"dimension": "3", "channels": "4", "epochs": "240"}


@pytest.fixture(scope="module")
def undisturbed(preprocessed, tmp_path_factory):
    """A training that nobody stopped."""
    job = Job(tmp_path_factory.mktemp("undisturbed"), ALGORITHM, "train", LONG, members=3)
    job.link("opt/ml/input/data/preprocessed", preprocessed[3])
    assert job.run() == (0, "")
    return job


@pytest.fixture(scope="module")
def model(preprocessed, tmp_path_factory):
    """A run of two members."""
    folder = tmp_path_factory.mktemp("model")
    for member in (0, 1):
        settings = {"channels": "4", "epochs": "4", "learning_rate": "0.01"}
        job = Job(tmp_path_factory.mktemp("member"), ALGORITHM, "train", settings, member=member)
        job.link("opt/ml/input/data/preprocessed", preprocessed[2])
        assert job.run() == (0, "")
        (folder / f"member-{member}").symlink_to(job.ml / "model")
    return folder


class TestPreprocess:
    def test_same_bytes(self, job, training_channel, preprocessed):
        """
        Done twice, with other seeds, the output is the same to the byte.
        """
        first = job("preprocess", channels=[("training", training_channel)], settings={"dimension": "2"})
        first.seeds = dict.fromkeys(first.seeds, 99)

        assert first.run() == (0, "")

        assert folder_digest(first.ml / "output/data") == folder_digest(preprocessed[2])

    def test_missing_image(self, job, training_channel, tmp_path):
        """
        A case without its image fails with one line, on stderr and in the failure file.
        """
        (tmp_path / "channel/images").mkdir(parents=True)
        (tmp_path / "channel/reference.csv").write_text("case,patient,label\nc1,P1,0\n")
        failing = job("preprocess", channels=[("training", tmp_path / "channel")])

        code, stderr = failing.run()

        assert code == 1
        assert stderr == "case 'c1': c1.mha is not a readable image\n"
        assert (failing.ml / "output/failure").read_text() == stderr

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            ("case,label\n", "must have columns case, patient, label; missing patient"),
            ("case,patient,label\nc1,P1,2\n", "case 'c1': label must be 0 or 1, got '2'"),
            ("case,patient,label\nc1,P1,1\nc1,P1,0\n", "case 'c1' is given twice"),
        ],
    )
    def test_bad_tables(self, tmp_path, table, message):
        """
        A reference table that breaks its rules is refused, with the case.
        """
        from algorithms.nodule_malignancy.preprocessed import read_labelled_cases
        from reseed.contracts.errors import UserError

        (tmp_path / "reference.csv").write_text(table)

        with pytest.raises(UserError, match=message):
            read_labelled_cases(tmp_path / "reference.csv")


class TestTrain:
    def test_model_folder(self, undisturbed):
        """
        run.json says all that the weights depend on, and no time.
        """
        record = json.loads((undisturbed.ml / "model/run.json").read_text())

        assert sorted(undisturbed.files()) == ["run.json", "weights.npz"]
        assert record["seeds"] == {"weights": 11, "order": 12, "augmentation": 13, "dropout": 0, "split": 15}
        assert record["settings"]["dropout"] == 0.2
        assert (record["member"], record["members"]) == (0, 3)
        assert len(record["curve"]) == 240
        assert record["computation"]["deterministic_algorithms"] is True
        assert record["computation"]["n_threads"] == 1
        assert record["weights"] == {"weights.npz": file_digest(undisturbed.ml / "model/weights.npz")}

    def test_report(self, undisturbed):
        """
        run.json also says what nobody set, and in what the training ran, by their contracts.
        """
        record = json.loads((undisturbed.ml / "model/run.json").read_text())

        resolved = ResolvedTraining.model_validate(record["resolved"])
        environment = ProgramEnvironment.model_validate(record["environment"])

        assert resolved.optimiser is not None
        assert resolved.optimiser.parameters["betas"] == [0.9, 0.999]
        layers = record["resolved"]["network"]["parameters"]["layers"]
        assert layers["features.1"] == {
            "type": "BatchNorm3d", "num_features": 4, "eps": 1e-05, "momentum": 0.1,
            "affine": True, "track_running_stats": True,
        }  # fmt: skip
        assert layers["features.6"]["stride"] == [1, 1, 1]
        assert layers["dropout"] == {"type": "Dropout", "p": 0.2}
        assert resolved.split is not None
        assert resolved.split.parameters == {"n_folds": 3, "held_out_fold": 0}
        assert environment.packages["torch"] == record["computation"]["torch"]
        assert environment.variables["OMP_NUM_THREADS"] == "1"
        assert {"cuda", "tf32_cudnn", "autocast", "onednn"} <= set(record["computation"])

    def test_curve(self, undisturbed):
        """
        The training curve is a CSV with a row for each epoch.
        """
        lines = (undisturbed.ml / "output/data/training_curve.csv").read_text().splitlines()

        assert lines[0] == "epoch,learning_rate,training_loss,validation_loss,validation_auc"
        assert len(lines) == 241

    def test_sigterm(self, job, preprocessed, undisturbed):
        """
        SIGTERM leaves a checkpoint and exits with 143; started again, the model folder is the same
        to the byte as that of a training nobody stopped.
        """
        stopped = job("train", channels=[("preprocessed", preprocessed[3])], settings=LONG)
        process = stopped.start()
        wait_for(lambda: '"epoch": 5,' in stopped.log.read_text(), process, deadline_s=DEADLINE_S)
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=DEADLINE_S)

        assert process.returncode == 143
        assert stderr.startswith("interrupted: checkpoint in epoch ")
        assert not (stopped.ml / "model").exists()
        assert not (stopped.ml / "output/failure").exists()

        assert stopped.run() == (0, "")
        assert '"resumed"' in stopped.log.read_text()
        assert stopped.files() == undisturbed.files()

    def test_sigkill(self, job, preprocessed, undisturbed):
        """
        SIGKILL, once a first checkpoint is there, changes no byte either.
        """
        killed = job("train", channels=[("preprocessed", preprocessed[3])], settings=LONG)
        process = killed.start()
        wait_for((killed.ml / "checkpoints/checkpoint.npz").exists, process, deadline_s=DEADLINE_S)
        process.kill()
        process.communicate(timeout=DEADLINE_S)
        assert process.returncode == -signal.SIGKILL
        assert not (killed.ml / "model").exists()

        assert killed.run() == (0, "")
        assert '"resumed"' in killed.log.read_text()
        assert killed.files() == undisturbed.files()

    def test_another_seeds_checkpoint(self, job, preprocessed, undisturbed):
        """
        A checkpoint left under other seeds is refused, not mixed in.
        """
        other = job(
            "train",
            channels=[("preprocessed", preprocessed[3])],
            settings={"dimension": "3", "epochs": "1"},
        )
        (other.ml / "checkpoints").symlink_to(undisturbed.ml / "checkpoints")

        code, stderr = other.run()

        assert code == 1
        assert "was left by a training with other settings" in stderr.splitlines()[-1]

    def test_unknown_setting(self, job, preprocessed):
        """
        A misspelt setting fails before any training, in one line.
        """
        failing = job("train", channels=[("preprocessed", preprocessed[2])], settings={"epoch": "1"})

        code, stderr = failing.run()

        assert code == 1
        assert len(stderr.splitlines()) == 1
        assert "has no setting 'epoch'" in stderr
        assert (failing.ml / "output/failure").read_text() == stderr

    def test_preprocessed_for_another_dimension(self, job, preprocessed):
        """
        Arrays of the other dimension are refused.
        """
        failing = job("train", channels=[("preprocessed", preprocessed[2])], settings={"dimension": "3"})

        _, stderr = failing.run()

        assert "was preprocessed for dimension 2, and the setting is 3" in stderr


def _alone(ensemble, index, folder):
    """An ensemble of one of the members."""
    from algorithms.nodule_malignancy.model import Ensemble

    folder.mkdir()
    (folder / "member-0").symlink_to(ensemble.folder / f"member-{index}")
    return Ensemble(folder, (ensemble.records[index],), "cpu")


class TestInference:
    @pytest.fixture
    def inference(self, job, model):
        made = job("inference")
        (made.root / "opt/ml/model").symlink_to(model)
        return made

    def test_one_case_and_many(self, job, model, inference, tmp_path):
        """
        A case alone, as on a platform, and among others gives the same number; a large ball is
        more suspicious than a small one.
        """
        rng = np.random.default_rng(1)
        volumes = {"large": ball(11, rng), "small": ball(4, rng)}
        for case, voxels in volumes.items():
            write_case(inference.root / "input" / case, case, voxels)
        alone = job("inference")
        (alone.root / "opt/ml/model").symlink_to(model)
        write_case(tmp_path / "elsewhere", "large", volumes["large"])
        (alone.root / "input").symlink_to(tmp_path / "elsewhere")

        assert inference.run() == (0, "")
        assert alone.run() == (0, "")

        name = "lung-nodule-malignancy-likelihood.json"
        large, small = (
            json.loads((inference.root / "output" / case / "output" / name).read_text()) for case in volumes
        )
        assert 0 <= small < large <= 1
        assert json.loads((alone.root / "output" / name).read_text()) == large

    def test_bad_case(self, inference):
        """
        A volume on another grid ends the job with one line that names the case.
        """
        write_case(inference.root / "input/odd", "odd", np.zeros((8, 8, 8), dtype=np.uint8))

        code, stderr = inference.run()

        assert code == 1
        assert stderr.startswith(
            "case 'odd': the volume must be 32 × 32 × 32 voxels of 1.25 mm, got 8 × 8 × 8"
        )
        assert len(stderr.splitlines()) == 1

    def test_ensemble_is_the_mean(self, model, tmp_path):
        """
        The likelihood is the mean of the members' probabilities.
        """
        from algorithms.nodule_malignancy.model import read_ensemble

        ensemble = read_ensemble(model, device="cpu")
        patch = np.random.default_rng(0).random((3, 32, 32), dtype=np.float32)
        single = [_alone(ensemble, index, tmp_path / str(index)).likelihood(patch) for index in (0, 1)]

        assert len(single) == 2
        assert ensemble.likelihood(patch) == pytest.approx(np.mean(single))

    def test_incomplete_run(self, model, tmp_path):
        """
        A model with a member missing is refused: its ensemble is another method.
        """
        from algorithms.nodule_malignancy.model import read_ensemble
        from reseed.contracts.errors import UserError

        (tmp_path / "member-0").symlink_to(model / "member-0")

        with pytest.raises(UserError, match=r"must hold all members of one run, \[2\], got 1"):
            read_ensemble(tmp_path, device="cpu")
        with pytest.raises(UserError, match="must hold the members of a run"):
            read_ensemble(tmp_path / "empty", device="cpu")

    def test_changed_weights(self, model, tmp_path):
        """
        Weights that are not those of run.json are refused.
        """
        from algorithms.nodule_malignancy.model import read_ensemble
        from reseed.contracts.errors import UserError

        for index in (0, 1):
            (tmp_path / f"member-{index}").mkdir()
            for name in ("run.json", "weights.npz"):
                content = (model / f"member-{index}" / name).read_bytes()
                (tmp_path / f"member-{index}" / name).write_bytes(content)
        (tmp_path / "member-1/weights.npz").write_bytes(b"other")

        with pytest.raises(UserError, match=r"member-1/weights\.npz: must have SHA-256"):
            read_ensemble(tmp_path, device="cpu")
