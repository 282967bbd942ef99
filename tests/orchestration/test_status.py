"""`reseed status`: how a study stands, from its folder alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reseed.contracts.errors import UserError
from reseed.contracts.files import write_json_atomically, write_text_atomically
from reseed.contracts.job import Attempt, Job, JobRecord, JobState
from reseed.orchestration.clock import utc_now
from reseed.orchestration.plan import Plan
from reseed.orchestration.state import exclusive, orchestrator_at_work, write_job_record
from reseed.orchestration.status import status_document, status_lines, study_status
from reseed.orchestration.study_folder import StudyFolder

CODE = "f" * 64


def _job(name: str, *needs: Job) -> Job:
    number = sum(ord(letter) << (index % 8 * 8) for index, letter in enumerate(name))
    return Job(
        key=f"{number:064x}",
        name=name,
        kind=name.split("/", maxsplit=1)[0],
        role="x",
        command="x",
        code=CODE,
        outputs=(),
        needs=tuple(need.key for need in needs),
    )


PREPROCESS = _job("preprocess/a")
GOOD, BAD, SLOW, NEXT = (_job(f"train/a/run-{run}", PREPROCESS) for run in range(4))
PREDICT_GOOD, PREDICT_BAD = _job("predict/a/run-0", GOOD), _job("predict/a/run-1", BAD)
SCORE_BAD = _job("score/a/run-1", PREDICT_BAD)
COMPARE = _job("compare", SCORE_BAD)
PLAN = Plan((PREPROCESS, GOOD, BAD, SLOW, NEXT, PREDICT_GOOD, PREDICT_BAD, SCORE_BAD, COMPARE))


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    """A study in the middle: two jobs done, one failed, one running, five waiting."""
    folder = StudyFolder(tmp_path / "out")
    write_text_atomically(folder.plan, PLAN.as_json())
    for job in (PREPROCESS, GOOD):
        folder.job(job.key).output.mkdir(parents=True)
        _write(folder, job, JobState.SUCCEEDED, None)
    _write(
        folder,
        BAD,
        JobState.FAILED,
        "exit code 1: step 17 is not finite",
        "exit code 1: step 9 is not finite",
    )
    _write(folder, SLOW, JobState.RUNNING, None)
    return folder


def _write(folder: StudyFolder, job: Job, state: JobState, *reasons: str | None) -> None:
    attempts = tuple(
        Attempt(
            number=number,
            executor="process",
            handle={},
            started=utc_now(),
            exit_code=None if reason is None else 1,
            reason=reason,
            fault=None if reason is None else "job",
        )
        for number, reason in enumerate(reasons, start=1)
    )
    write_job_record(folder, JobRecord(key=job.key, name=job.name, state=state, attempts=attempts))


def test_what_is_done_runs_has_failed_and_waits(study: StudyFolder):
    """Counts first; then each running and failed job, and why others will not be done."""
    lines = status_lines(study_status(study))

    assert lines == [
        "out: 9 jobs: 2 done, 1 running, 1 failed, 5 waiting; nobody is at work",
        "preprocess 1/1   train 1/4   predict 0/2   score 0/1   compare 0/1",
        "running:",
        "  train/a/run-2, attempt 1, 0 s",
        "failed:",
        "  train/a/run-1: exit code 1: step 9 is not finite (twice the same way)",
        "will not be done for that:",
        "  predict/a/run-1 needs train/a/run-1",
        "  score/a/run-1 needs train/a/run-1",
        "  compare needs train/a/run-1",
        "waiting: 2 for a slot, 0 for other jobs",
    ]


def test_the_same_as_json(study: StudyFolder):
    """Every job that is not done, with its state, its reason and what it waits for."""
    document = json.loads(json.dumps(status_document(study_status(study))))

    assert document["counts"] == {"succeeded": 2, "failed": 1, "running": 1, "queued": 5}
    jobs = {job["name"]: job for job in document["jobs"]}
    assert jobs["train/a/run-1"]["reason"] == "exit code 1: step 9 is not finite"
    assert jobs["train/a/run-1"]["attempts"] == 2
    assert jobs["compare"]["waits_for"] == ["score/a/run-1"]
    assert jobs["compare"]["blocked_by"] == "train/a/run-1"
    assert jobs["predict/a/run-0"]["blocked_by"] is None


def test_a_look_keeps_nobody_from_starting(study: StudyFolder):
    """It says who is at work without taking the lock, and writes nothing."""
    assert orchestrator_at_work(study) is None
    with exclusive(study):
        before = sorted(study.path.rglob("*"))

        status = study_status(study)

        assert status.orchestrator == os.getpid()
        assert sorted(study.path.rglob("*")) == before
    assert orchestrator_at_work(study) is None


def test_an_output_that_is_gone_is_not_done(study: StudyFolder):
    """What was deleted will be done again, and is not counted as there."""
    study.job(GOOD.key).output.rmdir()

    assert study_status(study).jobs[GOOD.key].state is JobState.QUEUED


def test_an_unknown_state_is_an_error(study: StudyFolder):
    """A state that this version does not know is never taken for done, or for anything else."""
    record = json.loads(study.job(SLOW.key).record.read_text())
    write_json_atomically(study.job(SLOW.key).record, {**record, "state": "hibernating"})

    with pytest.raises(UserError, match="state"):
        study_status(study)


def _typed(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reseed", "status", *map(str, words)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_command(study: StudyFolder, tmp_path: Path):
    """As text, as JSON, watched until nobody is at work; a folder without a study is refused in one line."""
    assert _typed(study.path).stdout.splitlines() == status_lines(study_status(study))
    assert json.loads(_typed(study.path, "--json").stdout)["counts"]["succeeded"] == 2
    assert "9 jobs: 2 done" in _typed(study.path, "--watch").stdout

    for place, reason in ((tmp_path, "no plan.json here"), (tmp_path / "absent", "no such folder")):
        refused = _typed(place)
        assert refused.returncode == 2
        assert refused.stderr.startswith(f"reseed: {place}: {reason}")
