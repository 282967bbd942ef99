"""What runs on for jobs that the plan does not ask for any more."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from reseed.contracts.job import Attempt, JobRecord, JobState
from reseed.documents.reading import read_json
from reseed.orchestration.clock import boot_instant, utc_now
from reseed.orchestration.executors.process import ProcessExecutor, started
from reseed.orchestration.orphans import end_orphans
from reseed.orchestration.plan import Plan
from reseed.orchestration.project import Project
from reseed.orchestration.prune import leftovers
from reseed.orchestration.state import write_job_record
from reseed.orchestration.study_folder import StudyFolder

from .conftest import SmallProject
from .test_study_run import Diary, study_run

_DEADLINE_S = 120
_STOPPED = "train/one/run-0/member-0: still runs and the plan does not ask for it any more; it is stopped"


class Abandoned(NamedTuple):
    """A study file with other settings than the training had that still runs in a folder."""

    study: Path
    out: StudyFolder
    key: str
    pid: int

    @property
    def record(self) -> JobRecord:
        """What is recorded of the training."""
        return read_json(self.out.job(self.key).record, JobRecord)


@pytest.fixture
def abandoned(project: SmallProject, tmp_path: Path) -> Iterator[Abandoned]:
    """An orchestrator was killed while a training ran, and a setting is edited."""
    out = StudyFolder(tmp_path / "out")
    slow = {"one": {"algorithm": "logistic", "settings": {"step_s": 60.0}}}
    study = project.study(methods=slow, runs=1, members=1)
    process = subprocess.Popen(
        [sys.executable, "-m", "reseed", "run", str(study), "--out", str(out.path), "--jobs", "1"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + _DEADLINE_S
    while not (found := list(out.jobs.glob("*/checkpoints/state.json"))):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    key = found[0].parent.parent.name
    last = read_json(out.job(key).record, JobRecord).last
    assert last is not None
    pid = int(last.handle["pid"])
    study = project.study(methods={"one": {"algorithm": "logistic"}}, runs=1, members=1)
    yield Abandoned(study, out, key, pid)
    if psutil.pid_exists(pid):
        os.killpg(pid, signal.SIGKILL)


def test_it_is_stopped_and_its_end_recorded(abandoned: Abandoned):
    """It is named, keeps its checkpoints, and may be pruned."""
    diary = Diary()

    assert study_run(abandoned.study, abandoned.out.path).run(diary, n_jobs=2).is_complete

    assert diary.notices == [_STOPPED]
    assert not psutil.pid_exists(abandoned.pid)
    record = abandoned.record
    assert (record.state, record.last and record.last.fault) == (JobState.QUEUED, "interruption")
    assert (abandoned.out.job(abandoned.key).checkpoints / "state.json").is_file()
    assert abandoned.out.job(abandoned.key).path in [each.path for each in leftovers(abandoned.out)]


def test_what_may_be_another_studys_is_left_alone(abandoned: Abandoned, tmp_path: Path):
    """The study of which this is a copy, or one that shares its jobs with this."""
    copy = StudyFolder(tmp_path / "copy")
    shutil.copytree(abandoned.out.path, copy.path)
    diary = Diary()

    assert study_run(abandoned.study, copy.path).run(diary, n_jobs=2).is_complete
    assert diary.notices == []
    assert read_json(copy.job(abandoned.key).record, JobRecord).state is JobState.QUEUED

    shared = abandoned.out.jobs.rename(tmp_path / "jobs")
    abandoned.out.jobs.symlink_to(shared)
    assert study_run(abandoned.study, abandoned.out.path).run(diary, n_jobs=2).is_complete
    assert diary.notices == []
    assert psutil.pid_exists(abandoned.pid)
    assert abandoned.record.state is JobState.RUNNING


@pytest.mark.timeout(60)
def test_one_that_does_not_stop_is_killed(project: SmallProject, tmp_path: Path):
    """After the grace of every stop."""
    study, key = StudyFolder(tmp_path / "out"), "1" * 64
    folder = study.job(key).attempt(1)
    folder.path.mkdir(parents=True)
    deaf = ["/bin/sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done"]
    attempt = Attempt(
        number=1, executor="process", handle={}, started=utc_now(), started_on_boot_clock=boot_instant()
    )
    record = JobRecord(key=key, name="train/a", state=JobState.RUNNING, attempts=(attempt,))
    write_job_record(study, record)
    executor = ProcessExecutor(Project(project.root), {})
    notices: list[str] = []

    with started(folder, deaf, environment=dict(os.environ), cwd=tmp_path) as program:
        while not folder.log.read_text():
            time.sleep(0.01)
        end_orphans(study, Plan(()), {"process": executor}, notices.append, grace_s=0.5)

    assert program.returncode == -signal.SIGKILL
    assert notices == ["train/a: still runs and the plan does not ask for it any more; it is stopped"]
    assert read_json(study.job(key).record, JobRecord).state is JobState.QUEUED
