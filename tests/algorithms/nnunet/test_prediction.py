"""Ensembles that stream their members, and cases larger than memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK
import torch

from algorithms.common.nnunet.inference import run_ensemble
from algorithms.common.nnunet.jobs import train_member
from algorithms.common.nnunet.segmentation import networks_of
from reseed.contracts.errors import UserError
from reseed.contracts.manifest import SettingValue
from tests.algorithms.jobs import PROJECT, Job
from tests.algorithms.nnunet.pipelines import manifest_of, smoke_settings
from tests.algorithms.nnunet.test_seeds import trained_files

ALGORITHM = "hippocampus_segmentation"
SETTINGS: dict[str, SettingValue] = {"weights": "final", "tile_voxels": 10**9}


@pytest.fixture(scope="module")
def model(preprocessed, tmp_path_factory):
    """A run of two members."""
    folder = tmp_path_factory.mktemp("model")
    for member in (0, 1):
        settings = smoke_settings(ALGORITHM, mirroring="false")
        job = Job(tmp_path_factory.mktemp("member"), ALGORITHM, "train", settings, member=member)
        trained_files(job.link("opt/ml/input/data/preprocessed", preprocessed(ALGORITHM)))
        shutil.copytree(job.paths.model, folder / f"member-{member}")
    return folder


@pytest.fixture(scope="module")
def scan():
    """A volume of noise with a bright body."""
    volume = np.random.default_rng(0).normal(100, 10, (1, 30, 40, 32)).astype(np.float32)
    volume[:, 8:24, 10:30, 8:24] += 80
    return volume


def probabilities(model, scan, **changes):
    ensemble = run_ensemble(model, {**SETTINGS, **changes}, device="cpu")
    return ensemble.probabilities(scan, (1.0, 1.0, 1.0)).foreground


class TestEnsemble:
    def test_mean_of_members(self, model, scan, tmp_path):
        """
        The ensemble's softmax is the mean of its members', each alone.
        """
        singles = []
        for member in (0, 1):
            alone = tmp_path / f"alone-{member}" / "member-0"
            shutil.copytree(model / f"member-{member}", alone)
            record = json.loads((alone / "run.json").read_text())
            (alone / "run.json").write_text(json.dumps({**record, "members": 1}))
            singles.append(probabilities(alone.parent, scan))

        mean = probabilities(model, scan)

        assert not np.allclose(singles[0], singles[1], atol=1e-3)
        assert np.allclose(mean, (singles[0] + singles[1]) / 2, atol=1e-6)

    def test_one_member_in_memory(self, model, scan, monkeypatch):
        """
        Weights are read once a member and case, and only one set is held.
        """
        ensemble = run_ensemble(model, SETTINGS, device="cpu")
        held = [
            value
            for value in vars(ensemble).values()
            if isinstance(value, dict) and any(isinstance(each, np.ndarray) for each in value.values())
        ]
        parameters = sum(value.numel() for value in ensemble._predictor.network.parameters())

        assert held == []
        assert ensemble._predictor.list_of_parameters is None
        ensemble.probabilities(scan, (1.0, 1.0, 1.0))
        assert sum(value.numel() for value in ensemble._predictor.network.parameters()) == parameters

    def test_slabs_change_nothing(self, model, scan):
        """
        A network of slices gives the same in slabs; the surroundings of a slab play no part.
        """
        assert np.array_equal(probabilities(model, scan), probabilities(model, scan, tile_voxels=4096))

    def test_missing_member(self, model, tmp_path):
        """
        A run with a member missing is another method, and refused.
        """
        shutil.copytree(model / "member-0", tmp_path / "member-0")

        with pytest.raises(UserError, match=r"must hold all members of one run, \[2\], got 1"):
            run_ensemble(tmp_path, SETTINGS, device="cpu")

    def test_changed_weights(self, model, tmp_path):
        """
        Weights that are not those that were trained are refused.
        """
        shutil.copytree(model, tmp_path / "model")
        with (tmp_path / "model/member-1/weights-best.npz").open("ab") as stream:
            stream.write(b" ")

        with pytest.raises(UserError, match=r"member-1.weights-best.npz: must have SHA-256"):
            run_ensemble(tmp_path / "model", SETTINGS, device="cpu")


def test_precision_of_the_training(preprocessed, scan, tmp_path):
    """
    A member is trained and predicts in the precision of its settings; other work in the process is not.
    """
    settings = smoke_settings(ALGORITHM, precision="bfloat16", epochs="1", iterations="1")
    job = Job(tmp_path / "job", ALGORITHM, "train", settings, members=1)
    job.link("opt/ml/input/data/preprocessed", preprocessed(ALGORITHM)).write_settings()
    seen = {}

    def look(what):
        seen[what] = torch.get_autocast_dtype("cuda")

    train_member(
        job.root,
        {**os.environ, **job.environment()},
        manifest_of(ALGORITHM),
        networks_of,
        stop_requested=lambda: bool(look("training")),
    )
    shutil.copytree(job.paths.model, tmp_path / "model/member-0")
    ensemble = run_ensemble(tmp_path / "model", SETTINGS, device="cpu")
    ensemble._predictor.network.register_forward_hook(lambda *_: look("prediction"))
    ensemble.probabilities(scan, (1.0, 1.0, 1.0))

    assert seen == {"training": torch.bfloat16, "prediction": torch.bfloat16}
    assert torch.get_autocast_dtype("cuda") == torch.float16


_LIMITED = """
import resource, sys
import numpy as np, torch
from pathlib import Path
from algorithms.common.entry_point import run_entry_point
from algorithms.common.nnunet.inference import run_ensemble
def main(root, environment):
    torch.set_num_threads(1)
    settings = {"weights": "final", "tile_voxels": int(sys.argv[2])}
    ensemble = run_ensemble(Path(sys.argv[1]), settings, device="cpu")
    small = np.zeros((1, 4, 48, 48), dtype=np.float32); small[:, :, 8:, 8:] = 1
    ensemble.probabilities(small, (1.0, 1.0, 1.0))
    scan = np.random.default_rng(0).normal(size=(1, 4000, 32, 32)).astype(np.float32)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + int(sys.argv[3]) * 2**20,) * 2)
    print(ensemble.probabilities(scan, (1.0, 1.0, 1.0)).labels().shape)
