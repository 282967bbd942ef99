"""`reseed compare METRICS.json…`, and reference results: several runs beside each other."""

import json

import numpy as np
import pytest
import typer
from scipy import stats
from typer.testing import CliRunner

from reseed.cli.compare import compare
from reseed.cli.reference_results import reference_results
from reseed.contracts.errors import InvalidDocument, UserError
from reseed.contracts.metrics import Metrics
from reseed.documents.reading import read_json
from reseed.scoring.evaluation import write_metrics
from reseed.scoring.measures import CLASSIFICATION, SEGMENTATION
from reseed.scoring.metrics_files import metrics_by_run
from reseed.scoring.reference_results import draw_comparison
from reseed.scoring.tasks import read_task
from tests.scoring.submissions import SCORES, TASKS, write_submission


@pytest.fixture(scope="module")
def task():
    """The nodule task."""
    return read_task("nodule_malignancy", TASKS)


@pytest.fixture
def study(tmp_path, task):
    """A finished study's folder: two methods, three runs each."""
    rng = np.random.default_rng(11)
    for method in ("planes", "volume"):
        for run in range(3):
            made = write_submission(tmp_path / method / str(run), tmp_path / "ground_truth")
            for case, score in SCORES.items():
                made.write_text(case, json.dumps(float(np.clip(score + rng.normal(0, 0.2), 0, 1))))
            write_metrics(
                tmp_path / "study" / "runs" / method / str(run) / "metrics.json",
                made.paths,
                made.ground_truth,
                task,
            )
    return tmp_path / "study"


def printed(*arguments):
    """What `reseed compare` prints."""
    app = typer.Typer()
    app.command()(compare)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


class TestCompareFiles:
    def test_runs_of_a_study(self, study):
        """
        All runs by their folders: the three scopes.
        """
        output = printed(*sorted(study.glob("runs/*/*/metrics.json")), "--metric", "auroc")

        assert "volume" in output
        assert "planes" in output
        assert "retrained" in output

    def test_submissions(self, study, tmp_path):
        """
        Files with names of their own are submissions of one run each.
        """
        for name, run in (("alice", 0), ("bob", 1)):
            (study / "runs" / "planes" / str(run) / "metrics.json").rename(tmp_path / f"{name}.json")

        assert set(metrics_by_run([tmp_path / "alice.json", tmp_path / "bob.json"])) == {
            ("alice", 0),
            ("bob", 0),
        }
        assert "alice" in printed(tmp_path / "alice.json", tmp_path / "bob.json", "--metric", "ap")

    def test_mistakes(self, study, tmp_path):
        """
        One method, two of one name, other cases, no such metric, tables beside each other.
        """
        files = sorted(study.glob("runs/*/*/metrics.json"))
        with pytest.raises(UserError, match="planes is the only method"):
            printed(*files[:3], "--metric", "auroc")
        with pytest.raises(UserError, match=r"is method 'planes' run 0, as is"):
            printed(files[0], files[0], "--metric", "auroc")
        with pytest.raises(UserError, match="runs cannot be compared by metric 'f1'"):
            printed(*files, "--metric", "f1")
        with pytest.raises(UserError, match="has no metric 'dsc'; it has auroc, ap"):
            printed(*files, "--metric", "dsc")
        with pytest.raises(UserError, match="give one score table, or several metrics"):
            printed(files[0], tmp_path / "scores.csv", "--metric", "auroc")
        document = json.loads(files[0].read_text())
        files[0].write_text(json.dumps({**document, "results": document["results"][1:]}))
        with pytest.raises(UserError, match=r"lacks case 'n1', which .* has"):
            printed(*files, "--metric", "auroc")


