"""preprocess, train and inference on CT, as the processes that an executor starts."""

from __future__ import annotations

import csv
import json
import signal

import numpy as np
import pytest
import SimpleITK

from algorithms.nodule_malignancy.description import LOCATIONS_SLUG, SCAN_SLUG, manifest, socket_of
from reseed.contracts.digests import folder_digest
from reseed.contracts.sockets import SocketValue
from reseed.contracts.training_report import ResolvedTraining
from tests.algorithms.jobs import Job, wait_for
from tests.algorithms.nodule_malignancy.conftest import ALGORITHM

SMOKE = {
    "network": "resnet50_planes9_and_i3d",
    "patch_voxels": "16",
    "width": "4",
    "epochs": "2",
    "batch_size": "8",
    "learning_rate": "0.001",
}
DEADLINE_S = 120


def scan(balls, rng):
    """Lungs with balls of 60 HU: centres in mm and radii."""
    voxels = rng.normal(-850, 30, (30, 40, 40))
    z, y, x = np.indices(voxels.shape) * 2.0
    for (at_x, at_y, at_z), radius in balls:
        voxels[(x - at_x) ** 2 + (y - at_y) ** 2 + (z - at_z) ** 2 < radius**2] = 60
    image = SimpleITK.GetImageFromArray(voxels.astype(np.int16))
    image.SetSpacing((2.0, 2.0, 2.0))
    return image


def write_case(folder, case, image, points):
    """A case as an algorithm meets it."""
    source, locations = (socket_of(manifest(), slug) for slug in (SCAN_SLUG, LOCATIONS_SLUG))
    (folder / source.relative_path).mkdir(parents=True)
    SimpleITK.WriteImage(image, str(folder / source.relative_path / f"{case}.mha"))
    document = {
        "type": "Multiple points",
        "points": [{"name": str(n), "point": p} for n, p in enumerate(points)],
    }
    (folder / locations.relative_path).write_text(json.dumps(document))
    values = [SocketValue.of(source, image_name=f"{case}.mha"), SocketValue.of(locations, value=document)]
    (folder / "inputs.json").write_text(json.dumps([value.model_dump(mode="json") for value in values]))


@pytest.fixture(scope="module")
def channel(tmp_path_factory):
    """Sixteen scans with two nodules each; large ones are malignant."""
    folder = tmp_path_factory.mktemp("ct")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for number in range(16):
        points = [(24.0, 30.0, 30.0), (56.0, 50.0, 28.0)]
        labels = [number % 2, 0]
        balls = [(point, 9 if label else 4) for point, label in zip(points, labels, strict=True)]
        SimpleITK.WriteImage(scan(balls, rng), str(folder / "images" / f"s{number:02}.mha"))
        rows += [
            [f"s{number:02}", f"p{number // 2}", n, *point, label]
            for n, (point, label) in enumerate(zip(points, labels, strict=True))
        ]
    with (folder / "nodules.csv").open("w", newline="") as stream:
        header = ["case", "patient", "nodule", "x_mm", "y_mm", "z_mm", "label"]
        csv.writer(stream).writerows([header, *rows])
    return folder


@pytest.fixture(scope="module")
def preprocessed(channel, tmp_path_factory):
    job = Job(tmp_path_factory.mktemp("preprocess"), ALGORITHM, "preprocess", {"patch_voxels": "16"})
    job.link("opt/ml/input/data/training", channel)
    assert job.run() == (0, "")
    return job.ml / "output/data"


def train_job(preprocessed, root, **changes):
    job = Job(root, ALGORITHM, "train", **{"settings": SMOKE, "members": 4, **changes})
    return job.link("opt/ml/input/data/preprocessed", preprocessed)


@pytest.fixture(scope="module")
def run(preprocessed, tmp_path_factory):
    """A mixed run: two ResNets and two I3Ds, each pair with two folds."""
    folder = tmp_path_factory.mktemp("run")
    for member in range(4):
        job = train_job(preprocessed, tmp_path_factory.mktemp("member"), member=member)
        assert job.run() == (0, "")
        (folder / f"member-{member}").symlink_to(job.ml / "model")
    return folder


