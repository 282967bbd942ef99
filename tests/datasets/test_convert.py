"""Folders of images and label maps, made into datasets."""

from __future__ import annotations

import json
import shutil
from types import MappingProxyType

import numpy as np
import pytest
import SimpleITK
from typer.testing import CliRunner

from reseed.cli.data import app
from reseed.contracts.containers import SubmissionPaths
from reseed.contracts.errors import InvalidDataset, UserError
from reseed.contracts.evaluation import GridTolerance
from reseed.contracts.task import Task
from reseed.datasets import check_dataset
from reseed.datasets.convert import ConversionRequest, convert_cases, convert_dataset
from reseed.imaging.grids import grid_difference
from reseed.scoring.evaluation import submission_metrics
from reseed.scoring.images import read_image
from tests.datasets.sources import (
    SHARED,
    decathlon_folder,
    image,
    label_map,
    nnunet_folder,
    task,
    voxels,
    write,
)

HIPPOCAMPUS = "hippocampus_segmentation"
SPACINGS = [
    (0.3516, {}, True),
    (0.3513, {}, True),
    (0.35, {}, False),
    (0.35, {"spacing": 0.01}, True),
    (0.3513, {"spacing": 1e-4}, False),
]
"""Of a label map whose image has .3516 mm; what the task allows; whether that is enough."""


@pytest.fixture
def source(tmp_path):
    return decathlon_folder(tmp_path / "Task04")


def converted(source, out, name=HIPPOCAMPUS, **options):
    manifest = convert_dataset(
        ConversionRequest(source=source, out=out, task=task(name), **options), lambda line: None
    )
    assert check_dataset(out) == manifest
    return manifest


def refusal(source, tmp_path, name=HIPPOCAMPUS, **options):
    """The lines of a refusal, after which nothing is left."""
    with pytest.raises(UserError) as refused:
        converted(source, tmp_path / "out", name, **options)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out.partial"))
    return str(refused.value).splitlines()


class TestDecathlon:
    def test_layout(self, source, tmp_path):
        """
        Training is a raw dataset of nnU-Net with the bytes of the source; a test case is one /input.
        """
        manifest = converted(source, tmp_path / "mine")
        training = tmp_path / "mine" / "training"
        document = json.loads((training / "dataset.json").read_text())

        assert (manifest.n_training_cases, manifest.n_test_cases) == (4, 2)
        assert document["labels"] == {"background": 0, "Anterior": 1, "Posterior": 2}
        assert document["channel_names"] == {"0": "t1-brain-mri"}
        assert document["numTraining"] == len(list((training / "labelsTr").iterdir())) == 4
        for path in (training / "imagesTr").iterdir():
            own = source / "imagesTr" / path.name.replace("_0000", "")
            assert path.read_bytes() == own.read_bytes()
        case = next((tmp_path / "mine" / "test" / "cases").iterdir())
        (value,) = json.loads((case / "inputs.json").read_text())
        assert value["image"]["name"] == f"{case.name}.mha"
        assert np.array_equal(
            voxels(case / "images" / "t1-brain-mri" / f"{case.name}.mha"),
            voxels(source / "imagesTr" / f"{case.name}.nii.gz"),
        )

    def test_reference_is_a_perfect_prediction(self, source, tmp_path):
        """
        The evaluation takes the reference for what it is: predicting it gives a Dice of 1.
        """
        converted(source, tmp_path / "mine")
        test = tmp_path / "mine" / "test"
        jobs = []
        for case in (test / "cases").iterdir():
            target = tmp_path / "in" / case.name / "output" / "images" / "hippocampus-segmentation"
            target.mkdir(parents=True)
            shutil.copy(test / "reference" / "labelsTs" / f"{case.name}.nii.gz", target / "any.nii.gz")
            inputs = json.loads((case / "inputs.json").read_text())
            jobs.append({"pk": case.name, "inputs": inputs, "outputs": [_output()], "status": "Succeeded"})
        (tmp_path / "in" / "predictions.json").write_text(json.dumps(jobs))

        metrics = submission_metrics(SubmissionPaths(tmp_path / "in"), test / "reference", task(HIPPOCAMPUS))
        assert metrics.aggregates["dsc"].value == 1.0
        assert len(metrics.results) == 2

    def test_same_bytes(self, source, tmp_path):
        """
        Converting twice gives the same digest, and another seed another split.
        """
        first, second = (converted(source, tmp_path / name) for name in ("a", "b"))
        other = converted(source, tmp_path / "c", seed=3)

        assert first.digest() == second.digest() != other.digest()

    def test_channels_and_labels(self, tmp_path):
        """
        A channel of a four-dimensional image can be chosen, and label values changed.
        """
        source = decathlon_folder(tmp_path / "Task05", n_channels=2)
        manifest = converted(
            source,
            tmp_path / "mine",
            "prostate_segmentation",
            channels={"transverse-t2-prostate-mri": "1"},
            labels={2: 1},
        )
        training = tmp_path / "mine" / "training"
        name = next((training / "labelsTr").iterdir()).name.removesuffix(".nii.gz")
        written = voxels(training / "imagesTr" / f"{name}_0000.nii.gz")

        assert np.array_equal(written, voxels(source / "imagesTr" / f"{name}.nii.gz")[1])
        assert json.loads((training / "dataset.json").read_text())["labels"] == {
            "background": 0,
            "prostate": 1,
        }
        before = voxels(source / "labelsTr" / f"{name}.nii.gz")
        assert np.array_equal(voxels(training / "labelsTr" / f"{name}.nii.gz"), before > 0)
        assert (tmp_path / "mine" / "test" / "reference" / "patients.csv").is_file()
        assert manifest.tasks == ("prostate_segmentation",)