run_entry_point(main, leaves_failure_file=False)
"""


def test_a_case_larger_than_memory(model, tmp_path):
    """
    Under a limit at which the whole case at once fails with the setting to change, slabs go through.
    """
    shutil.copytree(model / "member-0", tmp_path / "member-0")
    record = json.loads((tmp_path / "member-0/run.json").read_text())
    (tmp_path / "member-0/run.json").write_text(json.dumps({**record, "members": 1}))

    def run(tile_voxels, limit_mib):
        return subprocess.run(
            [sys.executable, "-c", _LIMITED, str(tmp_path), str(tile_voxels), str(limit_mib)],
            cwd=PROJECT, capture_output=True, text=True, timeout=500, check=False,
        )  # fmt: skip

    whole, slabs = run(10**9, 75), run(10**5, 75)

    assert whole.returncode == 1, whole.stderr
    assert whole.stderr.splitlines()[-1].startswith("out of memory: lower tile_voxels, which is 1000000000")
    assert slabs.returncode == 0, slabs.stderr
    assert slabs.stdout.strip() == "(4000, 32, 32)"


@pytest.fixture(scope="module")
def cases(dataset):
    """Test cases as `predict` finds them."""
    return dataset(ALGORITHM) / "test/cases"


class TestInferenceJob:
    def test_one_case_and_many(self, model, cases, tmp_path):
        """
        A case alone, as on a platform, and among others gives the same labels on its own grid.
        """
        name = "images/hippocampus-segmentation/output.mha"
        many = Job(tmp_path / "many", ALGORITHM, "inference").link("input", cases)
        alone = Job(tmp_path / "alone", ALGORITHM, "inference").link("input", cases / "phantom-006")
        for job in (many, alone):
            job.link("opt/ml/model", model)
            assert job.run() == (0, "")

        written = many.root / "output/phantom-006/output" / name
        assert (alone.root / "output" / name).read_bytes() == written.read_bytes()
        assert sorted(path.name for path in (many.root / "output").iterdir()) == [
            "phantom-006",
            "phantom-007",
        ]
        (source,) = (cases / "phantom-006/images/t1-brain-mri").iterdir()
        labels, image = SimpleITK.ReadImage(str(written)), SimpleITK.ReadImage(str(source))
        assert labels.GetOrigin() == image.GetOrigin()
        assert labels.GetSize() == image.GetSize()
        assert set(np.unique(SimpleITK.GetArrayFromImage(labels))) <= {0, 1, 2}

    def test_bad_image(self, model, cases, tmp_path):
        """
        A voxel that is no number ends the job with one line that names the case.
        """
        shutil.copytree(cases / "phantom-006", tmp_path / "input/odd")
        (path,) = (tmp_path / "input/odd/images/t1-brain-mri").iterdir()
        voxels = np.zeros((4, 4, 4), dtype=np.float32)
        voxels[0] = np.nan
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(voxels), str(path))
        job = Job(tmp_path / "job", ALGORITHM, "inference").link("opt/ml/model", model)
        job.link("input", tmp_path / "input")

        code, stderr = job.run()

        assert code == 1
        assert stderr == "case 'odd': phantom-006.mha must hold finite numbers, and has NaN or infinity\n"