class TestPreprocess:
    def test_same_bytes(self, channel, preprocessed, job):
        """
        Done twice, with other seeds, the output is the same to the byte.
        """
        again = job("preprocess", channels=[("training", channel)], settings={"patch_voxels": "16"})
        again.seeds = dict.fromkeys(again.seeds, 99)

        assert again.run() == (0, "")
        assert folder_digest(again.ml / "output/data") == folder_digest(preprocessed)

    @pytest.mark.parametrize(
        ("row", "words"),
        [
            ("s00,p0,1,5,5,5,2", "label must be 0 or 1, got '2'"),
            ("s00,p0,1,5,,5,1", "x_mm, y_mm and z_mm must be finite numbers"),
            ("s00,p0,1,500,5,5,1", "nodule '1' must lie inside the scan, is at 500, 5, 5 mm"),
            ("s99,p0,1,5,5,5,1", "case 's99': s99.mha is not a readable image"),
            ("s00,p0,1,5,5,5,1\ns00,p1,2,5,5,5,1", "case 's00' has two patients"),
            ("s00,p0,1,5,5,5,1\ns00,p0,1,6,5,5,1", "nodule '1' of case 's00' is given twice"),
        ],
    )
    def test_refusals(self, channel, tmp_path, row, words):
        """
        A table that breaks its rules, or a scan that does, is refused in one line.
        """
        from algorithms.nodule_malignancy.preprocess import nodule_cubes
        from algorithms.nodule_malignancy.preprocessed import read_labelled_nodules
        from reseed.contracts.errors import UserError

        (tmp_path / "nodules.csv").write_text(f"case,patient,nodule,x_mm,y_mm,z_mm,label\n{row}\n")

        with pytest.raises(UserError, match=words):
            list(nodule_cubes(channel, read_labelled_nodules(tmp_path / "nodules.csv"), patch_voxels=16))


class TestTrain:
    def test_record(self, run):
        """
        run.json says which half a member is of, and every choice that was made.
        """
        records = [json.loads((run / f"member-{index}" / "run.json").read_text()) for index in range(4)]
        resolved = [ResolvedTraining.model_validate(record["resolved"]) for record in records]

        assert [record["architecture"] for record in records] == ["resnet50_planes9"] * 2 + ["i3d"] * 2
        assert [each.split.parameters["held_out_fold"] for each in resolved if each.split] == [0, 1, 0, 1]
        assert records[0]["validation_cases"] == records[2]["validation_cases"]
        assert not set(records[0]["validation_cases"]) & set(records[1]["validation_cases"])
        assert records[0]["initial_weights"] is None
        assert resolved[0].optimiser is not None
        assert resolved[0].optimiser.name == "Adam"

    def test_sigkill(self, preprocessed, tmp_path_factory):
        """
        Killed in the middle and started again, a training ends with the bytes of one that nobody killed.
        """
        settings = SMOKE | {"network": "i3d", "epochs": "12"}
        undisturbed, killed = (
            train_job(preprocessed, tmp_path_factory.mktemp(name), settings=settings)
            for name in ("undisturbed", "killed")
        )
        assert undisturbed.run() == (0, "")
        process = killed.start()
        wait_for((killed.ml / "checkpoints/checkpoint.npz").exists, process, deadline_s=DEADLINE_S)
        process.kill()
        process.communicate(timeout=DEADLINE_S)
        assert process.returncode == -signal.SIGKILL
        assert not (killed.ml / "model").exists()

        assert killed.run() == (0, "")
        assert '"resumed"' in killed.log.read_text()
        assert killed.files() == undisturbed.files()

    def test_fine_tuning(self, preprocessed, run, tmp_path_factory):
        """
        Weights to start from come by a channel; run.json says which, and the result is another one.
        """
        base = run / "member-0" / "weights.npz"
        root = tmp_path_factory.mktemp("tuned")
        job = train_job(preprocessed, root, settings=SMOKE | {"initial_weights": "weights.npz"})
        (root / "opt/ml/input/data/initial_weights").symlink_to(base.parent)

        assert job.run() == (0, "")
        record = json.loads(job.files()["run.json"])
        assert record["initial_weights"]["file"] == "weights.npz"
        assert record["initial_weights"]["left_random"] == []
        assert record["resolved"]["initialisation"]["name"].startswith("weights of an earlier training")
        assert job.files()["weights.npz"] != base.read_bytes()

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"network": "outlines"}, "holds CT; this network looks at outlines"),
            ({"patch_voxels": "32"}, "patch_voxels 32 needs cubes of side 38, got side 20"),
            ({"initial_weights": "gone.npz"}, "initial_weights: .*gone.npz: no such file"),
        ],
    )
    def test_refusals(self, preprocessed, tmp_path_factory, settings, words):
        """
        What does not fit together is said in one line.
        """
        job = train_job(preprocessed, tmp_path_factory.mktemp("wrong"), settings=SMOKE | settings)
        code, stderr = job.run()

        assert code == 1
        assert len(stderr.splitlines()) == 1
        import re

        assert re.search(words, stderr)


