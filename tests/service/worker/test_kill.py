"""Web server and workers that are killed at random instants: every submission ends, none is lost."""

from __future__ import annotations

import contextlib
import io
import math
import os
import random
import re
import shutil
import subprocess
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import docker
import psutil
import pytest
from sqlalchemy import func, select

from reseed.contracts.digests import file_digest
from reseed.service.database.models import (
    AlgorithmImage,
    AlgorithmModel,
    Challenge,
    Evaluation,
    Event,
    Job,
    Run,
    Submission,
    Upload,
)
from reseed.service.domain.permissions import Scope
from reseed.service.domain.roles import Role
from reseed.service.domain.states import EvaluationState, JobState, SubmissionState, UploadState
from reseed.service.images.keeping import remove_refused
from reseed.service.security.tokens import make_token
from reseed.service.uploads.retention import expire_uploads
from reseed.service.worker.leftovers import remove_leftovers
from reseed.service.worker.worker import INSTALLATION_LABEL
from tests.service.rows import add_member, add_user
from tests.service.server import Server, free_port
from tests.service.worker.killing import Installed, Participant, installed
from tests.service.worker.world import Hosted, build_test_image, environment, image_tag

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.xdist_group("docker")]

# (participants, submissions of each, kills) on each database; both go through the same program
SIZES = {True: (5, 6, 20), False: (5, 2, 6)}
# of the some 40 lines of the audit trail that each submission makes
MOST_EVENTS_BETWEEN = 70
N_WORKERS = 3
WEIGHTS = (0.5, 1.0, 2.0)
# beyond the 16 MiB that the service counts at a time, so that an upload can be gone on with
N_MODEL_BYTES = 20 << 20
BROKEN = "run 1: the first case: exit code 3: the weights do not fit the network"
SEED = int(os.environ.get("RESEED_FAULT_SEED") or time.time_ns() % 2**32)


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


def test_twenty_kills_during_thirty_submissions(engine: docker.DockerClient, challenge_on_each: Hosted):
    """
    SIGKILL of workers, and of the web server or a part of it, while participants submit by its commands.

    Every submission that a command has named is there and no other; a container that came to its end is
    never run again; what was scored is what the weights and the cases give. RESEED_FAULT_SEED repeats it.
    """
    challenge, rng = challenge_on_each, random.Random(SEED)
    n_participants, n_each, n_kills = SIZES[challenge.database.is_sqlite]
    images = _images(challenge.root)
    server, participants = _opened(challenge, n_participants)
    label = f"{INSTALLATION_LABEL}={challenge.here.folder.root}"
    ends: list[tuple[str, str]] = []

    with (
        _ends(engine, label, ends),
        installed(server, _variables(challenge), n_workers=N_WORKERS) as service,
        ThreadPoolExecutor(n_participants) as threads,
    ):
        busy = [threads.submit(_submit_all, one, images, n_each, challenge.root) for one in participants]
        for _ in range(n_kills):
            # by what has been done since the last one, not by the clock: at work on any machine
            _let_go_on(challenge, service, n_events=rng.randrange(1, MOST_EVENTS_BETWEEN))
            time.sleep(rng.uniform(0, 0.3))
            service.kill_one(rng, at_work=_at_work(challenge))
        _wait_for_the_end(challenge, service, busy)
        service.wait_for(lambda: not _containers(engine, label))
        service.wait_for(lambda: not _alive(service.orphans))
        service.stop_workers()

    _show(challenge, service, participants)
    submitted = {pk: made for one in participants for pk, made in one.submitted.items()}
    assert len(submitted) == n_participants * n_each
    _check_submissions(challenge, submitted)
    _check_containers(challenge, ends)
    _check_uploads(challenge, n_sent=2 * n_participants + len(submitted))
    _check_files(challenge, [path for one in participants for path in one.models])


def _show(challenge: Hosted, service: Installed, participants: list[Participant]) -> None:
    """What happened, for whoever reads why the test has failed."""
    with challenge.database.read() as session:
        again = select(Event.reason).where(Event.noun == "jobs", Event.before == JobState.LEASED)
        tries = Counter(re.sub(r"worker \S+", "worker", why) for why in session.scalars(again) if why)
    problems = Counter(problem for one in participants for problem in one.problems)
    print(f"seed {SEED}: {Counter(service.killed)}\n{tries}\n{problems}")  # noqa: T201


