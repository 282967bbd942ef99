"""The reference as images: a folder, or an MSD or nnU-Net dataset as it is."""

import json
from pathlib import Path

import numpy as np
import pytest

from reseed.contracts.errors import InvalidDocument, UserError
from reseed.contracts.evaluation import Aggregation, PatientTable, ReferenceImages
from reseed.scoring.evaluation import submission_metrics
from reseed.scoring.measures import MEASURES
from reseed.scoring.reference_check import reference_line
from reseed.scoring.reference_images import read_reference_image, reference_images
from reseed.scoring.tasks import read_task
from tests.scoring.image_submissions import (
    PANCREAS,
    box,
    pancreas_submission,
    pdac_submission,
    write_image,
    write_patients,
)
from tests.scoring.submissions import REPOSITORY, TASKS

MASK = box(slice(1, 3), slice(1, 3), slice(1, 3))
MSD = {
    "labels": {"0": "background", "1": "Anterior", "2": "Posterior"},
    "training": [{"image": f"./imagesTr/h_{n}.nii.gz", "label": f"./labelsTr/h_{n}.nii.gz"} for n in (1, 2)],
    "test": ["./imagesTs/h_3.nii.gz"],
}
NNUNET = {
    "channel_names": {"0": "MRI"},
    "labels": {"background": 0, "anterior": 1, "whole": [1, 2]},
    "numTraining": 2,
    "file_ending": ".nii.gz",
}


def with_rule(task, **changed):
    """The task with another rule of evaluation."""
    return task.model_copy(update={"evaluation": task.evaluation.model_copy(update=changed)})


@pytest.fixture
def dataset(tmp_path):
    """Writes a dataset folder."""

    def written(document, *, split="labelsTr", cases=("h_1", "h_2")):
        (tmp_path / "dataset.json").write_text(json.dumps(document))
        for case in cases:
            write_image(tmp_path / split / f"{case}.nii.gz", MASK)
        (tmp_path / split / "._h_1.nii.gz").write_bytes(b"macOS")
        return tmp_path

    return written


def cases_of(place, **described):
    """The ids of the cases found."""
    known = described.pop("known", (0, 1, 2))
    return [case.case_id for case in reference_images(place, ReferenceImages(**described), known)]


class TestLayouts:
    @pytest.mark.parametrize(("layout", "document"), [("msd", MSD), ("nnunet", NNUNET)])
    @pytest.mark.parametrize("split", ["labelsTr", "labelsTs"])
    def test_datasets(self, dataset, layout, document, split):
        """
        Either split of either layout, without the files that macOS leaves.
        """
        assert cases_of(dataset(document, split=split), layout=layout, split=split) == ["h_1", "h_2"]

    def test_only_what_is_listed(self, dataset):
        """
        MSD's dataset.json lists its training cases; a file beside them is none.
        """
        folder = dataset(MSD, cases=("h_1", "h_2", "h_9"))

        assert cases_of(folder, layout="msd", split="labelsTr") == ["h_1", "h_2"]
        (folder / "labelsTr" / "h_2.nii.gz").unlink()
        with pytest.raises(InvalidDocument, match="training lists case 'h_2', which has no label map"):
            cases_of(folder, layout="msd", split="labelsTr")

    @pytest.mark.parametrize(
        ("document", "rule"),
        [
            ([], "must be the dataset.json of an MSD or nnU-Net dataset"),
            ({"labels": {"0": "background", "7": "x"}}, "declares label 7, which the task does not know"),
            ({"labels": {"x": 1.5}}, "labels.x must be a label value, got 1.5"),
            ({"labels": {"x": 1}, "training": 3}, "training must be a list, got 3"),
            ({"labels": {"x": 1}, "training": [1]}, "training.0 must have a label"),
        ],
    )
    def test_mistakes(self, dataset, document, rule):
        """
        dataset.json is read as strictly as all else.
        """
        with pytest.raises(InvalidDocument, match=rule):
            cases_of(dataset(document), layout="nnunet", split="labelsTr")

    def test_a_plain_folder(self, tmp_path):
        """
        Every image is a case; two of one name are refused, and so is none.
        """
        with pytest.raises(UserError, match=r"no such folder; it holds the reference standard"):
            cases_of(tmp_path, folder="masks")
        (tmp_path / "masks").mkdir()
        with pytest.raises(UserError, match="has no image; the reference standard needs one per case"):
            cases_of(tmp_path, folder="masks")
        write_image(tmp_path / "masks" / "b.mha", MASK)
        write_image(tmp_path / "masks" / "a.nii.gz", MASK)
        assert cases_of(tmp_path, folder="masks") == ["a", "b"]
        write_image(tmp_path / "masks" / "a.mha", MASK)
        with pytest.raises(UserError, match=r"case 'a' has two images, a\.mha and a\.nii\.gz"):
            cases_of(tmp_path, folder="masks")

    def test_patients(self, tmp_path):
        """
        A table of patients must have every case, once.
        """
        write_image(tmp_path / "a.mha", MASK)
        described = ReferenceImages(patients=PatientTable())
        table = tmp_path / "patients.csv"

        table.write_text("case,patient\na,p1\n")
        assert reference_images(tmp_path, described)[0].patient == "p1"
        for text, rule in (
            ("case,patient\nb,p1\n", "has no patient for case 'a'"),
            ("case,patient\na,p1\na,p2\n", r":3: case 'a' has two patients"),
            ("case,patient\na,\n", r":2: case and patient must not be empty"),
            ("case\na\n", r":1: column 'patient' is missing"),
        ):
            table.write_text(text)
            with pytest.raises(InvalidDocument, match=rule):
                reference_images(tmp_path, described)

    @pytest.mark.shared_data
    def test_real_data(self, tmp_path):
        """
        The hippocampus dataset as it was published, without its dataset.json.
        """
        labels = REPOSITORY.parent / "shared" / "data" / "msd_hippocampus" / "labels"
        if not labels.is_dir():
            pytest.skip("no shared data")
        (tmp_path / "dataset.json").write_text(json.dumps({"labels": MSD["labels"]}))
        (tmp_path / "labelsTs").mkdir()
        for path in sorted(labels.glob("*.nii.gz"))[:5]:
            (tmp_path / "labelsTs" / path.name).symlink_to(path)
        task = read_task("hippocampus_segmentation", TASKS)

        line = reference_line(tmp_path, task)
        assert line == "5 of 5 scans with a structure, each of another patient"
        assert isinstance(task.evaluation.reference, ReferenceImages)
        image = read_reference_image(reference_images(tmp_path, task.evaluation.reference)[0])
        assert set(np.unique(image.voxels)) == {0, 1, 2}


