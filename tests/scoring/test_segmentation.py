"""Segmentation scored whole: hand-worked values, policies for what is undefined, refusals of images."""

import contextlib
import gzip
import os
import random
import tempfile
from pathlib import Path

import numpy as np
import pytest

from reseed.contracts.errors import InvalidPrediction, UserError
from reseed.contracts.metrics import Metrics
from reseed.documents.reading import read_json
from reseed.scoring.case_pool import results_in_order
from reseed.scoring.evaluation import submission_metrics, write_metrics
from reseed.scoring.segmentation import segmented_case_result
from reseed.scoring.tables import metric_tables, score_table
from reseed.scoring.tasks import read_task
from reseed.statistics import compare
from tests.scoring.image_submissions import (
    PANCREAS,
    PANCREAS_DICE,
    PATIENTS,
    SHAPE_ZYX,
    box,
    pancreas_submission,
    write_image,
)
from tests.scoring.submissions import TASKS


@pytest.fixture(scope="module")
def task():
    """The pancreas task."""
    return read_task("pancreas_segmentation", TASKS)


@pytest.fixture
def pancreas(tmp_path):
    """A right submission."""
    return pancreas_submission(tmp_path)


@pytest.fixture
def refusal(pancreas, task):
    """The line that scoring ends with."""

    def line():
        with pytest.raises(InvalidPrediction) as caught:
            submission_metrics(pancreas.paths, pancreas.ground_truth, task)
        return str(caught.value)

    return line


@contextlib.contextmanager
def as_nobody():
    """Root may enter any folder, so it becomes somebody who may not."""
    if os.geteuid() != 0:
        yield
        return
    try:
        os.seteuid(65534)
    except OSError:
        pytest.skip("root cannot become another user here")
    try:
        yield
    finally:
        os.seteuid(0)


def with_rule(task, **changed):
    """The task with another rule of evaluation."""
    return task.model_copy(update={"evaluation": task.evaluation.model_copy(update=changed)})


