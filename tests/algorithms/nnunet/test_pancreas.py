"""The two stages of the pancreas: regions, narrow scans, and one training for two algorithms."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import SimpleITK

from algorithms.common.images import array_of
from algorithms.common.pancreas import RegionSettings, boxed, check_tumour, networks_of, structure_values
from algorithms.pdac_detection.preprocess import preprocess
from reseed.contracts.containers import TrainingPaths
from reseed.contracts.errors import UserError
from reseed.contracts.manifest import SettingValue
from tests.algorithms.jobs import Job
from tests.algorithms.nnunet.pipelines import manifest_of, smoke_settings
from tests.algorithms.nnunet.test_seeds import trained_files

REGIONS: dict[str, SettingValue] = {
    "two_stage": True,
    "lowres_spacing": "9x4.5x4.5",
    "margin_mm": "15x50x100",
}


class TestRegions:
    @pytest.fixture
    def scan(self):
        image = SimpleITK.Image((200, 180, 60), SimpleITK.sitkFloat32)
        image.SetSpacing((2.0, 2.0, 5.0))
        return image

    def test_margin_in_mm(self, scan):
        """
        The gland and its margin, cut off at the border of the scan.
        """
        gland = np.zeros((60, 180, 200), dtype=bool)
        gland[20:25, 80:90, 30:40] = True

        box = RegionSettings.of(REGIONS).box(gland, scan)

        assert box == (slice(17, 28), slice(55, 115), slice(0, 90))
        assert boxed(scan, box).GetSize() == (90, 60, 11)
        assert boxed(scan, box).GetOrigin() == (0.0, 110.0, 85.0)

    def test_nothing_found(self, scan):
        """
        A scan in which no pancreas is found is looked at as a whole.
        """
        box = RegionSettings.of(REGIONS).box(np.zeros((60, 180, 200), dtype=bool), scan)

        assert box == (slice(0, 60), slice(0, 180), slice(0, 200))

    @pytest.mark.parametrize("value", ["", "4.5x4.5"])
    def test_spacing_needs_three_numbers(self, value):
        """
        Two numbers are not enough for a volume.
        """
        with pytest.raises(UserError, match="setting 'lowres_spacing' must be three numbers"):
            RegionSettings.of({**REGIONS, "lowres_spacing": value})


def test_structures_by_name():
    """
    Labels are found by their names, whichever of them a dataset has.
    """
    labels = {"background": 0, "cancer": 2, "pancreas": 1, "veins": 3}

    assert structure_values(labels, ("pancreas", "duct", "tumour", "lesion", "cancer")) == [1, 2]


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (["pancreas", "cancer"], "background 0, pancreas 1, cancer 2"),
        (["tumour", "cancer"], "background 0, tumour 1, cancer 2"),
    ],
)
def test_tumour_of_the_task(dataset, tmp_path, labels, found):
    """
    Where the tumour is not the value that the task takes for the lesion, a detection would be of
    something else.
    """
    paths = TrainingPaths(tmp_path)
    folder = shutil.copytree(dataset("pdac_detection") / "training", paths.channel("training"))
    document = json.loads((folder / "dataset.json").read_text())
    document["labels"] = {"background": 0, **{name: value for value, name in enumerate(labels, start=1)}}
    (folder / "dataset.json").write_text(json.dumps(document))

    message = f"a label named tumour or tumor or lesion or cancer must have the value 1, .* got {found}"
    with pytest.raises(UserError, match=message):
        preprocess(paths, {}, n_processes=1)


@pytest.mark.parametrize("labels", [{"pancreas": 1}, {"cancer": 1, "pancreas": 2}, {"tumor": 1}])
def test_tumour_of_the_task_or_none(labels):
    """
    A dataset without a tumour passes: pancreas_segmentation has its trainings prepared here, too.
    """
    check_tumour({"background": 0, **labels}, 1)


def test_networks():
    """
    Two stages are two networks, one stage one.
    """
    assert [each.folder for each in networks_of({"two_stage": True})] == ["lowres", "region"]
    assert [each.folder for each in networks_of({"two_stage": False})] == ["region"]


def test_one_training_for_both():
    """
    Every setting of preprocess and train has the same rule and default in both manifests.
    """
    ours, theirs = manifest_of("pdac_detection"), manifest_of("pancreas_segmentation")

    for stage in ("preprocess", "train"):
        rules = [
            {key: rule for key, rule in manifest.hyperparameters.items() if stage in rule.stages}
            for manifest in (ours, theirs)
        ]
        assert rules[0] == rules[1]
    assert ours.profiles["smoke"] == theirs.profiles["smoke"]
    assert ours.hyperparameters["weights"].default == "best"
    assert theirs.hyperparameters["weights"].default == "final"


@pytest.fixture(scope="module")
def preprocessed_apart(dataset, tmp_path_factory):
    """Patches of two sizes, as at the defaults, so that the two networks have other layers."""
    settings = smoke_settings("pdac_detection", lowres_patch="32x32x32")
    job = Job(tmp_path_factory.mktemp("apart"), "pdac_detection", "preprocess", settings)
    job.link("opt/ml/input/data/training", dataset("pdac_detection") / "training")
    assert job.run() == (0, "")
    return job.paths.output_data


@pytest.fixture(scope="module")
def job_from(preprocessed_apart, tmp_path_factory):
    """A maker of trainings that start from a file, or from random weights."""

    def make(initial: str = "") -> Job:
        settings = smoke_settings("pdac_detection", epochs="1", iterations="1", initial_weights=initial)
        job = Job(tmp_path_factory.mktemp("train"), "pdac_detection", "train", settings)
        return job.link("opt/ml/input/data/preprocessed", preprocessed_apart)

    return make


@pytest.fixture(scope="module")
def base(job_from):
    """The model folder of a training from random weights."""
    job = job_from()
    trained_files(job)
    return job.paths.model


class TestFineTuning:
    def test_region_alone(self, base, job_from):
        """
        The network of the region starts from the file, the other one from random weights; run.json says so.
        """
        files = trained_files(job_from(str(base / "region/weights-final.npz")))

        networks = json.loads(files["run.json"])["networks"]
        assert networks["lowres"]["initial_weights"] is None
        assert networks["region"]["initial_weights"]["left_random"] == []

    def test_refused_before_the_first_epoch(self, base, job_from):
        """
        A file that does not fit the second network is refused before the first one is trained.
        """
        job = job_from(str(base / "lowres/weights-final.npz"))

        with pytest.raises(UserError, match=r"initial_weights: weights-final.npz does not fit: "):
            trained_files(job)

        assert not job.paths.checkpoints.exists()


@pytest.fixture(scope="module")
def model(preprocessed, tmp_path_factory):
    """A run of one member of pdac_detection."""
    job = Job(
        tmp_path_factory.mktemp("pdac"),
        "pdac_detection",
        "train",
        smoke_settings("pdac_detection"),
        members=1,
    )
    job.link("opt/ml/input/data/preprocessed", preprocessed("pdac_detection"))
    trained_files(job)
    folder = tmp_path_factory.mktemp("model")
    shutil.copytree(job.paths.model, folder / "member-0")
    return folder


def test_two_algorithms_predict_from_it(model, dataset, tmp_path):
    """
    Both inference entry points read the same model folder; a scan of three columns, fewer than the
    coarse grid has, goes through both, and every result lies on its scan's grid.
    """
    cases = tmp_path / "cases"
    shutil.copytree(dataset("pdac_detection") / "test/cases/phantom-007", cases / "usual")
    shutil.copytree(cases / "usual", cases / "narrow")
    (path,) = (cases / "narrow/images/venous-ct").iterdir()
    scan = SimpleITK.ReadImage(str(path))
    SimpleITK.WriteImage(scan[20:23], str(path))
    results = {}
    for algorithm in ("pdac_detection", "pancreas_segmentation"):
        job = Job(tmp_path / algorithm, algorithm, "inference").link("opt/ml/model", model)
        assert job.link("input", cases).run() == (0, "")
        results[algorithm] = job.root / "output"

    for case, grid in (("usual", scan), ("narrow", scan[20:23])):
        for algorithm, output in (
            ("pdac_detection", "pdac-detection-map"),
            ("pancreas_segmentation", "pancreas-segmentation"),
        ):
            written = SimpleITK.ReadImage(
                str(results[algorithm] / case / "output/images" / output / "output.mha")
            )
            assert written.GetSize() == grid.GetSize()
            assert written.GetOrigin() == pytest.approx(grid.GetOrigin())
            assert np.isfinite(array_of(written)).all()
        assert (results["pdac_detection"] / case / "output/pdac-likelihood.json").is_file()
