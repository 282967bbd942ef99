"""A submission scored whole: the numbers, the invariances, and every refusal."""

import json
import math
import random
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, recall_score, roc_auc_score

from reseed.contracts.errors import InvalidPrediction, UserError
from reseed.contracts.metrics import Metrics
from reseed.documents.reading import read_json
from reseed.scoring.evaluation import submission_metrics, write_metrics
from reseed.scoring.measures import MEASURES
from reseed.scoring.tasks import read_task
from tests.scoring.submissions import (
    AP,
    AUROC,
    LABELS,
    OUTPUT,
    OUTPUT_FILE,
    PATIENTS,
    SCORES,
    TASKS,
    job,
    write_submission,
)


@pytest.fixture(scope="module")
def task():
    """The nodule task."""
    return read_task("nodule_malignancy", TASKS)


@pytest.fixture
def metrics_of(submitted, task):
    """Scores the submission as it stands."""
    return lambda: submission_metrics(submitted.paths, submitted.ground_truth, task)


class TestNumbers:
    def test_aggregates(self, metrics_of):
        """
        The hand-worked AUROC and average precision.
        """
        aggregates = metrics_of().aggregates

        assert aggregates["auroc"].value == pytest.approx(AUROC, abs=1e-12)
        assert aggregates["ap"].value == pytest.approx(AP, abs=1e-12)

    def test_sampling_error(self, metrics_of):
        """
        Each metric has a standard error, and an interval at the task's level around its value.
        """
        for aggregate in metrics_of().aggregates.values():
            assert aggregate.standard_error is not None
            assert aggregate.standard_error > 0
            assert aggregate.low <= aggregate.value <= aggregate.high

    @pytest.mark.parametrize(("compared", "reported"), [("auroc", "ap"), ("ap", "auroc")])
    def test_a_metric_is_itself_wherever_it_is_named(self, submitted, task, metrics_of, compared, reported):
        """
        A metric that is only reported has the number, error and interval that it has when compared.
        """
        changed = {"metrics": (compared,), "ranking_metric": compared, "reported": (reported, "specificity")}
        found = submission_metrics(
            submitted.paths, submitted.ground_truth, task.model_copy(update=changed)
        ).aggregates

        labels, scores = [int(LABELS[case]) for case in SCORES], list(SCORES.values())
        second = {"ap": average_precision_score, "auroc": roc_auc_score}[reported](labels, scores)
        assert found[reported].value == pytest.approx(second, abs=1e-12)
        assert found[reported] == metrics_of().aggregates[reported]

    def test_every_metric_of_a_classification_can_be_reported(self, submitted, task):
        """
        Each has a number of its own, that of scikit-learn.
        """
        changed = {
            "metrics": ("auroc",),
            "ranking_metric": "auroc",
            "reported": tuple(key for key in MEASURES["classification"] if key not in {"auroc", "ece"}),
        }
        found = submission_metrics(
            submitted.paths, submitted.ground_truth, task.model_copy(update=changed)
        ).aggregates

        labels, scores = np.array([int(LABELS[case]) for case in SCORES]), np.array(list(SCORES.values()))
        calls = scores >= 0.5
        expected = {
            "auroc": roc_auc_score(labels, scores),
            "ap": average_precision_score(labels, scores),
            "sensitivity": recall_score(labels, calls),
            "specificity": recall_score(labels, calls, pos_label=0),
            "brier": brier_score_loss(labels, scores),
        }
        assert {key: each.value for key, each in found.items()} == pytest.approx(expected, abs=1e-12)

    def test_results_of_every_case(self, metrics_of):
        """
        One row per case of the reference, sorted by its id.
        """
        metrics = metrics_of()

        assert [result.case_id for result in metrics.results] == sorted(SCORES)
        assert {result.case_id: result.score for result in metrics.results} == SCORES
        assert {result.case_id: result.patient for result in metrics.results} == PATIENTS
        assert {result.case_id: str(int(result.reference)) for result in metrics.results} == LABELS
        assert (metrics.task, metrics.confidence_level) == ("nodule_malignancy", 0.95)

    def test_order_and_age_of_the_platform_do_not_matter(self, submitted, metrics_of):
        """
        Shuffled jobs under the old key give the same metrics, to the last bit.
        """
        expected = metrics_of()
        jobs = [job(case, key="interface") for case in SCORES]
        random.Random(3).shuffle(jobs)
        submitted.write_jobs(jobs)

        assert metrics_of() == expected

    def test_without_patients_cases_are_independent(self, submitted, task, metrics_of):
        """
        A task without a patient column still has a standard error, over cases.
        """
        table = task.evaluation.reference.model_copy(update={"patient": None})
        evaluation = task.evaluation.model_copy(update={"reference": table})
        without = task.model_copy(update={"evaluation": evaluation})

        metrics = submission_metrics(submitted.paths, submitted.ground_truth, without)

        assert {result.patient for result in metrics.results} == {None}
        assert metrics.aggregates["auroc"].standard_error != metrics_of().aggregates["auroc"].standard_error

    def test_a_linked_submission(self, submitted, task, tmp_path, metrics_of):
        """
        /input may be a symlink.
        """
        expected = metrics_of()
        (tmp_path / "linked").symlink_to(submitted.folder)
        linked = type(submitted)(tmp_path / "linked", submitted.ground_truth)

        assert submission_metrics(linked.paths, linked.ground_truth, task) == expected

    def test_progress_is_told(self, submitted, task):
        """
        Once for every case.
        """
        told = []

        submission_metrics(
            submitted.paths,
            submitted.ground_truth,
            task,
            progress=lambda n_done, n_cases: told.append((n_done, n_cases)),
        )

        assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


