"""What a node does with one element of a batch; Slurm itself is in test_real.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from reseed.contracts.job import Job, JobRecord, JobState
from reseed.contracts.slurm import SlurmSettings
from reseed.orchestration.slurm.batch import Batch, recorded
from reseed.orchestration.slurm.step import (
    EXIT_AGAIN,
    EXIT_BLOCKED,
    EXIT_CLOSED,
    EXIT_FAILED,
    TIME_LIMIT,
)
from reseed.orchestration.state import write_job_record
from tests.orchestration.conftest import SmallProject

from .conftest import ClusterStudy, cluster_study

DEADLINE_S = 60
TRAINING = "train/one/run-0/member-0"


def _start(batch: Batch, *, array: int = 999_999, restart: int = 0) -> subprocess.Popen[str]:
    """Start an element as a batch script would."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SLURM_")},
        "SLURM_ARRAY_JOB_ID": str(array),
        "SLURM_ARRAY_TASK_ID": "0",
        "SLURM_JOB_ID": str(array),
        "SLURM_JOB_PARTITION": "main",
        "SLURM_RESTART_COUNT": str(restart),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "reseed.orchestration.slurm.step", str(batch.path)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def _done(batch: Batch) -> tuple[int, str]:
    process = _start(batch)
    said, _ = process.communicate(timeout=DEADLINE_S)
    return process.returncode, said


def _record(study: ClusterStudy, job: Job) -> JobRecord:
    return recorded(study.folder, job.key)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _prepared(study: ClusterStudy) -> Job:
    """Preprocess; the training that can start now."""
    assert _done(study.batch([study.job("preprocess/one")], name="small-preprocess"))[0] == 0
    return study.job(TRAINING)


def test_a_job_is_done_as_the_local_runner_does_it(clustered: ClusterStudy):
    """Output in place, state recorded with where it ran, the attempt's log kept."""
    job = clustered.job("preprocess/one")

    code, said = _done(clustered.batch([job]))

    assert code == 0, said
    record = _record(clustered, job)
    assert record.state is JobState.SUCCEEDED
    attempt = record.attempts[-1]
    assert (attempt.executor, attempt.handle["slurm_job"], attempt.handle["partition"]) == (
        "slurm",
        "999999_0",
        "main",
    )
    assert attempt.handle["node"] == os.uname().nodename
    folder = clustered.folder.job(job.key)
    assert (folder.output / "table.csv").is_file()
    assert folder.attempt(1).log.is_file()
    assert not folder.attempt(1).scratch.exists()


def test_a_job_that_is_done_is_not_done_again(clustered: ClusterStudy):
    """Whoever submits it twice, it has one attempt."""
    job = clustered.job("preprocess/one")
    batch = clustered.batch([job])
    _done(batch)

    assert _done(batch)[0] == 0
    assert len(_record(clustered, job).attempts) == 1


def test_two_elements_with_one_job_do_it_once(clustered: ClusterStudy):
    """Two tasks of Slurm for one key, started at once: one has the job, the other waits and finds it done."""
    job = _prepared(clustered)
    batches = [clustered.batch([job], name=f"small-{number}") for number in range(2)]

    steps = [_start(batch, array=999_000 + number) for number, batch in enumerate(batches)]
    outputs = [step.communicate(timeout=DEADLINE_S)[0] for step in steps]

    assert [step.returncode for step in steps] == [0, 0], outputs
    assert len(_record(clustered, job).attempts) == 1
    assert sum("has been done already" in said for said in outputs) == 1


def test_a_closed_batch_does_nothing(clustered: ClusterStudy):
    """An sbatch that got through after its orchestrator was killed has no effect."""
    batch = clustered.batch([clustered.job("preprocess/one")])
    batch.close("submitted again")

    code, said = _done(batch)

    assert code == EXIT_CLOSED
    assert "not started: submitted again" in said
    assert not clustered.folder.jobs.exists()


def test_a_job_whose_need_has_failed_is_not_started(clustered: ClusterStudy):
    """That the array before has ended does not say how; no attempt is counted."""
    preprocess, training = clustered.job("preprocess/one"), clustered.job(TRAINING)
    write_job_record(
        clustered.folder, JobRecord(key=preprocess.key, name=preprocess.name, state=JobState.FAILED)
    )

    code, said = _done(clustered.batch([training]))

    assert code == EXIT_BLOCKED
    assert "which it needs, has no result" in said
    assert _record(clustered, training).attempts == ()
    predict = clustered.job("predict/one/run-0")
    assert (
        _done(clustered.batch([predict], name="small-predict"))[0] == EXIT_BLOCKED
    )  # and those after it at once