class TestReferenceLine:
    def test_unknown_label(self, tmp_path):
        """
        `reseed task check --ground-truth` reads every case.
        """
        task = read_task("hippocampus_segmentation", TASKS)
        (tmp_path / "dataset.json").write_text(json.dumps(MSD))
        write_image(tmp_path / "labelsTs" / "h_1.nii.gz", MASK * 5)

        with pytest.raises(UserError, match=r"h_1\.nii\.gz: the reference has the unknown label 5"):
            reference_line(tmp_path, task)
        with pytest.raises(UserError, match="no such folder; it must hold the ground truth"):
            reference_line(Path("nowhere"), task)

    def test_ignored_voxels_are_no_structure(self, tmp_path):
        """
        Veins around no lesion, and other values around no organ, are not counted.
        """
        task = read_task("pdac_detection", TASKS)
        pancreas = read_task("pancreas_segmentation", TASKS)
        organ = with_rule(pancreas, ignored_labels=(4,))
        for folder in ("lesions", "pancreas"):
            for case, voxels in (("a", MASK * 4), ("b", np.where(MASK, 1, 4).astype(np.uint8))):
                write_image(tmp_path / folder / f"{case}.nii.gz", voxels)
        write_patients(tmp_path, {"a": "p", "b": "q"})

        assert reference_line(tmp_path, task).startswith("1 of 2 scans with a structure, of 2 patients")
        assert reference_line(tmp_path, organ).startswith("1 of 2 scans with a structure, of 2 patients")
        anything = with_rule(task, lesion_labels=None, ignored_labels=(4,))
        assert reference_line(tmp_path, anything).startswith("1 of 2 scans with a structure")

    @pytest.mark.parametrize("metric", list(MEASURES["detection"]))
    @pytest.mark.parametrize("n_positive", [0, 1, 3])
    def test_one_class(self, tmp_path, n_positive, metric):
        """
        Refused exactly where the evaluation would refuse a perfect submission.
        """
        lesions = [MASK * (number < n_positive) for number in range(3)]
        made = pdac_submission(
            tmp_path,
            {f"c{n}": (voxels, voxels * 0.5, 0.5 * voxels.max()) for n, voxels in enumerate(lesions)},
        )
        task = read_task("pdac_detection", TASKS).model_copy(update={"metrics": (metric,), "reported": ()})
        try:
            submission_metrics(made.paths, made.ground_truth, task)
        except UserError:
            needed = "some with one" if n_positive == 0 else "some without one"
        else:
            needed = ""

        if not needed:
            assert reference_line(made.ground_truth, task).startswith(f"{n_positive} of 3 scans")
            return
        with pytest.raises(UserError) as refused:
            reference_line(made.ground_truth, task)
        assert str(refused.value) == (
            f"{made.ground_truth}: {n_positive} of 3 scans of the reference have a lesion; metric {metric!r} "
            f"needs {needed}"
        )

    @pytest.mark.parametrize("metric", list(MEASURES["segmentation"]))
    @pytest.mark.parametrize("worth", ["skip", 1.0])
    def test_a_structure_that_no_case_has(self, tmp_path, metric, worth):
        """
        Refused exactly where the evaluation would refuse a perfect submission.
        """
        made = pancreas_submission(tmp_path)
        for case in PANCREAS:
            made.predict(case, PANCREAS[case][0])
        task = read_task("pancreas_segmentation", TASKS).model_copy(
            update={"metrics": (metric,), "ranking_metric": metric, "reported": ()}
        )
        rule = {metric: Aggregation(both_empty=worth, one_empty="skip")}
        task = with_rule(task, labels={"organ": (1,), "tumour": (2, 3)}, aggregation=rule)
        if worth != "skip" or metric in {"volume_difference_ml", "volume_error_ml"}:
            submission_metrics(made.paths, made.ground_truth, task)
            assert reference_line(made.ground_truth, task).startswith("3 of 4 scans with a structure")
            return
        with pytest.raises(UserError, match=f"metric '{metric}_tumour' is undefined in every case"):
            submission_metrics(made.paths, made.ground_truth, task)
        with pytest.raises(UserError) as refused:
            reference_line(made.ground_truth, task)
        assert str(refused.value) == (
            f"{made.ground_truth}: no reference has the structure 'tumour' (label 2, 3), so metric "
            f"{metric!r} is undefined in every case; give evaluation.aggregation.{metric}.both_empty a number"
        )