class TestNumbers:
    def test_dice_by_hand(self, pancreas, task):
        """
        Per case and on average, an absent pancreas that is not found being worth 1.
        """
        metrics = submission_metrics(pancreas.paths, pancreas.ground_truth, task)

        found = {result.case_id: result.metrics["dsc"] for result in metrics.results}
        assert found == pytest.approx(PANCREAS_DICE, abs=1e-15)
        assert metrics.aggregates["dsc"].value == pytest.approx(sum(PANCREAS_DICE.values()) / 4, abs=1e-15)
        assert {result.case_id: result.patient for result in metrics.results} == PATIENTS

    def test_distances_by_hand(self, pancreas, task):
        """
        Half of a box of 4 columns missing: 2 columns of 0.5 mm; the policy's number where one is empty.
        """
        metrics = submission_metrics(pancreas.paths, pancreas.ground_truth, task)

        by_case = {result.case_id: result.metrics for result in metrics.results}
        assert by_case["b"]["hd95"] == pytest.approx(1.0)
        assert by_case["a"]["masd"] == 0
        assert (by_case["c"]["hd95"], by_case["d"]["hd95"]) == (200, 0)
        assert by_case["b"]["volume_difference_ml"] == pytest.approx(-32 * 0.5 * 0.75 * 3 / 1000)

    def test_sampling_error(self, pancreas, task):
        """
        The jackknife over patients, worked by hand from the means with each patient left out.
        """
        aggregate = submission_metrics(pancreas.paths, pancreas.ground_truth, task).aggregates["dsc"]

        left_out = np.array([(0 + 1) / 2, (1 + 2 / 3 + 1) / 3, (1 + 2 / 3 + 0) / 3])
        expected = np.sqrt(2 / 3 * ((left_out - left_out.mean()) ** 2).sum())
        assert aggregate.standard_error == pytest.approx(expected)
        assert aggregate.low is not None
        assert aggregate.high is not None
        assert 0 <= aggregate.low < aggregate.value < aggregate.high <= 1

    def test_skipped_cases(self, pancreas, task):
        """
        What the task skips is null in the results and left out of the mean.
        """
        rule = task.evaluation.aggregation["hd95"].model_copy(
            update={"both_empty": "skip", "one_empty": "skip"}
        )
        skipping = with_rule(task, aggregation={**task.evaluation.aggregation, "hd95": rule})

        metrics = submission_metrics(pancreas.paths, pancreas.ground_truth, skipping)

        assert [result.metrics["hd95"] for result in metrics.results] == [0.0, pytest.approx(1.0), None, None]
        assert metrics.aggregates["hd95"].value == pytest.approx(0.5)

    def test_undefined_everywhere(self, pancreas, task):
        """
        A metric that no case defines is refused: JSON has no NaN.
        """
        for case in PANCREAS:
            pancreas.predict(case, box(slice(0, 0)))
        rule = task.evaluation.aggregation["hd95"].model_copy(
            update={"both_empty": "skip", "one_empty": "skip"}
        )
        skipping = with_rule(task, aggregation={**task.evaluation.aggregation, "hd95": rule})

        with pytest.raises(UserError, match=r"metric 'hd95' is undefined in every case; give evaluation"):
            submission_metrics(pancreas.paths, pancreas.ground_truth, skipping)

    def test_labels(self, pancreas, task):
        """
        Several labels: each has its own aggregate, and the metric is their mean in every case.
        """
        two = with_rule(task, labels={"head": (1,), "tail": (2, 3)})
        for case, (reference, _) in PANCREAS.items():
            labelled = reference * 2
            labelled[:, :4] //= 2
            write_image(pancreas.ground_truth / "pancreas" / f"{case}.nii.gz", labelled)
            pancreas.predict(case, np.where(labelled == 2, 3, 0).astype(np.int16))

        metrics = submission_metrics(pancreas.paths, pancreas.ground_truth, two)

        assert metrics.aggregates["dsc_tail"].value == 1
        assert metrics.aggregates["dsc_head"].value == pytest.approx(0.25)
        assert metrics.aggregates["dsc"].value == pytest.approx((1 + 0.25) / 2)

    def test_processes_give_the_same(self, pancreas, task, tmp_path):
        """
        Shuffled old-style jobs, a linked folder, and two processes: the same document.
        """
        expected = submission_metrics(pancreas.paths, pancreas.ground_truth, task)
        jobs = [pancreas.job(case, key="interface") for case in PANCREAS]
        random.Random(1).shuffle(jobs)
        pancreas.write_jobs(jobs)
        (tmp_path / "linked").symlink_to(pancreas.folder)

        linked = type(pancreas.paths)(tmp_path / "linked")
        assert submission_metrics(linked, pancreas.ground_truth, task) == expected

    @pytest.mark.parametrize("suffix", [".mha", ".mhd", ".nii", ".nii.gz", ".tif"])
    def test_formats(self, pancreas, task, suffix):
        """
        Every format gives the same numbers.
        """
        expected = submission_metrics(pancreas.paths, pancreas.ground_truth, task)
        for case, (_, prediction) in PANCREAS.items():
            pancreas.predict(case, prediction, suffix=suffix)

        assert submission_metrics(pancreas.paths, pancreas.ground_truth, task) == expected