class TestRefusals:
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", f"{OUTPUT}: not valid JSON: Expecting value: line 1 column 1 (char 0)"),
            ("0.5 0.5", f"{OUTPUT}: not valid JSON: Extra data: line 1 column 5 (char 4)"),
            ("NaN", f"{OUTPUT}: not valid JSON: NaN is not a JSON number"),
            ("-Infinity", f"{OUTPUT}: not valid JSON: -Infinity is not a JSON number"),
            ("1e999", f"{OUTPUT} must be a finite number"),
            ("1" + "0" * 400, f"{OUTPUT} must be a finite number"),
            ("[" * 60_000, f"{OUTPUT}: not valid JSON: nested too deeply"),
            ("null", f"{OUTPUT} must be a number, got null"),
            ("true", f"{OUTPUT} must be a number, got true"),
            ('"0.5"', f"{OUTPUT} must be a number, got '0.5'"),
            ("[0.5]", f"{OUTPUT} must be a number, got a list of 1"),
            ('{"score": 0.5}', f"{OUTPUT} must be a number, got a mapping with 1 key"),
            ("1.0000001", f"{OUTPUT} must be at most 1, got 1.0000001"),
            ("-0.25", f"{OUTPUT} must be at least 0, got -0.25"),
            (" " * 70_000 + "1", f"{OUTPUT} must be one number, got a file of 70001 bytes"),
        ],
    )
    def test_a_value_that_is_no_likelihood(self, submitted, metrics_of, text, reason):
        """
        One line that names the case, the rule and what arrived.
        """
        submitted.write_text("n3", text)

        with pytest.raises(InvalidPrediction) as caught:
            metrics_of()

        assert str(caught.value) == f"case 'n3': {reason}"
        assert caught.value.case_id == "n3"

    def test_text_that_is_not_utf8(self, submitted, metrics_of):
        """
        Bytes that are no text are named as such.
        """
        submitted.output("n3").write_bytes(b"\xff\xfe0")

        with pytest.raises(InvalidPrediction, match=r"^case 'n3': .*: cannot be read: not UTF-8 text$"):
            metrics_of()

    def test_a_missing_output_file(self, submitted, metrics_of):
        """
        The file and the job are named.
        """
        submitted.output("n2").unlink()

        with pytest.raises(InvalidPrediction) as caught:
            metrics_of()

        assert str(caught.value) == f"case 'n2': output file {OUTPUT_FILE!r} is missing (job 'job-n2')"

    def test_a_missing_output_folder(self, submitted, metrics_of):
        """
        The same for a job without any output.
        """
        shutil.rmtree(submitted.output("n2").parents[1])

        with pytest.raises(InvalidPrediction, match=r"case 'n2': output file .* is missing"):
            metrics_of()

    def test_an_output_that_is_a_folder(self, submitted, metrics_of):
        """
        Not an ordinary file.
        """
        submitted.output("n2").unlink()
        submitted.output("n2").mkdir()

        with pytest.raises(InvalidPrediction, match=r"case 'n2': output .* is not an ordinary file"):
            metrics_of()

    @pytest.mark.parametrize(
        ("target", "reason"),
        [
            ("../../../ground_truth/reference.csv", "is a link out of the submission"),
            ("/etc/passwd", "is a link out of the submission"),
            (OUTPUT_FILE, "is a link to no file"),
            ("absent.json", "is a link to no file"),
        ],
    )
    def test_an_output_that_links_elsewhere(self, submitted, metrics_of, target, reason):
        """
        A link out of the submission is never followed; one in circles or to nothing is named.
        """
        submitted.output("n2").unlink()
        submitted.output("n2").symlink_to(target)

        with pytest.raises(InvalidPrediction, match=rf"case 'n2': output .* {reason}"):
            metrics_of()

    def test_an_output_folder_that_links_elsewhere(self, submitted, metrics_of, tmp_path):
        """
        A link higher up leads out just as well.
        """
        folder = submitted.output("n2").parent
        shutil.copytree(folder, tmp_path / "elsewhere")
        shutil.rmtree(folder)
        folder.symlink_to(tmp_path / "elsewhere")

        with pytest.raises(InvalidPrediction, match=r"case 'n2': output .* is a link out of the submission"):
            metrics_of()

    def test_an_output_that_cannot_be_looked_at(self, submitted, task):
        """
        What the file system refuses is a line as well, not a traceback.
        """
        long = task.outputs[0].model_copy(update={"relative_path": f"{'x' * 300}.json"})

        with pytest.raises(
            InvalidPrediction, match=r"case 'n1': output 'x.* cannot be read: File name too long"
        ):
            submission_metrics(
                submitted.paths, submitted.ground_truth, task.model_copy(update={"outputs": (long,)})
            )

    def test_an_output_socket_that_is_missing(self, submitted, metrics_of):
        """
        A job that does not list the output has not produced it.
        """
        jobs = [job(case) for case in SCORES]
        jobs[3]["outputs"] = []
        submitted.write_jobs(jobs)

        with pytest.raises(InvalidPrediction) as caught:
            metrics_of()

        assert str(caught.value) == f"case 'n4': output {OUTPUT!r} is missing; given: none (job 'job-n4')"

    def test_no_ground_truth(self, submitted, task, tmp_path):
        """
        The folder is named.
        """
        with pytest.raises(UserError, match="absent: no such folder; it must hold the ground truth"):
            submission_metrics(submitted.paths, tmp_path / "absent", task)