def _images(root: Path) -> dict[str, Path]:
    """The tarball of an image by its behaviour."""
    build_test_image("evaluation")
    tarballs = {}
    for behaviour in ("good", "broken"):
        tag, tarballs[behaviour] = image_tag(f"small-{behaviour}"), root / f"{behaviour}.tar"
        build_test_image(behaviour, dockerfile="Dockerfile.small", tag=tag)
        subprocess.run(["docker", "save", "--output", tarballs[behaviour], tag], check=True, timeout=60)
    return tarballs


def _opened(challenge: Hosted, n_participants: int) -> tuple[Server, list[Participant]]:
    """A phase of two cases, its participants with a token each, and the server, not started."""
    cases = challenge.root / "two-cases"
    for case in ("case-1", "case-2"):
        shutil.copytree(challenge.root / "cases" / case, cases / case)
    phase = challenge.phase(
        cases_folder=str(cases),
        evaluation_image=image_tag("evaluation"),
        submissions_per_day=100,
    )
    server = Server(challenge.root / "data", free_port(), "", str(phase.pk), _variables(challenge))
    participants = []
    with challenge.database.write() as session:
        for number in range(n_participants):
            name = f"participant-{number}"
            user = add_user(session, name)
            add_member(session, session.get_one(Challenge, phase.challenge_pk), user, Role.PARTICIPANT)
            _, token = make_token(session, user, name="t", scopes=set(Scope), valid_for=timedelta(days=1))
            participants.append(Participant(name, server.url, token, challenge.root / name))
    challenge.database.close()
    return server, participants


def _variables(challenge: Hosted) -> dict[str, str]:
    url = challenge.database.url.render_as_string(hide_password=False)
    return environment(challenge.root / "data", url, RESEED_REQUESTS_PER_MINUTE="600")


def _submit_all(participant: Participant, images: dict[str, Path], n: int, root: Path) -> None:
    """One submission after another, each with a model of its own; the last one is broken."""
    for number in range(n):
        behaviour = "broken" if number == n - 1 else "good"
        weight = WEIGHTS[number % len(WEIGHTS)]
        model = _model(root / f"{participant.name}-{number}.tar", weight)
        participant.submit(images[behaviour], model, behaviour=behaviour, weight=weight)


def _model(path: Path, weight: float) -> Path:
    """A model of a weight, and of ballast that no other has."""
    with tarfile.open(path, "w") as archive:
        for name, content in (("weight", str(weight).encode()), ("ballast", os.urandom(N_MODEL_BYTES))):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def _let_go_on(challenge: Hosted, service: Installed, *, n_events: int) -> None:
    """Wait for so many more lines of the audit trail."""

    def count() -> int:
        with challenge.database.read() as session:
            return session.scalar(select(func.max(Event.number))) or 0

    goal = count() + n_events
    service.wait_for(lambda: count() >= goal)


def _at_work(challenge: Hosted) -> set[int]:
    """The process numbers of workers that have a job."""
    with challenge.database.read() as session:
        owners = session.scalars(select(Job.lease_owner).where(Job.state == JobState.LEASED))
        return {int(str(owner).partition("@")[0].rsplit(".", 2)[1]) for owner in owners}


def _wait_for_the_end(challenge: Hosted, service: Installed, busy: list[Future[None]]) -> None:
    def is_over() -> bool:
        for each in busy:
            if each.done():
                each.result()
        with challenge.database.read() as session:
            states = session.scalars(select(Submission.state)).all()
        return all(each.done() for each in busy) and all(state.is_terminal for state in states)

    service.wait_for(is_over)


def _containers(engine: docker.DockerClient, label: str) -> list[Any]:
    return list(engine.containers.list(all=True, filters={"label": label}, ignore_removed=True))


def _alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