def test_a_training_that_fails_twice_the_same_way_has_failed(project: SmallProject, tmp_path: Path):
    """As anywhere: once more in case it was chance, and no third time, whoever submits it."""
    methods = {"one": {"algorithm": "logistic", "settings": {"crash": "fail"}}}
    study = project.study(methods=methods, runs=1, members=1)
    failing = cluster_study(study, tmp_path / "out", SlurmSettings(gres=None))
    job = _prepared(failing)

    ends = []
    for name in ("small-first", "small-second", "small-third"):
        code, said = _done(failing.batch([job], name=name))
        ends.append((code, _record(failing, job).state))
        assert f"{ends[-1][1].value}: exit code 1: the gradient is not finite" in said
        write_job_record(failing.folder, _record(failing, job).model_copy(update={"state": JobState.QUEUED}))

    assert ends == [
        (EXIT_AGAIN, JobState.QUEUED),
        (EXIT_FAILED, JobState.FAILED),
        (EXIT_FAILED, JobState.FAILED),  # forced: once, not twice
    ]
    assert {attempt.fault for attempt in _record(failing, job).attempts} == {"job"}


def test_a_program_that_has_changed_since_is_not_run(clustered: ClusterStudy, project: SmallProject):
    """A result would be recorded under the key of another program."""
    batch = clustered.batch([clustered.job("preprocess/one")])
    program = project.root / "algorithms/logistic/preprocess.py"
    program.write_text(program.read_text() + "\n# changed\n")

    code, said = _done(batch)

    assert code == EXIT_FAILED
    assert "has been changed since" in said


def test_a_killed_step_is_followed_by_one_that_goes_on(slow: ClusterStudy):
    """SIGKILL of the step alone: its program is ended, the attempt recorded, the training resumed."""
    job = _prepared(slow)
    batch = slow.batch([job])
    step = _start(batch)
    folder = slow.folder.job(job.key)
    _until((folder.checkpoints / "state.json").is_file)
    os.killpg(step.pid, signal.SIGKILL)
    step.communicate()

    code, said = _done(batch)

    assert code == 0, said
    first, second = _record(slow, job).attempts
    assert (first.fault, first.reason) == (
        "infrastructure", "vanished without an exit code: killed from outside",
    )  # fmt: skip
    assert first.ended is not None
    assert second.number == 2
    assert "resumed at step" in folder.attempt(2).log.read_text()


def test_a_step_killed_before_it_published_is_not_repeated(clustered: ClusterStudy):
    """The program had ended with 0: the next start takes its output."""
    job = _prepared(clustered)
    batch = clustered.batch([job])
    step = _start(batch)
    folder = clustered.folder.job(job.key)
    _until((folder.checkpoints / "state.json").is_file)
    os.kill(step.pid, signal.SIGSTOP)
    _until(folder.attempt(1).exit_code.is_file)
    os.kill(step.pid, signal.SIGKILL)
    step.communicate()

    code, said = _done(batch)

    assert code == 0, said
    assert len(_record(clustered, job).attempts) == 1
    assert (folder.output / "model/weights.json").is_file()


def test_a_second_start_ends_an_earlier_one_that_is_still_alive(slow: ClusterStudy):
    """
    Slurm has given the node up and started the job again while the old start is still there.

    The old one checkpoints and ends; the new one goes on where it was. Never are there two.
    """
    job = _prepared(slow)
    batch = slow.batch([job])
    old = _start(batch)
    folder = slow.folder.job(job.key)
    _until((folder.checkpoints / "state.json").is_file)

    new = _start(batch, restart=1)
    said, _ = new.communicate(timeout=DEADLINE_S)
    old_said, _ = old.communicate(timeout=DEADLINE_S)

    assert new.returncode == 0, said
    assert old.returncode == EXIT_AGAIN, old_said
    first, second = _record(slow, job).attempts
    assert (first.fault, second.fault) == ("interruption", None)
    assert first.ended is not None
    assert first.ended <= second.started


def test_the_time_limit_ends_a_training_at_its_checkpoint(slow: ClusterStudy):
    """Slurm's signal before the limit: the training goes on in the next job, which is no fault of anybody."""
    job = _prepared(slow)
    step = _start(slow.batch([job], time_s=150))
    folder = slow.folder.job(job.key)
    _until((folder.checkpoints / "state.json").is_file)

    step.send_signal(signal.SIGTERM)
    said, _ = step.communicate(timeout=DEADLINE_S)

    assert step.returncode == EXIT_AGAIN, said
    record = _record(slow, job)
    assert record.state is JobState.QUEUED
    assert (record.attempts[-1].reason, record.attempts[-1].fault) == (TIME_LIMIT, "interruption")
    assert "`reseed run` will submit it again" in said  # there is no such job in Slurm


def test_outside_of_slurm_it_says_what_it_is_for():
    """One line, and no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "reseed.orchestration.slurm.step", "/nowhere"],
        capture_output=True, text=True, check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("SLURM_")},
    )  # fmt: skip

    assert done.returncode == EXIT_FAILED
    assert "to be started by Slurm" in done.stdout
    assert not done.stderr


@pytest.fixture(autouse=True)
def _no_leftovers():
    """No step and no program survives its test."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before