def _output():
    socket = task(HIPPOCAMPUS).outputs[0].model_dump()
    return {"pk": 1, "value": None, "file": None, "image": {"name": "any"}, "interface": socket}


class TestNamedLesions:
    """The lesion of a detection task is what the source calls one."""

    def _named(self, source, **names):
        labels = {"0": "background"} | {value.removeprefix("v"): name for value, name in names.items()}
        (source / "dataset.json").write_text(json.dumps({"labels": labels, "modality": {"0": "CT"}}))

    def _written(self, folder):
        return json.loads((folder / "training" / "dataset.json").read_text())["labels"]

    def test_put_right(self, source, tmp_path):
        """
        The Decathlon's pancreas is refused as a lesion; the words of the refusal make it right.
        """
        self._named(source, v1="pancreas", v2="cancer")
        (line,) = refusal(source, tmp_path, "pdac_detection")
        assert line == (
            f"{source}: label 1 must be the lesion, which task pdac_detection takes it for; in the source "
            "1 is 'pancreas', 2 is 'cancer': say --label 1=2 --label 2=1"
        )

        converted(source, tmp_path / "mine", "pdac_detection", labels={1: 2, 2: 1})
        assert self._written(tmp_path / "mine") == {"background": 0, "cancer": 1, "pancreas": 2}
        case = next((tmp_path / "mine" / "test" / "reference" / "lesions").iterdir()).name
        written = voxels(tmp_path / "mine" / "test" / "reference" / "lesions" / case)
        assert np.array_equal(written == 1, voxels(source / "labelsTr" / case) == 2)

    @pytest.mark.parametrize(
        ("names", "labels", "words"),
        [
            ({"v1": "pancreas", "v2": "cancer"}, {2: 1}, "say --label 1=2 --label 2=1"),
            ({"v1": "pancreas", "v2": "cancer"}, {1: 3}, "say --label 1=3 --label 2=1"),
            ({"v1": "pancreas", "v2": "duct"}, {}, "give the lesion its value with --label OLD=1, or a name"),
            ({"v1": "duct", "v2": "pancreas"}, {1: 2, 2: 1}, "give the lesion its value with --label OLD=1"),
        ],
    )
    def test_refused(self, source, tmp_path, names, labels, words):
        """
        Another structure beside the lesion, a lesion that nobody would find, and none at all.
        """
        self._named(source, **names)

        (line,) = refusal(source, tmp_path, "pdac_detection", labels=labels)
        assert words in line

    def test_no_value_to_spare(self, source, tmp_path):
        """
        A task that ignores no label gets other structures as background.
        """
        self._named(source, v1="zone", v2="csPCa")
        channels = {f"transverse-{name}-prostate-mri": "0" for name in ("t2", "adc", "hbv")}

        (line,) = refusal(source, tmp_path, "cspca_detection", channels=channels)
        assert line.endswith("say --label 1=0 --label 2=1")

    @pytest.mark.parametrize(
        ("names", "labels", "written"),
        [
            ({"v1": "PDAC", "v2": "veins"}, {}, {"PDAC": 1, "veins": 2}),
            ({"v1": "tumour", "v2": "cyst"}, {2: 1}, {"tumour": 1}),
            ({"v1": "Tumor", "v2": ""}, {}, {"Tumor": 1, "": 2}),
            ({}, {}, {"lesion": 1, "other": 2}),
        ],
    )
    def test_taken(self, source, tmp_path, names, labels, written):
        """
        A lesion by any such name; what somebody counts as one by hand; a source that names nothing.
        """
        self._named(source, **names)
        converted(source, tmp_path / "mine", "pdac_detection", labels=labels)

        assert self._written(tmp_path / "mine") == {"background": 0} | written


