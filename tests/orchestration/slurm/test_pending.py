"""A job that has left Slurm while its claim is held on a node that may be dead."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from reseed.contracts.job import Attempt, JobRecord, JobState
from reseed.orchestration.clock import utc_now
from reseed.orchestration.outcome import Outcome
from reseed.orchestration.plan import Plan
from reseed.orchestration.slurm.batch import Batches
from reseed.orchestration.slurm.claim import Claim, Claims, Holder
from reseed.orchestration.slurm.submission import Submission
from reseed.orchestration.slurm.watch import SlurmRunner
from reseed.orchestration.state import write_job_record
from tests.orchestration.test_study_run import Diary

from .conftest import ClusterStudy

LEASE_S = 3.0
JOB = "preprocess/one"
# far more than Claims takes for a file system that hangs, and than a busy machine takes for the rest
RARELY_S = 120.0


@dataclass
class LostNode:
    """A study whose first job was on a node that is not heard of, and a Slurm that knows nothing of it."""

    study: ClusterStudy
    claim: Claim
    submitted: Path

    def watched(self, *, detach: bool) -> tuple[Outcome, Diary]:
        """What a command makes of it; one that watches is interrupted once the job was submitted again."""
        settings = self.study.cluster.settings.model_copy(update={"poll_s": RARELY_S})
        cluster = replace(self.study.cluster, settings=settings)
        folder, diary = self.study.folder, Diary()
        submission = Submission(cluster, folder, self.study.run.dataset, Batches.of(folder))
        deadline = time.monotonic() + 2 * RARELY_S
        runner = SlurmRunner(
            Plan((self.study.job(JOB),)), folder, submission, diary,
            lambda: self.submitted.is_file() or time.monotonic() > deadline,
            detach=detach, lease_s=LEASE_S,
        )  # fmt: skip
        return runner.run(), diary


@pytest.fixture
def lost(clustered: ClusterStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LostNode:
    """One job is recorded as running, under a claim of another node; squeue has forgotten its array."""
    commands, submitted = tmp_path / "bin", tmp_path / "submitted"
    commands.mkdir()
    for name, does in (
        ("squeue", ""),
        ("sacct", ""),
        ("scontrol", ""),
        ("sbatch", f"echo >>{submitted}; echo $((5000 + $(wc -l <{submitted})))"),
    ):
        (commands / name).write_text(f"#!/bin/bash\n{does}\n")
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    job = clustered.job(JOB)
    batch = clustered.batch([job])
    batch.note_array(4711)
    elsewhere = Holder.here("4711_0").model_copy(update={"node": "another-node", "boot": "another"})
    claim = Claims(clustered.folder.job(job.key).claims).take(elsewhere, after=0)
    assert claim is not None
    handle: dict[str, str | int | float] = {"batch": batch.name, "slurm_job": "4711_0"}
    attempt = Attempt(number=1, executor="slurm", handle=handle, started=utc_now())
    record = JobRecord(key=job.key, name=job.name, state=JobState.RUNNING, attempts=(attempt,))
    write_job_record(clustered.folder, record)
    return LostNode(clustered, claim, submitted)


@pytest.fixture
def heard(lost: LostNode) -> Iterator[LostNode]:
    """The node is there after all: it keeps its claim fresh."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(0.1):
            os.utime(lost.claim.claims.path(1))

    thread = threading.Thread(target=beat)
    thread.start()
    yield lost
    over.set()
    thread.join()


def _timed(act: Callable[[], tuple[Outcome, Diary]]) -> tuple[Outcome, Diary, float]:
    began = time.monotonic()
    outcome, diary = act()
    return outcome, diary, time.monotonic() - began


def test_a_dead_node_is_told_however_seldom_slurm_is_asked(lost: LostNode):
    """Its silence is counted between two questions to Slurm, and the job submitted again before the next."""
    _, diary, took_s = _timed(lambda: lost.watched(detach=False))

    assert lost.submitted.is_file()
    assert LEASE_S <= took_s < RARELY_S
    assert diary.reason(JOB).startswith("Slurm knows it no more")


def test_a_detached_command_stays_to_tell(lost: LostNode):
    """It says what it waits for and how long, and leaves when all is submitted."""
    outcome, diary, took_s = _timed(lambda: lost.watched(detach=True))

    assert lost.submitted.is_file()
    assert LEASE_S <= took_s < RARELY_S
    assert len(diary.notices) == 1
    assert diary.notices[0].startswith(f"{JOB}: left Slurm without a word")
    assert outcome.interrupted


def test_a_node_that_is_heard_keeps_its_job(heard: LostNode):
    """A detached command leaves as soon as it hears it: nothing was submitted again."""
    outcome, diary, took_s = _timed(lambda: heard.watched(detach=True))

    assert not heard.submitted.exists()
    assert took_s < RARELY_S
    assert diary.endings == {}
    assert outcome.interrupted
    assert heard.claim.claims.latest() == 1
