"""Workers that are killed at random instants: every submission ends, none twice, none is lost."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from uuid import UUID

import docker
import pytest
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from reseed.service.database.models import Evaluation, Event, Job, Run, Submission
from reseed.service.domain.states import EvaluationState, JobState, SubmissionState
from reseed.service.installation import installation
from reseed.service.settings import ServiceSettings
from reseed.service.worker.loop import run_worker
from reseed.service.worker.worker import INSTALLATION_LABEL, Worker
from tests.service.worker.world import Hosted, build_test_image, image_tag

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]

# (submissions, kills) on each database; both go through the same program
SIZES = {True: (30, 20), False: (10, 6)}
N_WORKERS = 3
LOST = "gave no sign of life"
PATIENCE_S = 240.0


def _work(settings: ServiceSettings) -> None:
    run_worker(Worker.of(installation(settings)))


def _started(settings: ServiceSettings) -> BaseProcess:
    # forked: a worker that is started has imported everything already, so that kills find it at work
    process = multiprocessing.get_context("fork").Process(target=_work, args=(settings,))
    process.start()
    return process


@contextlib.contextmanager
def _ends(engine: docker.DockerClient, label: str, steps: list[tuple[str, str]]) -> Iterator[None]:
    """Collect (step, exit code) of every container with a label that ends meanwhile."""
    events: Any = engine.events(filters={"type": "container", "event": "die", "label": label}, decode=True)

    def listen() -> None:
        for event in events:
            attributes = event["Actor"]["Attributes"]
            steps.append((str(Path(attributes["org.reseed.job.place"]).parents[1]), attributes["exitCode"]))

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield
    finally:
        events.close()
        thread.join(timeout=10)


def _n_open(challenge: Hosted) -> int:
    with challenge.database.read() as session:
        states = session.scalars(select(Submission.state)).all()
    return sum(not state.is_terminal for state in states)


def _two_cases(challenge: Hosted) -> Path:
    folder = challenge.root / "two-cases"
    for case in ("case-1", "case-2"):
        shutil.copytree(challenge.root / "cases" / case, folder / case)
    return folder


def test_twenty_kills_during_thirty_submissions(engine: docker.DockerClient, challenge_on_each: Hosted):
    """
    SIGKILL of one of three workers at 20 random instants, on PostgreSQL at 6; RESEED_FAULT_SEED repeats them.

    A container that came to its end is never run again, and an evaluation is written once.
    """
    challenge = challenge_on_each
    n_submissions, n_kills = SIZES[challenge.database.is_sqlite]
    seed = int(os.environ.get("RESEED_FAULT_SEED") or random.SystemRandom().randrange(10**9))
    rng = random.Random(seed)
    digests = {behaviour: build_test_image(behaviour) for behaviour in ("good", "broken", "evaluation")}
    phase = challenge.phase(
        cases_folder=str(_two_cases(challenge)), evaluation_image=image_tag("evaluation"), memory_gib=1
    )
    behaviours = ["broken" if number % 6 == 5 else "good" for number in range(n_submissions)]
    submitted = {challenge.submit(phase, digests[behaviour]): behaviour for behaviour in behaviours}
    challenge.database.close()
    label = f"{INSTALLATION_LABEL}={challenge.here.folder.root}"
    ends: list[tuple[str, str]] = []

    with _ends(engine, label, ends):
        workers = [_started(challenge.here.settings) for _ in range(N_WORKERS)]
        deadline = time.monotonic() + PATIENCE_S
        try:
            for _ in range(n_kills):
                time.sleep(rng.uniform(0.05, 2.5))
                victim = rng.randrange(N_WORKERS)
                workers[victim].kill()
                workers[victim].join()
                workers[victim] = _started(challenge.here.settings)
            while _n_open(challenge):
                assert time.monotonic() < deadline, f"seed {seed}: {_n_open(challenge)} are not over"
                time.sleep(0.5)
        finally:
            for worker in workers:
                worker.terminate()
                worker.join(timeout=40)
                worker.kill()

    print(f"seed {seed}")  # noqa: T201  (shown when it fails)
    _check_submissions(challenge, submitted)
    assert max(Counter(step for step, _ in ends).values()) == 1, [
        each for each in ends if ends.count(each) > 1
    ]
    assert list(engine.containers.list(all=True, filters={"label": label})) == []


def _attempts(session: Session, submission: UUID) -> list[str]:
    """What became of every attempt at the jobs of a submission, in order."""
    runs = select(Run.pk).where(Run.submission_pk == submission)
    evaluations = select(Evaluation.pk).where(Evaluation.submission_pk == submission)
    jobs = select(Job.pk).where(
        or_(Job.submission_pk == submission, Job.run_pk.in_(runs), Job.evaluation_pk.in_(evaluations))
    )
    events = select(Event.reason).where(Event.noun == "jobs", Event.noun_pk.in_(jobs)).order_by(Event.number)
    return list(session.scalars(events))


def _check_submissions(challenge: Hosted, submitted: dict[UUID, str]) -> None:
    with challenge.database.read() as session:
        found = session.scalars(select(Submission)).all()
        assert {row.pk for row in found} == set(submitted)
        for row in found:
            tried = _attempts(session, row.pk)
            if "the service" in row.reason and any(LOST in why for why in tried):
                # three attempts at one job, of which kills took at least one
                assert row.state is SubmissionState.FAILED
            elif submitted[row.pk] == "good":
                assert row.state is SubmissionState.EVALUATED, tried
            else:
                assert row.state is SubmissionState.FAILED
                reason = "run 1: the first case: exit code 3: the weights do not fit the network"
                assert row.reason == reason, tried
        n_evaluated = sum(row.state is SubmissionState.EVALUATED for row in found)
        assert n_evaluated > len(found) // 2
        evaluations = session.scalars(select(Evaluation)).unique().all()
        assert len({row.run_pk for row in evaluations}) == len(evaluations)
        assert sum(row.state is EvaluationState.SUCCEEDED for row in evaluations) == n_evaluated
        once = (
            select(func.count())
            .where(Event.noun == "evaluations", Event.after == EvaluationState.SUCCEEDED)
            .group_by(Event.noun_pk)
        )
        assert set(session.scalars(once)) == {1}
        assert all(state.is_terminal for state in session.scalars(select(Run.state)))
        assert {JobState.QUEUED, JobState.LEASED}.isdisjoint(session.scalars(select(Job.state)))