class TestRefusals:
    def test_wrong_grid(self, pancreas, refusal):
        """
        Another spacing, origin or size; nothing is resampled.
        """
        pancreas.predict("b", PANCREAS["b"][1], spacing=(0.5, 0.75, 3.1))
        assert refusal() == (
            "case 'b': pancreas-segmentation is on another grid: its spacing is (0.5, 0.75, 3.1) mm, the "
            "reference's (0.5, 0.75, 3) mm"
        )
        pancreas.predict("b", PANCREAS["b"][1], origin=(1.0, -2.0, 3.5))
        assert "its origin is (1, -2, 3.5) mm, the reference's (1, -2, 3) mm" in refusal()
        pancreas.predict("b", PANCREAS["b"][1][:-1])
        assert "its size is (10, 12, 5), the reference's (10, 12, 6)" in refusal()

    def test_a_hair_is_no_other_grid(self, pancreas, task):
        """
        What a float32 header or a resampling program leaves is within the tolerance.
        """
        pancreas.predict("b", PANCREAS["b"][1], spacing=(0.5001, 0.75, 3.0), origin=(1.004, -2.0, 3.0))

        metrics = submission_metrics(pancreas.paths, pancreas.ground_truth, task)

        assert "b" in {result.case_id for result in metrics.results}

    def test_voxels(self, pancreas, refusal):
        """
        NaN, an unknown label, a number that is no label.
        """
        nan = PANCREAS["b"][1].astype(np.float32)
        nan[0, 0, 0] = np.nan
        pancreas.predict("b", nan)
        assert refusal() == "case 'b': pancreas-segmentation has 1 voxel that are NaN or infinite"
        pancreas.predict("b", PANCREAS["b"][1] * 7)
        assert refusal() == "case 'b': pancreas-segmentation has the unknown label 7; known: 0, 1"
        pancreas.predict("b", PANCREAS["b"][1] * np.float32(0.5))
        assert refusal() == "case 'b': pancreas-segmentation has the unknown label 0.5; known: 0, 1"

    @pytest.mark.parametrize("suffix", [".mha", ".nii.gz"])
    def test_another_dimension(self, pancreas, refusal, suffix):
        """
        A series of volumes is no volume.
        """
        import SimpleITK

        for old in pancreas.output_folder("b").glob("*"):
            old.unlink()
        series = SimpleITK.JoinSeries([SimpleITK.GetImageFromArray(PANCREAS["b"][1])] * 2)
        SimpleITK.WriteImage(series, str(pancreas.output_folder("b") / f"x{suffix}"))

        assert refusal() == "case 'b': pancreas-segmentation must have 3 dimensions, got 4 (10 × 12 × 6 × 2)"

    def test_truncated_gzip(self, pancreas, refusal):
        """
        SimpleITK would read it as if nothing were wrong.
        """
        path = pancreas.predict("b", PANCREAS["b"][1], suffix=".nii.gz")
        path.write_bytes(path.read_bytes()[:-6])

        assert refusal() == (
            "case 'b': pancreas-segmentation is a truncated gzip file: it ends before its end"
        )

    def test_a_shorter_stream(self, pancreas, refusal):
        """
        A whole gzip file of too few voxels.
        """
        path = pancreas.predict("b", PANCREAS["b"][1], suffix=".nii.gz")
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-100]))

        assert "is cut short: 972 bytes, 1072 needed" in refusal()

    def test_no_image(self, pancreas, refusal):
        """
        Text under an image's name, an empty file, nothing, two images, another format.
        """
        path = pancreas.predict("b", PANCREAS["b"][1])
        path.write_text("hello")
        assert "pancreas-segmentation is not a" in refusal()
        path.write_bytes(b"")
        assert refusal() == "case 'b': pancreas-segmentation is an empty file"
        path.rename(path.with_name("abc.png"))
        assert "must hold exactly one image, got abc.png (job 'job-b')" in refusal()
        path.with_name("abc.png").unlink()
        assert "must hold exactly one image, got nothing (job 'job-b')" in refusal()
        write_image(path.with_name("x.mha"), PANCREAS["b"][1])
        write_image(path.with_name("y.mha"), PANCREAS["b"][1])
        assert "must hold exactly one image, got 2 images (job 'job-b')" in refusal()

    def test_a_header_that_reads_elsewhere(self, pancreas, refusal):
        """
        A .mha whose header names the reference's file would be scored against itself.
        """
        raw = pancreas.ground_truth / "secret.raw"
        raw.write_bytes(PANCREAS["b"][0].tobytes())
        path = pancreas.predict("b", PANCREAS["b"][1], compressed=False)
        header = path.read_bytes().split(b"ElementDataFile")[0]
        path.write_bytes(header + f"ElementDataFile = {raw}\n".encode())
        assert refusal().endswith("is no .mha image: its header points to another file for the voxels")

        path.rename(path.with_suffix(".mhd"))
        assert "must have its voxels in one file beside it, its header says" in refusal()

    def test_a_link_that_leads_out(self, pancreas, refusal):
        """
        A symlink to the reference is no prediction.
        """
        path = pancreas.predict("b", PANCREAS["b"][1])
        path.unlink()
        path.with_name("abc.nii.gz").symlink_to(pancreas.ground_truth / "pancreas" / "b.nii.gz")

        assert refusal().endswith("is a link out of the submission")

    def test_missing_output(self, pancreas, refusal):
        """
        A job without its folder.
        """
        pancreas.predict("c", PANCREAS["c"][1]).unlink()
        pancreas.output_folder("c").rmdir()

        assert refusal() == "case 'c': output folder 'images/pancreas-segmentation' is missing (job 'job-c')"

    def test_a_broken_reference_is_the_organisers(self, pancreas, task):
        """
        It names the file, and no case of the submitter's.
        """
        path = pancreas.ground_truth / "pancreas" / "b.nii.gz"
        path.write_bytes(path.read_bytes()[:-6])

        with pytest.raises(UserError, match=r"b\.nii\.gz: the reference is a truncated gzip file"):
            submission_metrics(pancreas.paths, pancreas.ground_truth, task)

    def test_no_half_file(self, pancreas, task, tmp_path):
        """
        After a refusal there is no metrics.json.
        """
        write_metrics(tmp_path / "m.json", pancreas.paths, pancreas.ground_truth, task)
        assert read_json(tmp_path / "m.json", Metrics).aggregates["dsc"].value == pytest.approx(2 / 3)
        pancreas.predict("d", np.zeros((1, 1, 1), dtype=np.uint8))

        with pytest.raises(InvalidPrediction):
            write_metrics(tmp_path / "m.json", pancreas.paths, pancreas.ground_truth, task)
        assert not (tmp_path / "m.json").exists()

    @pytest.mark.parametrize("closed", ["images/pancreas-segmentation", "images", "."])
    def test_a_folder_that_may_not_be_entered(self, task, closed):
        """
        Whichever folder on the way it is, the submission is refused and the evaluation is well.
        """
        with tempfile.TemporaryDirectory() as place:  # pytest's own folders are root's alone
            root = Path(place)
            root.chmod(0o755)
            pancreas = pancreas_submission(root)
            folder = pancreas.paths.output_of("job-b", closed)
            folder.chmod(0)
            with as_nobody(), pytest.raises(InvalidPrediction) as caught:
                submission_metrics(pancreas.paths, pancreas.ground_truth, task)
            folder.chmod(0o755)
        assert str(caught.value) == (
            "case 'b': output folder 'images/pancreas-segmentation' cannot be read: Permission denied"
        )


