"""The evaluation container's program, run for real below a root prefix."""

import json
import os
import subprocess
import sys

import pytest

from reseed.contracts.containers import EvaluationPaths
from reseed.contracts.metrics import Metrics
from reseed.documents.reading import read_json
from tests.scoring.submissions import (
    AP,
    AUROC,
    OUTPUT,
    REPOSITORY,
    SCORES,
    TASKS,
    job,
    reference_rows,
    write_submission,
)

PROGRAM = REPOSITORY / "evaluation" / "evaluate.py"
TASK_TEXT = (TASKS / "nodule_malignancy.yaml").read_text(encoding="utf-8")


class Container:
    """A root folder that looks like the inside of the container."""

    def __init__(self, root):
        self.root = root
        self.paths = EvaluationPaths(root)
        self.submitted = write_submission(root / "input", self.paths.ground_truth)
        self.paths.metrics.parent.mkdir()

    def run(self, **environment):
        """Run the program to its end."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith("RESEED_")}
        return subprocess.run(
            [sys.executable, str(PROGRAM)],
            env={**clean, "RESEED_ROOT": str(self.root), "RESEED_TASK": "nodule_malignancy", **environment},
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def refusal(self, **environment):
        """The last line of standard error of a run that must refuse, and leave no result."""
        finished = self.run(**environment)
        assert finished.returncode == 1, finished.stderr
        assert "Traceback" not in finished.stderr
        assert list(self.paths.metrics.parent.iterdir()) == []
        return finished.stderr.splitlines()[-1]


@pytest.fixture
def container(tmp_path):
    """A container with a right submission."""
    return Container(tmp_path / "root")


class TestResult:
    def test_metrics(self, container):
        """
        A right submission ends with exit code 0 and a whole metrics.json of hand-worked numbers.
        """
        finished = container.run()

        assert finished.returncode == 0, finished.stderr
        assert finished.stdout == ""
        metrics = read_json(container.paths.metrics, Metrics)
        assert metrics.aggregates["auroc"].value == pytest.approx(AUROC, abs=1e-12)
        assert metrics.aggregates["ap"].value == pytest.approx(AP, abs=1e-12)
        assert len(metrics.results) == len(SCORES)

    def test_every_line_of_progress_is_json(self, container):
        """
        Standard error carries one event a line: the task, the cases, the result.
        """
        events = [json.loads(line) for line in container.run().stderr.splitlines()]

        assert [event["event"] for event in events] == ["task", "cases", "done", "finished"]
        assert events[1] == {"event": "cases", "done": 5, "total": 5}

    def test_writes_only_to_output(self, container):
        """
        Nothing else in the tree changes: the input, the ground truth and the program may be read-only.
        """

        def files():
            return {
                path
                for path in container.root.rglob("*")
                if container.paths.metrics.parent not in path.parents
            }

        before = files()
        container.run()

        assert files() == before

    def test_shuffled_jobs_of_an_older_platform_behind_a_link(self, container):
        """
        Jobs in any order, under `interface`, with /input a symlink: the same file to the byte.
        """
        container.run()
        expected = container.paths.metrics.read_bytes()
        container.submitted.write_jobs([job(case, key="interface") for case in reversed(SCORES)])
        (container.root / "input").rename(container.root / "elsewhere")
        (container.root / "input").symlink_to("elsewhere")

        assert container.run().returncode == 0
        assert container.paths.metrics.read_bytes() == expected


class TestTask:
    def test_shipped_with_the_ground_truth(self, container):
        """
        task.yaml in the ground truth overrides the image's own task.
        """
        container.paths.task.write_text(TASK_TEXT.replace("task: nodule_malignancy", "task: mine"))

        container.run()

        assert read_json(container.paths.metrics, Metrics).task == "mine"

    def test_by_path(self, container):
        """
        A path in RESEED_TASK comes before everything.
        """
        container.paths.task.write_text(TASK_TEXT.replace("task: nodule_malignancy", "task: shipped"))
        (container.root / "asked.yaml").write_text(
            TASK_TEXT.replace("task: nodule_malignancy", "task: asked")
        )

        container.run(RESEED_TASK=str(container.root / "asked.yaml"))

        assert read_json(container.paths.metrics, Metrics).task == "asked"

    def test_unknown(self, container):
        """
        A name that the image does not have is refused, with the nearest one.
        """
        assert "did you mean 'nodule_malignancy'?" in container.refusal(RESEED_TASK="nodule_malignacy")

    def test_a_bad_task_file(self, container):
        """
        The last line is complete: the first mistake with its place, and how many there are.
        """
        container.paths.task.write_text(
            TASK_TEXT.replace("by: image_name", "by: x").replace("title:", "tilte:", 1)
        )

        line = container.refusal()

        assert line.startswith(f"{container.paths.task}:5:1: title: required, and missing")
        assert line.endswith("(the first of 3 mistakes, all listed above)")


class TestRefusal:
    @pytest.mark.parametrize(
        ("case", "text", "line"),
        [
            ("n3", "NaN", f"case 'n3': {OUTPUT}: not valid JSON: NaN is not a JSON number"),
            ("n4", "1.5", f"case 'n4': {OUTPUT} must be at most 1, got 1.5"),
            ("n1", "null", f"case 'n1': {OUTPUT} must be a number, got null"),
        ],
    )
    def test_a_value_that_is_no_likelihood(self, container, case, text, line):
        """
        One clear line that names the case; an older result is gone.
        """
        container.paths.metrics.write_text("{}")
        container.submitted.write_text(case, text)

        assert container.refusal() == line

    def test_a_missing_case(self, container):
        """
        A case without a prediction is named.
        """
        container.submitted.write_jobs([job(case) for case in SCORES if case != "n2"])

        assert container.refusal() == "case 'n2': has no prediction"

    def test_a_wrong_id(self, container):
        """
        A prediction of no case of the reference is named.
        """
        container.submitted.write_jobs([job(case) for case in SCORES if case != "n2"] + [job("n9")])

        assert container.refusal().startswith(
            "case 'n9': not a case of the reference standard (job 'job-n9')"
        )

    def test_a_case_twice(self, container):
        """
        Two jobs of one case are named.
        """
        container.submitted.write_jobs([job(case) for case in SCORES] + [job("n2", pk="more")])

        assert container.refusal() == "case 'n2': predicted twice, by the jobs 'job-n2' and 'more'"

    def test_no_predictions(self, container):
        """
        An empty /input.
        """
        container.submitted.paths.predictions.unlink()

        assert container.refusal().endswith("predictions.json: no such file")

    def test_a_reference_of_one_class(self, container):
        """
        The organiser's mistake is told as plainly.
        """
        container.submitted.write_reference([row for row in reference_rows() if row[3] == "1"])

        assert container.refusal().endswith("all 3 cases have label 1; both 0 and 1 must be there")

    def test_no_ground_truth(self, container):
        """
        A container started without its ground truth.
        """
        container.paths.ground_truth.rename(container.root / "elsewhere")

        assert container.refusal().endswith("ground_truth: no such folder; it must hold the ground truth")

    def test_a_file_that_does_not_fit(self, container):
        """
        When /output has no room the line says so, and no partial file stays behind.
        """
        limited = subprocess.run(
            ["/bin/sh", "-c", f"trap '' XFSZ; ulimit -f 1; exec {sys.executable} {PROGRAM}"],
            env={**os.environ, "RESEED_ROOT": str(container.root), "RESEED_TASK": "nodule_malignancy"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

        assert limited.returncode == 1, limited.stderr
        assert limited.stderr.splitlines()[-1].endswith("metrics.json: cannot be written: File too large")
        assert list(container.paths.metrics.parent.iterdir()) == []