class TestReferenceResults:
    def test_a_submission_is_one_draw(self, study, submitted, task, tmp_path, capsys):
        """
        Shipped results give an interval for every metric and method, in words and numbers.
        """
        reference_results(study, submitted.ground_truth)
        assert "planes: 3 runs in" in capsys.readouterr().out

        metrics = write_metrics(tmp_path / "m.json", submitted.paths, submitted.ground_truth, task)

        assert [(found.metric, found.method) for found in metrics.comparisons] == [
            ("auroc", "planes"),
            ("auroc", "volume"),
            ("ap", "planes"),
            ("ap", "volume"),
        ]
        first = metrics.comparisons[0]
        runs = [
            read_json(study / "runs" / "planes" / str(run) / "metrics.json", Metrics)
            .aggregates["auroc"]
            .value
            for run in range(3)
        ]
        assert first.reference_mean == pytest.approx(np.mean(runs))
        assert "this submission, one run, has 0.667 and" in first.words
        assert "Nothing is said about a retraining of this submission" in first.words
        assert read_json(tmp_path / "m.json", Metrics) == metrics

    def test_written_again(self, study, submitted):
        """
        What an earlier study left is replaced, whole.
        """
        reference_results(study, submitted.ground_truth)
        for run in (1, 2):
            (study / "runs" / "volume" / str(run) / "metrics.json").unlink()
        reference_results(study, submitted.ground_truth)

        found = sorted((submitted.ground_truth / "reference_results").glob("*/*/metrics.json"))
        assert len(found) == 4

    def test_mistakes(self, study, submitted, task, tmp_path):
        """
        No study, other cases, a broken file: a line each, and no metrics.json.
        """
        with pytest.raises(UserError, match=r"has no runs/; it must be the folder of a finished study"):
            reference_results(tmp_path, tmp_path / "out")
        reference_results(study, submitted.ground_truth)
        path = submitted.ground_truth / "reference_results" / "volume" / "2" / "metrics.json"
        document = json.loads(path.read_text())
        path.write_text(json.dumps({**document, "results": document["results"][1:]}))
        with pytest.raises(
            UserError, match=r"reference_results/volume/2: lacks case 'n1'; reference results"
        ):
            write_metrics(tmp_path / "m.json", submitted.paths, submitted.ground_truth, task)
        path.write_text(json.dumps({**document, "task": "other"}))
        with pytest.raises(UserError, match=r"volume/2: is of task 'other', not 'nodule_malignancy'"):
            write_metrics(tmp_path / "m.json", submitted.paths, submitted.ground_truth, task)
        path.write_text("{")
        with pytest.raises(InvalidDocument, match="not valid JSON"):
            write_metrics(tmp_path / "m.json", submitted.paths, submitted.ground_truth, task)
        assert not (tmp_path / "m.json").exists()


class TestDrawComparison:
    def test_interval_by_the_book(self):
        """
        Hahn and Meeker's prediction interval for one more draw, and its share.
        """
        runs = [0.80, 0.82, 0.85, 0.81]
        found = draw_comparison(
            0.83, runs, method="m", metric="auroc", measure=CLASSIFICATION["auroc"], confidence_level=0.95
        )

        scale = np.std(runs, ddof=1) * np.sqrt(1 + 1 / 4)
        low, high = stats.t.interval(0.95, 3, loc=np.mean(runs), scale=scale)
        assert (found.low, found.high) == pytest.approx((low, high))
        assert found.share_reaching == pytest.approx(stats.t.sf((0.83 - np.mean(runs)) / scale, 3))
        assert found.verdict == "within"

    def test_it_covers_as_often_as_it_says(self):
        """
        The next draw of a normal lies inside in 95 of 100 cases, at four runs.
        """
        rng = np.random.default_rng(4)
        draws = rng.normal(0.5, 0.01, (2000, 5))
        inside = [
            draw_comparison(
                row[0],
                row[1:].tolist(),
                method="m",
                metric="auroc",
                measure=CLASSIFICATION["auroc"],
                confidence_level=0.95,
            ).verdict
            == "within"
            for row in draws
        ]
        assert np.mean(inside) == pytest.approx(0.95, abs=0.015)

    def test_lower_is_better(self):
        """
        A larger distance is worse, and its interval is not cut at 1.
        """
        found = draw_comparison(
            9.0,
            [2.0, 2.1, 2.2],
            method="m",
            metric="hd95",
            measure=SEGMENTATION["hd95"],
            confidence_level=0.95,
        )

        assert found.verdict == "worse"
        assert found.share_reaching == pytest.approx(1, abs=1e-3)
        assert "9.000 mm" in found.words

    def test_one_run_has_no_spread(self):
        """
        Then nothing is claimed.
        """
        found = draw_comparison(
            0.9, [0.8], method="m", metric="auroc", measure=CLASSIFICATION["auroc"], confidence_level=0.95
        )

        assert (found.low, found.share_reaching, found.verdict) == (None, None, "unknown")
        assert found.words.endswith("How much a retraining of either would change is unknown.")