class TestSeveralTasks:
    """One dataset with the references of several tasks."""

    BOTH = ("pdac_detection", "pancreas_segmentation")
    LABELS = MappingProxyType({"pdac_detection": {1: 2, 2: 1}, "pancreas_segmentation": {2: 1}})

    @pytest.fixture
    def pancreas(self, source):
        labels = {"0": "background", "1": "pancreas", "2": "cancer"}
        (source / "dataset.json").write_text(json.dumps({"labels": labels, "modality": {"0": "CT"}}))
        return source

    def test_as_each_alone(self, pancreas, tmp_path):
        """
        The first task trains, and every task finds the reference that it has in a dataset of its own.
        """
        first, second = (
            converted(pancreas, tmp_path / name, name, labels=self.LABELS[name]) for name in self.BOTH
        )
        both = converted(
            pancreas,
            tmp_path / "both",
            "pdac_detection",
            further=(task("pancreas_segmentation"),),
            task_labels=self.LABELS,
        )

        assert both.tasks == self.BOTH
        assert both.digest("training/", "test/cases/") == first.digest("training/", "test/cases/")
        lesions, pancreases = ("test/reference/lesions/", "test/reference/pancreas/")
        assert both.digest(lesions) == first.digest(lesions)
        assert both.digest(pancreases) == second.digest(pancreases)
        names = json.loads((tmp_path / "both" / "training" / "dataset.json").read_text())["labels"]
        assert names == {"background": 0, "cancer": 1, "pancreas": 2}

    @pytest.mark.parametrize(
        ("further", "task_labels", "words"),
        [
            ("pdac_detection", {}, "task pdac_detection is given twice"),
            ("hippocampus_segmentation", {}, "task hippocampus_segmentation has no image input 'venous-ct'"),
            ("lung_nodule_malignancy", {}, "lung_nodule_malignancy has no image input 'venous-ct'"),
            (
                "pancreas_segmentation",
                {"pdac": {1: 2}},
                "--label pdac:…: must name a task of --task, which are pdac_detection, pancreas_segmentation",
            ),
            (
                "pancreas_segmentation",
                {},
                "say --label pdac_detection:1=2 --label pdac_detection:2=1",
            ),
            (
                "pancreas_segmentation",
                {"pdac_detection": {1: 2, 2: 1}},
                "does not know label 2; it knows 0, 1; say what it becomes with "
                "--label pancreas_segmentation:2=NEW",
            ),
        ],
    )
    def test_refused(self, pancreas, tmp_path, further, task_labels, words):
        """
        Tasks that cannot share a dataset, and values that one of them does not know.
        """
        lines = refusal(
            pancreas, tmp_path, "pdac_detection", further=(task(further),), task_labels=task_labels
        )

        assert words in lines[0]

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"match": {"ending": "_ct"}}, "the inputs of both must be the same"),
            ({}, "each must have a folder of reference of its own, got lesions"),
            (
                {"reference": {"folder": "other", "patients": {"patient": "who"}}},
                "patients.csv must have the same columns for both",
            ),
        ],
    )
    def test_one_place_for_two(self, pancreas, tmp_path, changes, words):
        """
        Two tasks that name cases otherwise, or write to one place, are refused before anything is read.
        """
        document = task("pdac_detection").model_dump(mode="json") | {"task": "other"}
        document["match"] |= changes.get("match", {})
        document["evaluation"]["reference"] |= changes.get("reference", {})
        other = Task.model_validate_json(json.dumps(document))

        (line,) = refusal(pancreas, tmp_path, "pdac_detection", labels={1: 2, 2: 1}, further=(other,))
        assert words in line

    def test_command(self, pancreas, tmp_path):
        """
        As a person types it.
        """
        words = ["convert", str(pancreas), "--out", str(tmp_path / "mine")]
        for name in self.BOTH:
            words += ["--task", name]
            words += [f"--label={name}:{old}={new}" for old, new in self.LABELS[name].items()]
        result = CliRunner().invoke(app, words)

        assert result.exit_code == 0, result.output
        assert check_dataset(tmp_path / "mine").tasks == self.BOTH
        cases_only = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "cases"), "--cases-only"])
        assert "give one --task" in str(cases_only.exception)