class TestWriteMetrics:
    def test_reads_back(self, submitted, task, tmp_path):
        """
        The file is the result, whole and finite.
        """
        path = tmp_path / "output" / "metrics.json"

        metrics = write_metrics(path, submitted.paths, submitted.ground_truth, task)

        assert read_json(path, Metrics) == metrics
        assert [entry.name for entry in path.parent.iterdir()] == ["metrics.json"]

    def test_same_bytes_every_time(self, submitted, task, tmp_path):
        """
        Two evaluations of one submission write the same file.
        """
        paths = [tmp_path / "one.json", tmp_path / "two.json"]
        for path in paths:
            write_metrics(path, submitted.paths, submitted.ground_truth, task)

        assert paths[0].read_bytes() == paths[1].read_bytes()

    def test_platform_addresses(self, submitted, task, tmp_path):
        """
        Ranked numbers are plain numbers under dotted paths of dict keys.
        """
        path = tmp_path / "metrics.json"
        write_metrics(path, submitted.paths, submitted.ground_truth, task)
        aggregates = json.loads(path.read_text())["aggregates"]

        for metric in ("auroc", "ap"):
            assert math.isfinite(aggregates[metric]["value"])
            assert math.isfinite(aggregates[metric]["standard_error"])

    def test_an_older_result_does_not_survive_a_refusal(self, submitted, task, tmp_path):
        """
        After a refusal there is no metrics.json, whatever was there.
        """
        path = tmp_path / "metrics.json"
        write_metrics(path, submitted.paths, submitted.ground_truth, task)
        submitted.write_text("n1", "null")

        with pytest.raises(InvalidPrediction):
            write_metrics(path, submitted.paths, submitted.ground_truth, task)

        assert not path.exists()

    def test_a_place_that_cannot_be_written(self, submitted, task, tmp_path):
        """
        A clear line, no traceback.
        """
        (tmp_path / "file").write_text("")

        with pytest.raises(UserError, match=r"metrics\.json: an older result cannot be removed"):
            write_metrics(tmp_path / "file" / "metrics.json", submitted.paths, submitted.ground_truth, task)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


class TestAnyInput:
    @settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(document=JSON_VALUES, place=st.sampled_from(["manifest", "job", "inputs", "socket", "output"]))
    def test_ends_in_metrics_or_one_line(self, tmp_path_factory, task, document, place):
        """
        Whatever JSON stands in any place: a result or a declared refusal, never another exception.
        """
        root = tmp_path_factory.mktemp("any")
        made = write_submission(root / "input", root / "ground_truth")
        jobs = [job(case) for case in SCORES]
        match place:
            case "manifest":
                made.write_jobs(document)
            case "job":
                made.write_jobs([*jobs[1:], document])
            case "inputs":
                made.write_jobs([*jobs[1:], job("n1", inputs=document)])
            case "socket":
                made.write_jobs([*jobs[1:], job("n1", inputs=[{"socket": document, "image": document}])])
            case "output":
                made.write_text("n1", json.dumps(document))

        try:
            metrics = submission_metrics(made.paths, made.ground_truth, task)
        except UserError as error:
            lines = str(error).splitlines()
        else:
            lines = [metrics.task]

        assert all(lines)