def _check_submissions(challenge: Hosted, submitted: dict[str, tuple[str, float]]) -> None:
    with challenge.database.read() as session:
        found = session.scalars(select(Submission)).all()
        assert {str(row.pk) for row in found} == set(submitted), f"seed {SEED}"
        for row in found:
            behaviour, weight = submitted[str(row.pk)]
            tried = _attempts(challenge, row)
            evaluations = session.scalars(
                select(Evaluation).where(Evaluation.submission_pk == row.pk)
            ).unique().all()  # fmt: skip
            if behaviour == "good":
                assert row.state is SubmissionState.EVALUATED, f"seed {SEED}: {row.reason}: {tried}"
                assert len(evaluations) == 1
                assert evaluations[0].state is EvaluationState.SUCCEEDED
                assert evaluations[0].aggregates is not None
                score = evaluations[0].aggregates["auroc"]["value"]
                assert score == pytest.approx(_score(challenge.root, weight), abs=2e-6)
            else:
                assert (row.state, row.reason) == (SubmissionState.FAILED, BROKEN), f"seed {SEED}: {tried}"
                assert evaluations == []
        once = (
            select(func.count())
            .where(Event.noun == "evaluations", Event.after == EvaluationState.SUCCEEDED)
            .group_by(Event.noun_pk)
        )
        assert set(session.scalars(once)) == {1}
        assert all(state.is_terminal for state in session.scalars(select(Run.state)))
        assert {JobState.QUEUED, JobState.LEASED}.isdisjoint(session.scalars(select(Job.state)))


def _attempts(challenge: Hosted, submission: Submission) -> list[str]:
    """What became of every attempt at the jobs of a submission, in order."""
    jobs = select(Job.pk).where(Job.submission_pk == submission.pk)
    events = select(Event.reason).where(Event.noun == "jobs", Event.noun_pk.in_(jobs)).order_by(Event.number)
    with challenge.database.read() as session:
        return list(session.scalars(events))


def _score(root: Path, weight: float) -> float:
    """What a model of a weight scores: the mean over cases of what it predicts."""
    likelihoods = []
    for path in sorted((root / "two-cases").glob("*/features.json")):
        total = sum(float(each) for each in path.read_text().strip("[]\n ").split(","))
        likelihoods.append(1 / (1 + math.exp(-weight * (total - 1))))
    return sum(likelihoods) / len(likelihoods)


def _check_containers(challenge: Hosted, ends: list[tuple[str, str]]) -> None:
    twice = [each for each in ends if [step for step, _ in ends].count(each[0]) > 1]
    assert twice == [], f"seed {SEED}"
    with challenge.database.read() as session:
        n_evaluated = session.scalar(
            select(func.count()).where(Submission.state == SubmissionState.EVALUATED)
        )
    assert sum(Path(step).name == "evaluate" for step, _ in ends) == n_evaluated, f"seed {SEED}"


def _check_uploads(challenge: Hosted, *, n_sent: int) -> None:
    """Each file is one upload: what was cut was gone on with, and not begun again."""
    with challenge.database.read() as session:
        assert list(session.scalars(select(Upload.state))) == [UploadState.USED] * n_sent, f"seed {SEED}"


def _check_files(challenge: Hosted, sent: list[Path]) -> None:
    """What was sent is there, byte for byte, and after a worker's usual cleaning nothing is half written."""
    database, folders = challenge.database, challenge.here.folder
    for clean in (expire_uploads, remove_refused, remove_leftovers):
        clean(database, folders)
    assert list(folders.uploads.iterdir()) == []
    with database.read() as session:
        ready = {table: set(session.scalars(select(table.pk))) for table in (AlgorithmImage, AlgorithmModel)}
    models = list(folders.model(UUID(int=0)).parent.iterdir())
    assert {UUID(path.name.partition(".")[0]) for path in models} == ready[AlgorithmModel]
    assert Counter(file_digest(path) for path in models) == Counter(file_digest(path) for path in sent)
    images = list(folders.image(UUID(int=0)).parent.iterdir())
    assert {UUID(path.stem) for path in images} == ready[AlgorithmImage]
    left = [path for path in folders.root.rglob("*") if path.name.startswith(".") or path.name == "steps"]
    assert [path for path in left if path.suffix != ".lock"] == []