class TestNnunet:
    def test_channels(self, tmp_path):
        """
        All three sequences of a prostate go to their sockets, in their order.
        """
        source = nnunet_folder(tmp_path / "Dataset500", n_channels=3)
        slugs = [f"transverse-{name}-prostate-mri" for name in ("t2", "adc", "hbv")]
        converted(
            source,
            tmp_path / "mine",
            "prostate_segmentation",
            channels={slug: str(number) for number, slug in enumerate(slugs)},
        )
        document = json.loads((tmp_path / "mine" / "training" / "dataset.json").read_text())
        case = next((tmp_path / "mine" / "test" / "cases").iterdir())

        assert document["sockets"] == dict(zip("012", slugs, strict=True))
        assert document["labels"] == {"background": 0, "front": 1, "back": 2}
        for number, slug in enumerate(slugs):
            own = voxels(source / "imagesTr" / f"{case.name}_{number:04d}.nii.gz")
            assert np.array_equal(voxels(case / "images" / slug / f"{case.name}.mha"), own)

    def test_ct_is_named_as_nnunet_knows_it(self, tmp_path):
        """
        nnU-Net normalises Hounsfield units when the channel is called CT.
        """
        source = nnunet_folder(tmp_path / "Dataset007")
        converted(source, tmp_path / "mine", "pancreas_segmentation", labels={2: 1})

        document = json.loads((tmp_path / "mine" / "training" / "dataset.json").read_text())
        assert document["channel_names"] == {"0": "CT"}

    def test_own_test_set(self, tmp_path):
        """
        Cases of imagesTs with a label map are the test set, unless a split says otherwise.
        """
        source = nnunet_folder(tmp_path / "Dataset004")
        for kind, name in (("images", "late_1_0000"), ("labels", "late_1")):
            made = image(77)
            write(
                made if kind == "images" else label_map(7, like=made), source / f"{kind}Ts" / f"{name}.nii.gz"
            )
        manifest = converted(source, tmp_path / "mine")

        assert [path.name for path in (tmp_path / "mine" / "test" / "cases").iterdir()] == ["late_1"]
        assert any("imagesTs" in note for note in manifest.notes)


