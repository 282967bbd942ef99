"""Does a run come out again?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from reseed.contracts.environment import ProgramEnvironment
from reseed.orchestration.executors.process import ProcessExecutor
from reseed.orchestration.project import Project

from .conftest import REPOSITORY, SmallProject

METHODS = {"two": {"algorithm": "logistic", "settings": {"features": 2}}}


def _typed(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reseed", *map(str, words)],
        cwd=cwd, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


@pytest.fixture
def study(project: SmallProject, tmp_path: Path) -> Path:
    """A study file whose four runs are recorded in tmp_path/small."""
    path = project.study(methods=METHODS, runs=4, members=1)
    done = _typed("run", path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return path


def test_a_run_that_comes_out_again(study: Path, tmp_path: Path):
    """The same seeds, code and data give the same bits; a second verification retrains once more."""
    for _ in range(2):
        done = _typed("verify", study, "--run", "two/1", cwd=tmp_path)

        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines()[-1] == "two/1: bit-identical"
        assert "kept from before" not in done.stdout
        assert "train 1/1" in done.stdout


def test_other_code_with_a_score_among_the_others(study: Path, project: SmallProject, tmp_path: Path):
    """Weights differ, the score is one that a retraining could have: the program is named."""
    program = project.root / "algorithms/logistic/train.py"
    program.write_text(program.read_text().replace("start.gauss(0, 1)", "start.gauss(0, 1.001)"))

    done = _typed("verify", study, "--run", "two/1", cwd=tmp_path)

    assert done.returncode == 0, done.stdout
    assert "two/1: same configuration, within the spread over retrainings" in done.stdout
    assert "the program: digest: " in done.stdout


def test_another_seed_is_not_the_same_run(study: Path, tmp_path: Path):
    """A study file with other entropy does not describe the recorded run."""
    study.write_text(study.read_text().replace("entropy: 7", "entropy: 8"))

    done = _typed("verify", study, "--run", "two/1", cwd=tmp_path)

    assert done.returncode == 1
    assert "two/1: not reproduced" in done.stdout
    assert "a seed: member-0.weights: " in done.stdout


def test_the_environment_of_a_record(study: Path, project: SmallProject, tmp_path: Path):
    """The same machine is the same; another package, kernel or processor is a line, packages first."""
    path = tmp_path / "small/runs/two/0/run.json"
    same = _typed("verify", "--environment", tmp_path / "small", "--project", project.root, cwd=tmp_path)

    record = json.loads(path.read_text())
    record["environment"]["packages"]["numpy"] = "1.0"
    record["environment"]["kernel"] = "2.6"
    record["hardware"]["processor"] = "abacus"
    path.write_text(json.dumps(record))
    other = _typed("verify", "--environment", path.parent, "--project", project.root, cwd=tmp_path)

    assert same.returncode == 0, same.stdout + same.stderr
    assert same.stdout == "logistic: the same as recorded for small, two/0 (process)\n"
    assert other.returncode == 1
    lines = other.stdout.splitlines()
    assert [line.rpartition(": ")[0] for line in lines[:3]] == [
        "a package of the training: numpy",
        "what the training ran in: kernel",
        "the machine: processor",
    ]
    assert lines[0].startswith("a package of the training: numpy: 1.0 | ")
    assert lines[3] == "logistic: 3 differences from small, two/0 (process)"


def test_the_environment_of_what_reports_one(tmp_path: Path):
    """A program with a report of its own is asked in a process of its own, in its own words."""
    project = Project(REPOSITORY)
    algorithm = project.algorithm("nodule_malignancy")

    found = ProcessExecutor(project, {algorithm.name: algorithm}).report(algorithm.name)

    assert found is not None
    assert found["computation"]["deterministic_algorithms"] is True
    assert ProgramEnvironment.model_validate(found["environment"]).packages["torch"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--environment", "x", "--run", "a/0"], "--environment trains nothing"),
        ([], "verify takes STUDY.yaml --run METHOD/RUN, or --environment"),
        (["--environment", "nowhere"], "nowhere: no run.json; name a folder like"),
    ],
)
def test_what_verify_takes(project: SmallProject, tmp_path: Path, words: list[str], message: str):
    """One line for what does not go together."""
    done = _typed("verify", *words, "--project", project.root, cwd=tmp_path)

    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("two/9", "has no recorded run two/9"),
        ("two", "--run takes METHOD/RUN, for instance planes_2d/0, got 'two'"),
    ],
)
def test_a_run_that_is_not_there(project: SmallProject, tmp_path: Path, run: str, message: str):
    """Refused in one line before anything is trained."""
    done = _typed("verify", project.study(methods=METHODS), "--run", run, cwd=tmp_path)

    assert done.returncode == 2
    assert message in done.stderr
