"""`reseed run`, `plan` and `train` as a person types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import REPOSITORY, SmallProject


def _typed(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reseed", *map(str, words)],
        cwd=cwd, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def test_run_ends_with_the_conclusions_and_the_report(project: SmallProject, tmp_path: Path):
    """Exit code 0, the three scopes in words, and where the report is."""
    done = _typed("run", project.study(), cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "19 jobs, " in done.stdout
    for scope in ("retrained, new patients", "retrained, these patients", "not retrained, new patients"):
        assert scope in done.stdout
    assert done.stdout.rstrip().endswith("report: small/report.html")
    assert "<html" in (tmp_path / "small/report.html").read_text()[:400]


def test_a_failure_shows_its_log_and_exits_with_1(project: SmallProject, tmp_path: Path):
    """What failed, why, its log's last lines, and that the same command tries again."""
    methods = {"bad": {"algorithm": "logistic", "settings": {"crash": "fail"}}}

    done = _typed("run", project.study(methods=methods, runs=1, members=1), cwd=tmp_path)

    assert done.returncode == 1
    assert "train/bad/run-0/member-0: failed: exit code 1: the gradient is not finite" in done.stdout
    assert "    about to fail" in done.stdout
    assert "1 jobs failed and 3 could not be done for that" in done.stdout
    assert not (tmp_path / "small/report.html").exists()


def test_a_dry_run_prints_the_plan_and_starts_nothing(project: SmallProject, tmp_path: Path):
    """A line a job, with what it comes after; no study folder."""
    done = _typed("run", project.study(), "--dry-run", cwd=tmp_path)

    lines = done.stdout.splitlines()
    assert lines[0] == "19 jobs, 0 done: 2 preprocess, 8 train, 4 predict, 4 score, 1 compare"
    assert [line.split()[1] for line in lines[1:20]] == ["queued"] * 19
    assert lines[2].split()[1:] == ["queued", "train/one/run-0/member-0", "after", "preprocess/one"]
    assert not (tmp_path / "small").exists()


@pytest.mark.parametrize(
    "words",
    [["run", "--dry-run"], ["plan", "--json"], ["plan", "--explain", "train/planes_2d/run-0/member-0"]],
)
def test_a_plan_builds_no_dataset(words: list[str], tmp_path: Path):
    """A dataset that is not here stays away: the plan is shown, and that its keys are provisional."""
    study = REPOSITORY / "studies" / "quickstart.yaml"

    done = _typed(*words, study, "--datasets", tmp_path / "none", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    lines = (done.stdout + done.stderr).splitlines()
    assert lines[-2:] == [
        "not here, so that keys of jobs are provisional:",
        "  dataset lidc-nodules: `reseed run` builds it first",
    ]
    assert ("--json" in words) == bool(done.stderr)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["plan"], ["run"], ["run", "--dry-run"]])
def test_a_file_is_no_folder_of_datasets(words: list[str], project: SmallProject, tmp_path: Path):
    """--datasets is refused as --out is: with code 2, and by the option's name."""
    (tmp_path / "README.md").write_text("words")

    done = _typed(*words, project.study(), "--datasets", "README.md", cwd=tmp_path)

    assert done.returncode == 2
    assert done.stderr == "reseed: README.md: is a file; name a folder with --datasets\n"


@pytest.mark.parametrize("command", ["plan", "run", "train"])
def test_a_known_dataset_of_another_task_is_not_built(command: str, project: SmallProject, tmp_path: Path):
    """Its task is known before; building it would take minutes and a download."""
    study = project.study(dataset="lidc-nodules")

    done = _typed(command, study, "--datasets", tmp_path / "none", cwd=tmp_path)

    assert done.returncode == 2
    assert done.stderr == (
        "reseed: study small: dataset lidc-nodules: made for nodule_malignancy, not for 'two_features'\n"
    )
    assert not (tmp_path / "none").exists()


def test_a_plan_as_json_has_every_key(project: SmallProject, tmp_path: Path):
    """The JSON plan is what plan.json in the study folder will be."""
    study = project.study(runs=1, members=1)
    planned = json.loads(_typed("plan", study, "--json", cwd=tmp_path).stdout)

    _typed("train", study, "--out", "elsewhere", cwd=tmp_path)

    assert planned == json.loads((tmp_path / "elsewhere/plan.json").read_text())
    states = {
        line.split()[2]: line.split()[1]
        for line in _typed("plan", study, "--out", "elsewhere", cwd=tmp_path).stdout.splitlines()[1:]
    }
    assert states["train/one/run-0/member-0"] == "succeeded"
    assert states["compare"] == "queued"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("study: s\nrunz: 3\n", "reseed: bad.yaml:2:1: runz: unknown key"),
        ("study: [\n", "reseed: bad.yaml:2:1: not valid YAML"),
        ("", "reseed: bad.yaml:1:1: "),
    ],
)
def test_a_bad_study_file_is_lines_on_stderr(text: str, line: str, tmp_path: Path):
    """Exit code 2, file:line:column, and no traceback."""
    (tmp_path / "bad.yaml").write_text(text)

    done = _typed("run", "bad.yaml", cwd=tmp_path)

    assert done.returncode == 2
    assert done.stderr.startswith("reseed: bad.yaml:")
    assert line.removeprefix("reseed: ") in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command",
    ["run", "plan", "train", "evaluate", "compare", "verify", "diff", "report", "power", "calibrate", "data"],
)
def test_every_command_has_help_with_an_example(command: str, tmp_path: Path):
    """--help of each command, and of each part of `data`, shows a command line to copy."""
    parts = [["data", part] for part in ("get", "list", "check")] if command == "data" else [[command]]

    for words in parts:
        done = _typed(*words, "--help", cwd=tmp_path)
        assert done.returncode == 0
        assert f"reseed {' '.join(words)}" in done.stdout.split("Usage:")[1].split("\n", 1)[1]