class TestSplit:
    def test_patients_stay_together(self, source, tmp_path):
        """
        A table of patients keeps their cases on one side.
        """
        table = tmp_path / "patients.csv"
        table.write_text("case,patient\n" + "".join(f"brain_{n:03d},p{n // 2}\n" for n in range(6)))
        manifest = converted(source, tmp_path / "mine", patients=table)
        on_test = {path.name for path in (tmp_path / "mine" / "test" / "cases").iterdir()}

        assert on_test in ({f"brain_00{a}", f"brain_00{a + 1}"} for a in (0, 2, 4))
        assert (manifest.n_training_patients, manifest.n_test_patients) == (2, 1)

    def test_listed(self, source, tmp_path):
        """
        A file can say what tests; its digest is noted.
        """
        split = tmp_path / "split.csv"
        split.write_text(
            "case,part\n" + "".join(f"brain_{n:03d},{'test' if n == 4 else 'training'}\n" for n in range(6))
        )
        manifest = converted(source, tmp_path / "mine", split=split)

        assert [path.name for path in (tmp_path / "mine" / "test" / "cases").iterdir()] == ["brain_004"]
        assert any("split.csv, SHA-256" in note for note in manifest.notes)

    @pytest.mark.parametrize(
        ("text", "lines"),
        [
            ("case,part\nbrain_000,test\n", 5 * ["has no line for case"]),
            ("case,part\nnobody,test\n", ["no case 'nobody'", *6 * ["has no line"]]),
            ("case,part\nbrain_000,tset\n", ["part must be training or test, got 'tset'", *5 * ["has no"]]),
            ("case,where\n", ["column 'part' is missing"]),
            ("case,patient,part\na,b,test\n", ["either case or patient"]),
        ],
    )
    def test_mistakes(self, source, tmp_path, text, lines):
        """
        Every mistake in a split is a line.
        """
        (tmp_path / "split.csv").write_text(text)

        found = refusal(source, tmp_path, split=tmp_path / "split.csv")
        assert len(found) == len(lines)
        for line, words in zip(sorted(found, reverse=True), sorted(lines, reverse=True), strict=True):
            assert words in line or any(each in line for each in lines)

    def test_patient_on_both_sides(self, source, tmp_path):
        """
        A split that divides a patient is refused.
        """
        (tmp_path / "patients.csv").write_text(
            "case,patient\n" + "".join(f"brain_{n:03d},p{n // 2}\n" for n in range(6))
        )
        (tmp_path / "split.csv").write_text(
            "case,part\n" + "".join(f"brain_{n:03d},{'test' if n == 0 else 'training'}\n" for n in range(6))
        )
        (line,) = refusal(source, tmp_path, patients=tmp_path / "patients.csv", split=tmp_path / "split.csv")

        assert "patient 'p0' must be on one side of the split, is on both" in line


