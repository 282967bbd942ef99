"""`reseed evaluate`: the same result as the container, and words to read."""

import pytest

from reseed.cli.evaluate import evaluate
from reseed.contracts.errors import InvalidPrediction, UserError
from reseed.contracts.metrics import Metrics
from reseed.documents.reading import read_json
from tests.scoring.submissions import AUROC, REPOSITORY, TASKS


class TestEvaluate:
    def test_words(self, submitted, capsys):
        """
        Without --out it prints the metrics with their intervals and writes nothing.
        """
        evaluate(submitted.folder, submitted.ground_truth, "nodule_malignancy")

        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "Malignancy of lung nodules: 5 nodules of 4 patients"
        assert lines[1].startswith("  AUROC              0.667   ")
        assert lines[1].endswith("(95 %, for this one run on new patients)")
        assert lines[2].startswith("  average precision  0.867   ")

    def test_file(self, submitted, tmp_path, monkeypatch, capsys):
        """
        --out writes metrics.json; the task is found from outside a checkout as well.
        """
        monkeypatch.chdir(tmp_path)

        evaluate(submitted.folder, submitted.ground_truth, "nodule_malignancy", tmp_path / "m.json")

        assert read_json(tmp_path / "m.json", Metrics).aggregates["auroc"].value == pytest.approx(AUROC)

    def test_task_by_path(self, submitted, capsys):
        """
        Any task file will do.
        """
        evaluate(submitted.folder, submitted.ground_truth, str(TASKS / "nodule_malignancy.yaml"))

        assert "5 nodules" in capsys.readouterr().out

    def test_a_checkout_of_ones_own(self, submitted, tmp_path, monkeypatch):
        """
        In a folder with its own evaluation/tasks these are the tasks.
        """
        (tmp_path / "evaluation" / "tasks").mkdir(parents=True)
        monkeypatch.chdir(tmp_path)

        with pytest.raises(UserError, match=r"no task 'nodule_malignancy' in .*; tasks there: none"):
            evaluate(submitted.folder, submitted.ground_truth, "nodule_malignancy")

    def test_refusal(self, submitted, tmp_path, monkeypatch):
        """
        The one line of a refusal, and no file.
        """
        monkeypatch.chdir(REPOSITORY)
        submitted.write_text("n3", "2")
        (tmp_path / "m.json").write_text("{}")

        with pytest.raises(InvalidPrediction, match=r"case 'n3': .* must be at most 1, got 2.0"):
            evaluate(submitted.folder, submitted.ground_truth, "nodule_malignancy", tmp_path / "m.json")

        assert not (tmp_path / "m.json").exists()
