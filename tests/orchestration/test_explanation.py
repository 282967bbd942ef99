"""Why a job will run."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from reseed.contracts.errors import UserError
from reseed.orchestration.explanation import explanation, named_job
from reseed.orchestration.plan import study_plan

from .conftest import SmallProject
from .test_study_run import Diary, study_run

ONE = {"one": {"algorithm": "logistic", "settings": {"features": 1}}}


@pytest.fixture
def finished(project: SmallProject, tmp_path: Path) -> Path:
    """The folder of a finished study of one run."""
    out = tmp_path / "out"
    assert study_run(project.study(methods=ONE, runs=1, members=1), out).run(Diary(), n_jobs=2).is_complete
    return out


def _why(study: Path, out: Path, name: str) -> list[str]:
    run = study_run(study, out)
    plan = study_plan(run.inputs)
    return explanation(named_job(plan, name), plan, run.folder)


def test_what_is_done_will_not_run(project: SmallProject, finished: Path):
    """A finished job says where its result is."""
    (line,) = _why(project.study(methods=ONE, runs=1, members=1), finished, "train/one/run-0/member-0")

    assert line.startswith("train/one/run-0/member-0 is done and will not run: its result is in ")


def test_a_changed_setting_is_named_with_its_values(project: SmallProject, finished: Path):
    """The training's own setting has changed; the score follows the change to its root."""
    methods = {"one": {"algorithm": "logistic", "settings": {"features": 1, "n_steps": 41}}}
    study = project.study(methods=methods, runs=1, members=1)

    changed = "changed: setting n_steps: 40 is now 41"
    assert _why(study, finished, "train/one/run-0/member-0") == ["train/one/run-0/member-0 will run", changed]
    assert _why(study, finished, "score/one/run-0") == ["score/one/run-0 will run", changed]


def test_a_setting_that_is_empty_is_not_absent(project: SmallProject, finished: Path):
    """A setting that the algorithm has got since, with nothing in it, is told as what it is."""
    path = project.root / "algorithms/logistic/manifest.yaml"
    manifest = yaml.safe_load(path.read_text())
    manifest["hyperparameters"]["suffix"] = {"type": "string", "default": "", "description": "Of nothing."}
    path.write_text(yaml.safe_dump(manifest))

    lines = _why(project.study(methods=ONE, runs=1, members=1), finished, "train/one/run-0/member-0")

    assert "changed: setting suffix: absent is now ''" in lines


def test_other_entropy_is_other_seeds(project: SmallProject, finished: Path):
    """Every seed that has changed is named."""
    lines = _why(
        project.study(methods=ONE, runs=1, members=1, entropy=8), finished, "train/one/run-0/member-0"
    )

    assert sum(line.startswith("changed: variable RESEED_SEED_") for line in lines) == 5


def test_changed_code_and_data_are_named(project: SmallProject, finished: Path):
    """An edited program, and a dataset whose manifest has other digests."""
    program = project.root / "algorithms/logistic/train.py"
    program.write_text(program.read_text() + "# a comment\n")
    manifest = project.dataset / "dataset.json"
    text = manifest.read_text()
    start = text.index('"training/training.csv": "') + len('"training/training.csv": "')
    manifest.write_text(text[:start] + "0" * 64 + text[start + 64 :])

    lines = _why(project.study(methods=ONE, runs=1, members=1), finished, "preprocess/one")

    assert lines[1].startswith("changed: the program of logistic: ")
    assert lines[2] == "changed: the data that preprocess/one reads"


def test_a_new_run_is_new(project: SmallProject, finished: Path):
    """What was never done has no earlier job to differ from."""
    study = project.study(methods=ONE, runs=2, members=1)

    assert _why(study, finished, "train/one/run-1/member-0")[1:] == [
        "no job of that name has been done in this study folder"
    ]
    assert "changed: score/one/run-1 is new" in _why(study, finished, "compare")


def test_a_failure_is_told(project: SmallProject, tmp_path: Path):
    """A job that failed says why it did."""
    methods = {"bad": {"algorithm": "logistic", "settings": {"crash": "fail"}}}
    study = project.study(methods=methods, runs=1, members=1)
    study_run(study, tmp_path / "out").run(Diary(), n_jobs=2)

    lines = _why(study, tmp_path / "out", "train/bad/run-0/member-0")

    assert lines[0] == (
        "train/bad/run-0/member-0 has failed and will not run again by itself; --retry-failed tries it again"
    )
    assert lines[1] == "attempt 1 ended without a result: exit code 1: the gradient is not finite"
    assert lines[2] == "attempt 2 ended without a result: exit code 1: the gradient is not finite"


def test_a_name_that_is_no_job(project: SmallProject, tmp_path: Path):
    """A wrong name is refused; the start of a key is enough."""
    run = study_run(project.study(), tmp_path / "out")
    plan = study_plan(run.inputs)

    assert named_job(plan, plan.jobs[3].key[:12]) is plan.jobs[3]
    with pytest.raises(UserError, match="no job of this study is named 'train/three'"):
        named_job(plan, "train/three")