class TestInference:
    def test_likelihoods(self, run, job, tmp_path):
        """
        A list in the order of the points; the same alone and among others; the mean of all members.
        """
        rng = np.random.default_rng(7)
        points = [(30.0, 40.0, 30.0), (50.0, 40.0, 30.0), (40.0, 56.0, 30.0)]
        image = scan([(points[0], 9), (points[1], 4)], rng)
        many, alone = (job("inference") for _ in range(2))
        for each in (many, alone):
            (each.root / "opt/ml/model").symlink_to(run)
        write_case(many.root / "input/a", "a", image, points)
        write_case(many.root / "input/b", "b", scan([], rng), [(20.0, 20.0, 20.0)])
        write_case(tmp_path / "one", "a", image, points)
        (alone.root / "input").symlink_to(tmp_path / "one")

        assert many.run() == (0, "")
        assert alone.run() == (0, "")
        name = "lung-nodule-malginancy-likelihoods.json"
        found = json.loads((many.root / "output/a/output" / name).read_text())
        assert found == json.loads((alone.root / "output" / name).read_text())
        assert len(found) == 3
        assert all(0 < each < 1 for each in found)
        assert len(json.loads((many.root / "output/b/output" / name).read_text())) == 1

    def test_scan_without_nodules(self, run, job):
        """
        An empty list of points is answered with an empty list.
        """
        made = job("inference")
        (made.root / "opt/ml/model").symlink_to(run)
        write_case(made.root / "input/a", "a", scan([], np.random.default_rng(0)), [])

        assert made.run() == (0, "")
        name = "lung-nodule-malginancy-likelihoods.json"
        assert json.loads((made.root / "output/a/output" / name).read_text()) == []

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("[]", "must be Multiple points, with a list of points"),
            ('{"points": [{"point": [1, 2]}]}', "point 1 must be three finite numbers in mm"),
            ('{"points": [{"point": [1, 2, NaN]}]}', "point 1 must be three finite numbers in mm"),
            ("{", "not valid JSON"),
            (None, "is missing; it lists the nodules of the scan"),
        ],
    )
    def test_bad_points(self, tmp_path, text, words):
        """
        A list of points that is none is refused with the case.
        """
        from algorithms.nodule_malignancy.inference import nodule_points
        from reseed.contracts.errors import UserError

        path = tmp_path / "nodule-locations.json"
        if text is not None:
            path.write_text(text)

        with pytest.raises(UserError, match=rf"case 'c': nodule-locations\.json.*{words}"):
            nodule_points(path, case="c")

    def test_one_network_at_a_time(self, run, monkeypatch):
        """
        While an ensemble predicts, no more than one of its networks is alive.
        """
        import gc
        import weakref

        from algorithms.nodule_malignancy import model, settings

        alive: list[weakref.ref] = []
        most = 0

        def counted(*arguments):
            nonlocal most
            network = original(*arguments)
            gc.collect()
            alive.append(weakref.ref(network))
            most = max(most, sum(each() is not None for each in alive))
            return network

        original = settings.new_network
        monkeypatch.setattr(model, "new_network", counted)
        ensemble = model.read_ensemble(run, device="cpu")
        cube = np.zeros((20, 20, 20), dtype=np.int16)
        ensemble.likelihoods([cube, cube])

        assert len(alive) == 4
        assert most == 1