class TestProcesses:
    def test_a_refusal_crosses_the_border_whole(self, pancreas, task, monkeypatch):
        """
        The first refusal in the order of cases, with its case, from another process.
        """
        pancreas.predict("b", PANCREAS["b"][1] * 7)
        pancreas.predict("c", np.ones((2, 2, 2), dtype=np.uint8))
        cases = captured_cases(pancreas, task, monkeypatch)

        with pytest.raises(
            InvalidPrediction, match=r"^case 'b': pancreas-segmentation has the unknown"
        ) as caught:
            list(results_in_order(segmented_case_result, cases, n_processes=2))
        assert caught.value.case_id == "b"

    def test_results_are_in_order(self, pancreas, task, monkeypatch):
        """
        Two processes give what one gives, in the order of the cases.
        """
        cases = captured_cases(pancreas, task, monkeypatch)

        alone = list(results_in_order(segmented_case_result, cases, n_processes=1))
        assert list(results_in_order(segmented_case_result, cases, n_processes=2)) == alone


def captured_cases(pancreas, task, monkeypatch):
    """The cases that scoring hands to its processes."""
    taken = []

    def take(function, cases):
        taken.extend(cases)
        raise UserError("taken")

    with monkeypatch.context() as patched:
        patched.setattr("reseed.scoring.segmentation.results_in_order", take)
        with pytest.raises(UserError, match="taken"):
            submission_metrics(pancreas.paths, pancreas.ground_truth, task)
    return taken


class TestTables:
    def test_every_metric_has_its_table(self, pancreas, task):
        """
        Runs are compared by each metric's own values, without a reference.
        """
        metrics = submission_metrics(pancreas.paths, pancreas.ground_truth, task)
        runs = {(method, run): metrics for method in ("one", "two") for run in (0, 1)}

        tables = metric_tables(runs, ["dsc", "hd95"])

        assert [(each.metric, each.statistic) for each in tables] == [("dsc", "dsc"), ("hd95", "hd95")]
        assert tables[0].table.columns.tolist() == ["method", "run", "case", "score", "patient"]
        assert tables[0].table["score"].tolist() == pytest.approx([*PANCREAS_DICE.values()] * 4)
        assert tables[1].table["score"].tolist()[:2] == pytest.approx([0, 1])
        result = compare(tables[1].table, metric=tables[1].statistic, scope="trained_models")
        assert result.to_json()

    def test_which_metric(self, pancreas, task):
        """
        Where cases have several metrics one is named; none is taken for another.
        """
        metrics = submission_metrics(pancreas.paths, pancreas.ground_truth, task)

        with pytest.raises(UserError, match=r"cases have several metrics, name one: dsc, nsd, hd95"):
            score_table({("one", 0): metrics})
        with pytest.raises(UserError, match=r"cases have no metric 'ap'; they have dsc"):
            score_table({("one", 0): metrics}, "ap")

    def test_shape_of_the_images(self):
        """
        The builders agree on one grid.
        """
        assert all(image.shape == SHAPE_ZYX for pair in PANCREAS.values() for image in pair)