class TestBadInput:
    def test_every_bad_case_is_a_line(self, source, tmp_path):
        """
        All bad inputs are found in one go, each with its case and its reason.
        """
        (source / "imagesTr" / "brain_000.nii.gz").write_bytes(b"no image")
        moved = label_map(1, like=image(10))
        moved.SetOrigin((3.0, -4.0, 6.0))
        write(moved, source / "labelsTr" / "brain_001.nii.gz")
        write(label_map(2, like=image(20), n_labels=5), source / "labelsTr" / "brain_002.nii.gz")
        nan = image(30, dtype=np.float32)
        nan[0, 0, 0] = float("nan")
        write(nan, source / "imagesTr" / "brain_003.nii.gz")  # whose NaN ITK reads as 0
        half = SimpleITK.Cast(label_map(4, like=image(40)), SimpleITK.sitkFloat32) * 0.5
        write(half, source / "labelsTr" / "brain_004.nii.gz")
        lines = refusal(source, tmp_path)

        for line, words in zip(
            lines,
            [
                "case 'brain_000': .*is not a gzip file, or a broken one",
                "case 'brain_001': .*its origin is (3, -4, 5) mm, the label map's (3, -4, 6) mm",
                "case 'brain_002': .*does not know label 3; it knows 0, 1, 2",
                "case 'brain_003': .*has 1 voxel that are NaN or infinite",
                "case 'brain_004': .*label values must be whole numbers from 0, got 0.5",
            ],
            strict=True,
        ):
            assert words.split(".*", maxsplit=1)[0] in line
            assert words.split(".*")[1] in line

    @pytest.mark.parametrize(("spacing", "wider", "is_taken"), SPACINGS)
    def test_grid_of_the_evaluation(self, tmp_path, spacing, wider, is_taken):
        """
        A label map is taken exactly where the evaluation takes a prediction on the grid of its image.
        """
        made_for = task(HIPPOCAMPUS)
        grid = GridTolerance(**wider)
        rule = made_for.evaluation.model_copy(update={"grid": grid})
        for number in range(6):
            made = image(number, spacing=(0.3516, 0.3516, 3.0))
            labels = label_map(number, like=made)
            labels.SetSpacing((spacing, spacing, 3.0))
            write(made, tmp_path / "own" / "images" / f"c_{number}.mha")
            write(labels, tmp_path / "own" / "labels" / f"c_{number}.nii.gz")
        names = ("labels/c_0.nii.gz", "images/c_0.mha")
        of_labels, of_image = (read_image(tmp_path / "own" / name).grid for name in names)
        assert (grid_difference(of_labels, of_image, grid) is None) == is_taken

        request = ConversionRequest(
            tmp_path / "own", tmp_path / "out", made_for.model_copy(update={"evaluation": rule})
        )
        if is_taken:
            assert convert_dataset(request, lambda line: None).n_test_cases == 2
            return
        with pytest.raises(InvalidDataset) as refused:
            convert_dataset(request, lambda line: None)
        lines = str(refused.value).splitlines()
        assert len(lines) == 6
        assert lines[0] == (
            f"case 'c_0': {tmp_path}/own/{names[0]}: must be on the grid of {tmp_path}/own/{names[1]}: "
            f"its spacing is (0.3516, 0.3516, 3) mm, the label map's ({spacing}, {spacing}, 3) mm"
        )

    @pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".mha"])
    @pytest.mark.parametrize(
        ("folder", "cases_only"), [("images", True), ("images", False), ("labels", False)]
    )
    def test_cut_short(self, tmp_path, suffix, folder, cases_only):
        """
        A file that is not there to its end is refused, where ITK would fill it up with zeros.
        """
        for number in range(6):
            made = image(number, shape=(20, 40, 40))
            write(made, tmp_path / "own" / "images" / f"c_{number}{suffix}")
            write(label_map(number, like=made), tmp_path / "own" / "labels" / f"c_{number}{suffix}")
        cut = tmp_path / "own" / folder / f"c_0{suffix}"
        content = cut.read_bytes()
        cut.write_bytes(content[: len(content) * 3 // 5])

        convert = convert_cases if cases_only else convert_dataset
        with pytest.raises(InvalidDataset) as refused:
            convert(
                ConversionRequest(tmp_path / "own", tmp_path / "out", task(HIPPOCAMPUS)), lambda line: None
            )
        (line,) = str(refused.value).splitlines()
        assert line.startswith(f"case 'c_0': {cut}: is ")
        assert "cut short" in line or "truncated" in line
        assert not (tmp_path / "out").exists()

    def test_unpaired(self, source, tmp_path):
        """
        An image or label map alone is refused, or left out on request and noted.
        """
        (source / "imagesTr" / "brain_000.nii.gz").unlink()
        (source / "labelsTr" / "brain_001.nii.gz").unlink()
        lines = refusal(source, tmp_path)
        manifest = converted(source, tmp_path / "mine", skip_unpaired=True)

        assert [line.rsplit("/", 1)[-1] for line in lines[:2]] == [
            "brain_001: has no partner",
            "brain_000: has no partner",
        ]
        assert manifest.n_training_cases + manifest.n_test_cases == 4
        assert "left out, having no partner: imagesTr/brain_001, labelsTr/brain_000" in manifest.notes

    def test_labels_with_a_gap(self, source, tmp_path):
        """
        nnU-Net takes labels without a gap only.
        """
        (line,) = refusal(source, tmp_path, labels={1: 0})

        assert "must be 1, 2, … without a gap, as nnU-Net needs them; got [2]" in line

    @pytest.mark.parametrize(
        ("name", "channels", "words"),
        [
            (HIPPOCAMPUS, {"chest-ct": "0"}, "has no image input 'chest-ct'; it has t1-brain-mri"),
            (HIPPOCAMPUS, {"t1-brain-mri": "first"}, "must be the number of a channel, from 0"),
            (
                "cspca_detection",
                {"transverse-t2-prostate-mri": "0"},
                "takes the inputs transverse-adc-prostate-mri, transverse-hbv-prostate-mri",
            ),
        ],
    )
    def test_channels(self, source, tmp_path, name, channels, words):
        """
        Sockets are those of the task, and all of an interface.
        """
        assert words in refusal(source, tmp_path, name, channels=channels)[0]

    def test_channel_that_is_not_there(self, source, tmp_path):
        """
        A channel beyond the last is a line for every case.
        """
        lines = refusal(source, tmp_path, channels={"t1-brain-mri": "2"})

        assert len(lines) == 6
        assert all("must have a channel 2, has 1" in line for line in lines)

    def test_place_is_taken(self, source, tmp_path):
        """
        Nothing is overwritten.
        """
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "thesis.tex").write_text("years")

        with pytest.raises(UserError, match="is there already; remove it or name another folder with --out"):
            converted(source, tmp_path / "mine")
        assert (tmp_path / "mine" / "thesis.tex").read_text() == "years"

    def test_no_layout(self, tmp_path):
        """
        A folder that holds nothing of the kind says so.
        """
        (tmp_path / "empty").mkdir()

        assert "has no DICOM series" in refusal(tmp_path / "empty", tmp_path)[0]
        assert "no such file or folder" in refusal(tmp_path / "gone", tmp_path)[0]


class TestCommand:
    def test_convert_then_check(self, source, tmp_path):
        """
        As a person types it; notes are shown.
        """
        out = str(tmp_path / "mine")
        command = ["convert", str(source), "--task", HIPPOCAMPUS, "--out", out, "--skip", "brain_005"]
        result = CliRunner().invoke(app, command)

        assert result.exit_code == 0, result.output
        assert "mine 1.0, 3 cases of 3 patients to train, 2 of 2 to test" in result.output
        assert "30% of the patients test" in result.output
        assert CliRunner().invoke(app, ["check", out]).exit_code == 0

    @pytest.mark.parametrize(
        ("option", "value"), [("--channel", "t1"), ("--label", "1"), ("--label", "a=b"), ("--channel", "=1")]
    )
    def test_pairs(self, source, tmp_path, option, value):
        """
        A pair that is none is refused.
        """
        result = CliRunner().invoke(
            app, ["convert", str(source), "--task", HIPPOCAMPUS, "--out", str(tmp_path / "o"), option, value]
        )

        assert isinstance(result.exception, UserError)
        assert f"must be {option}" in str(result.exception)


@pytest.mark.shared_data
class TestRealData:
    def test_prostate_slices(self, tmp_path):
        """
        Real bpMRI: four cases with lesion masks become cases to detect cancer in.
        """
        real = SHARED / "prostate158_4cases"
        if not real.is_dir():
            pytest.skip("no shared data")
        source = tmp_path / "source"
        for number, folder in enumerate(sorted(real.glob("*/0*"))):
            for kind, name in (("images", "t2"), ("labels", "t2_anatomy_reader1")):
                (source / kind).mkdir(parents=True, exist_ok=True)
                shutil.copy(folder / f"{name}.nii.gz", source / kind / f"p_{number}.nii.gz")
        manifest = converted(source, tmp_path / "mine", "prostate_segmentation", test_fraction=0.5)

        assert (manifest.n_training_cases, manifest.n_test_cases) == (2, 2)


class TestConvertCases:
    def test_cases_to_predict(self, source, tmp_path):
        """
        Cases alone need no split, and nothing is left when one is bad.
        """
        asked = ConversionRequest(source=source, out=tmp_path / "cases", task=task(HIPPOCAMPUS))

        assert convert_cases(asked, lambda line: None) == 6
        assert (tmp_path / "cases" / "brain_003" / "inputs.json").is_file()
        (source / "imagesTr" / "brain_004.nii.gz").write_bytes(b"")
        with pytest.raises(InvalidDataset, match="case 'brain_004'"):
            convert_cases(
                ConversionRequest(source=source, out=tmp_path / "b", task=task(HIPPOCAMPUS)),
                lambda line: None,
            )
        assert not (tmp_path / "b").exists()

    def test_no_case(self, source, tmp_path):
        """
        A source whose cases are all left out makes no empty folder.
        """
        names = tuple(path.name.split(".")[0] for path in (source / "imagesTr").iterdir())
        asked = ConversionRequest(source=source, out=tmp_path / "cases", task=task(HIPPOCAMPUS), skip=names)

        with pytest.raises(InvalidDataset, match="has no case"):
            convert_cases(asked, lambda line: None)
        assert not (tmp_path / "cases").exists()
