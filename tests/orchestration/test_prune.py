"""`reseed prune`: what can go, and what never does."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from reseed.contracts.errors import UserError
from reseed.orchestration.collection import CollectionFolder, read_collection
from reseed.orchestration.plan import study_plan
from reseed.orchestration.prune import leftovers
from reseed.orchestration.state import exclusive
from reseed.orchestration.study_folder import StudyFolder

from .conftest import SmallProject
from .test_study_run import Diary, study_run


def _pruned(out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reseed", "prune", str(out), *options],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def _files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def out(project: SmallProject, tmp_path: Path) -> Path:
    """A study that was run, and run again with another number of steps of one method."""
    for n_steps in (3, 4):
        methods = {
            "one": {"algorithm": "logistic", "settings": {"features": 1}},
            "two": {"algorithm": "logistic", "settings": {"n_steps": n_steps}},
        }
        study = project.study(methods=methods, runs=1, members=1)
        assert study_run(study, tmp_path / "out").run(Diary(), n_jobs=2).is_complete
    return tmp_path / "out"


def test_superseded_jobs_go_and_finished_ones_stay(project: SmallProject, out: Path):
    """Pruned, the folder has all that a study would that was run once, and runs nothing again."""
    plan = study_plan(study_run(project.root / "studies/small.yaml", out).inputs)
    before = _files(out)

    dry = _pruned(out, "--dry-run")

    assert _files(out) == before
    named = sorted(line.strip().split("  ", 1)[1] for line in dry.stdout.splitlines()[:-1])
    assert named == [
        "compare: no longer in the plan",
        "predict/two/run-0: no longer in the plan",
        "score/two/run-0: no longer in the plan",
        "train/two/run-0/member-0: no longer in the plan",
    ]
    assert dry.stdout.splitlines()[-1].startswith("4 things, ")
    assert dry.stdout.rstrip().endswith("would go")

    assert _pruned(out).stdout.rstrip().endswith("removed")

    assert {path.name for path in (out / "jobs").iterdir()} == {job.key for job in plan.jobs}
    assert _files(out) < before
    assert (out / "runs/two/0/model/member-0/weights.json").is_file()
    diary = Diary()
    assert study_run(project.root / "studies/small.yaml", out).run(diary, n_jobs=2).is_complete
    assert diary.started_jobs == []
    assert leftovers(StudyFolder(out)) == []


def test_leftovers_of_attempts_and_crashes_go(out: Path):
    """Checkpoints of what is done, scratch of what is over, halves of files; logs and records stay."""
    study = StudyFolder(out)
    _pruned(out)
    key = next(path.parent.parent.parent.name for path in out.glob("jobs/*/output/model/weights.json"))
    job = study.job(key)
    clean = _files(out)
    for path in (
        job.checkpoints / "step-9.pt",
        job.attempt(1).output / "model/weights.json",
        job.attempt(1).root / "opt/ml/x",
        job.path / ".state.json.7.tmp",
        out / ".plan.json.7.tmp",
        out / "runs/two/.0.building/metrics.json",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")

    assert _pruned(out).returncode == 0

    assert _files(out) == clean


def test_what_runs_is_left_alone(out: Path):
    """A job that is recorded as running may run: neither it nor its attempt is touched."""
    study = StudyFolder(out)
    _pruned(out)
    path = next(iter(out.glob("jobs/*/state.json")))
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "state": "running"}))
    (path.parent / "attempts/1/output").mkdir()
    study.plan.write_text("[]")

    doomed = {leftover.path for leftover in leftovers(study)}

    assert path.parent not in doomed
    assert len([path for path in doomed if path.parent == study.jobs]) == len(list(study.jobs.iterdir())) - 1


def test_a_study_that_is_at_work_is_not_pruned(out: Path, tmp_path: Path):
    """The orchestrator may just be about to need it. And a folder without a study has nothing to prune."""
    with exclusive(StudyFolder(out)):
        refused = _pruned(out)
    assert refused.returncode == 2
    assert "runs this study" in refused.stderr

    with pytest.raises(UserError, match=r"no plan\.json here"):
        leftovers(StudyFolder(tmp_path))


class TestCollection:
    @pytest.fixture
    def folder(self, project: SmallProject, tmp_path: Path) -> CollectionFolder:
        """A collection of two studies that were run; the first again, with another number of steps."""
        studies = []
        for name, features in (("first", 1), ("second", 2)):
            methods = {"one": {"algorithm": "logistic", "settings": {"features": features}}}
            written = project.study(f"{name}.yaml", study=name, runs=1, members=1, methods=methods)
            studies.append(yaml.safe_load(written.read_text()))
        path, folder = project.root / "studies/both.yaml", CollectionFolder(tmp_path / "both")
        folder.path.mkdir()
        for n_steps in (3, 4):
            studies[0]["methods"]["one"]["settings"]["n_steps"] = n_steps
            path.write_text(yaml.safe_dump({"collection": "both", "studies": studies}))
            context = read_collection(path)
            folder.claim(context)
            for read in context.studies:
                name = read.study.study
                run = study_run(path.with_name(f"{name}.yaml"), folder.study(name).path)
                run = dataclasses.replace(run, context=folder.prepared(read))
                assert run.run(Diary(), n_jobs=2).is_complete
        return folder

    def test_what_another_study_needs_stays(self, folder: CollectionFolder):
        """
        Of the shared jobs only those go that no study asks for; the runs shown are each study's own.
        """
        first, second = folder.study("first"), folder.study("second")
        needed = {job["key"] for study in (first, second) for job in json.loads(study.plan.read_text())}
        there = {path.name for path in (folder.path / "jobs").iterdir()}
        assert len(there - needed) == 4

        done = _pruned(first.path)

        assert done.returncode == 0, done.stderr
        assert {path.name for path in (folder.path / "jobs").iterdir()} == needed
        assert leftovers(first) == leftovers(second) == []

    def test_a_study_whose_needs_are_not_known(self, folder: CollectionFolder):
        """
        Without its plan, with half of one, or without its folder: one line names it, and nothing goes.
        """
        first, second = folder.study("first"), folder.study("second")
        plan = second.plan.read_bytes()
        before = _files(folder.path)

        second.plan.write_bytes(plan[:-9])
        with pytest.raises(UserError, match=r"second/plan\.json: not valid JSON.*which of them second needs"):
            leftovers(first)
        second.plan.unlink()
        with pytest.raises(UserError, match=r"second/plan\.json: no such file; .*which of them second needs"):
            leftovers(first)
        second.path.rename(folder.path.with_name("elsewhere"))
        refused = _pruned(first.path)

        assert refused.returncode == 2
        assert len(refused.stderr.strip().splitlines()) == 1
        assert "second/plan.json: no such file" in refused.stderr
        assert {path for path in before if path.parts[0] != "second"} <= _files(folder.path)

    def test_a_collection_that_is_at_work(self, folder: CollectionFolder):
        """
        Whichever of its studies runs, its jobs are not pruned beside it.
        """
        with exclusive(folder.study("second")):
            refused = _pruned(folder.study("first").path)

        assert refused.returncode == 2
        assert f"{folder.path}: another reseed" in refused.stderr
