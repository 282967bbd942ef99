"""Submissions whose containers are jobs of a real Slurm: to the end, past a killed worker, and cancelled."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qsl
from uuid import UUID

import docker
import pytest

from reseed.contracts.errors import UserError
from reseed.contracts.job import Attempt
from reseed.orchestration.clock import utc_now
from reseed.orchestration.executors.executor import ProgramState
from reseed.orchestration.slurm.node import NodeFiles
from reseed.orchestration.slurm.pinned import slurm_programs
from reseed.orchestration.slurm.pinned_step import EXIT_CLOSED, main
from reseed.orchestration.study_folder import AttemptFolder
from reseed.service.database.jobs import cancel_jobs
from reseed.service.database.models import Job, Submission
from reseed.service.database.results import end_parts
from reseed.service.database.transitions import transition
from reseed.service.domain.roles import SubmissionKind
from reseed.service.domain.states import ArchiveState, CaseState, JobState, RunState, SubmissionState
from reseed.service.worker.loop import run_worker, tidy
from reseed.service.worker.worker import INSTALLATION_LABEL, JOB_LABEL, Worker
from tests.orchestration.slurm.test_real import Node, node
from tests.service.worker.world import CASES, Hosted, build_test_image, environment, saved_under_another_name

__all__ = ["node"]

pytestmark = [pytest.mark.docker, pytest.mark.slurm, pytest.mark.xdist_group("docker")]

DEADLINE_S = 300
# podman's own limit of processes, which root may not raise on every machine
_OPTIONS: dict[str, list[str]] = {"docker": [], "podman": ["--ulimit=nproc=4096:4096"]}


@pytest.fixture
def site(folder: Path, node: Node) -> Path:
    """The settings of the cluster."""
    path = folder / "slurm.yaml"
    path.write_text(json.dumps({"container": "docker", "gres": None, "poll_s": 0.2}))
    return path


def _worker(challenge: Hosted, site: Path) -> Worker:
    return Worker.of(challenge.here, programs=slurm_programs(site))


def _process(challenge: Hosted, site: Path) -> subprocess.Popen[bytes]:
    url = challenge.database.url.render_as_string(hide_password=False)
    return subprocess.Popen(
        [sys.executable, "-m", "reseed", "worker", "--executor", "slurm", "--slurm", str(site)],
        env={"PATH": os.environ["PATH"], **environment(challenge.here.folder.root, url)},
        stderr=subprocess.DEVNULL,
    )


def _wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _submitted(challenge: Hosted, *options: str) -> dict[str, str]:
    """The arrays of the installation that Slurm remembers: the kind of their job, by their id."""
    answer = subprocess.run(
        ["squeue", "--noheader", "--format=%F|%k", *options],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    found = {}
    for line in answer.splitlines():
        array, _, comment = line.partition("|")
        labels = dict(parse_qsl(comment))
        if labels.get(INSTALLATION_LABEL) == str(challenge.here.folder.root.resolve()):
            with challenge.database.read() as session:
                found[array] = session.get_one(Job, UUID(labels[JOB_LABEL])).kind
    return found


def _containers(engine: docker.DockerClient, *arrays: str) -> list[object]:
    return [
        each
        for array in arrays
        for each in engine.containers.list(all=True, filters={"label": f"org.reseed.slurm={array}_0"})
    ]


@pytest.mark.usefixtures("evaluation_image")
class TestSubmission:
    def test_an_ensemble_to_its_end(self, challenge: Hosted, site: Path):
        """
        Every program is one job of the cluster, and the result is that of the engine of a host.
        """
        phase = challenge.phase(submission_kind=SubmissionKind.TRAINING, members=2)
        pk = challenge.submit(phase, build_test_image("good"), labels={"org.reseed.members": "2"})

        run_worker(_worker(challenge, site), until_idle=True)

        submission = challenge.submission(pk)
        assert submission.state is SubmissionState.EVALUATED, submission.reason
        kinds = sorted(_submitted(challenge, "--states=all").values())
        n_further = len(CASES) - 1
        assert kinds == sorted(["preprocess", "train", "train", "try", *["predict"] * n_further, "evaluate"])
        cases = submission.runs[0].cases
        assert all(
            case.last_error_line == "predicting" and case.state is CaseState.SUCCEEDED for case in cases
        )
        assert challenge.here.folder.log(pk, 1, f"case-{CASES[0]}").read_text() == "predicting\n"
        weights = [
            (challenge.here.folder.model_folder(pk, 1) / f"member-{member}" / "weight").read_text()
            for member in (0, 1)
        ]
        other = challenge.submit(phase, build_test_image("good"), labels={"org.reseed.members": "2"})
        with challenge.database.write() as session:
            session.get_one(Submission, other).entropy = submission.entropy
        challenge.work()
        assert challenge.submission(other).state is SubmissionState.EVALUATED
        assert weights == [
            (challenge.here.folder.model_folder(other, 1) / f"member-{member}" / "weight").read_text()
            for member in (0, 1)
        ]

    def test_a_worker_that_is_killed(
        self, engine: docker.DockerClient, challenge: Hosted, site: Path, node: Node
    ):
        """
        While its job waits in the queue, and while it runs: the next goes on with it, nothing is doubled.
        """
        phase = challenge.phase(submission_kind=SubmissionKind.TRAINING)
        node.set("drain")
        pk = challenge.submit(phase, build_test_image("steady"))
        first = _process(challenge, site)
        try:
            _wait_for(lambda: _submitted(challenge, "--states=PENDING"))
            (job,) = challenge.jobs("preprocess")
            taken_until = job.lease_until
            assert taken_until is not None
            # past the lease it began with: the queue is no sign of death
            _wait_for(lambda: _now(challenge) > taken_until)
            (job,) = challenge.jobs("preprocess")
            assert (job.state, job.attempts) == (JobState.LEASED, 1)
        finally:
            first.kill()
            first.wait()
        node.set("resume")
        second = _process(challenge, site)
        try:
            _wait_for(lambda: "train" in _submitted(challenge, "--states=RUNNING").values())
            (array,) = (each for each, kind in _submitted(challenge).items() if kind == "train")
            _wait_for(lambda: _containers(engine, array))
        finally:
            second.kill()
            second.wait()
        (job,) = challenge.jobs("train")
        _wait_for(lambda: _is_silent(challenge, job))

        worker = _worker(challenge, site)
        run_worker(worker, until_idle=True)

        submission = challenge.submission(pk)
        assert submission.state is SubmissionState.EVALUATED, submission.reason
        kinds = list(_submitted(challenge, "--states=all").values())
        assert kinds.count("preprocess") == 1
        assert kinds.count("train") == 1

    def test_a_worker_that_is_told_to_stop(self, challenge: Hosted, site: Path, node: Node):
        """
        It leaves its job in the queue, which keeps its place; the next worker goes on with it.
        """
        node.set("drain")
        pk = challenge.submit(challenge.phase(), build_test_image("good"))
        worker = _worker(challenge, site)
        thread = threading.Thread(target=run_worker, args=(worker,))
        thread.start()
        _wait_for(lambda: _submitted(challenge, "--states=PENDING"))
        worker.stop.set()
        thread.join(timeout=60)
        assert not thread.is_alive()
        (job,) = challenge.jobs("try")
        assert (job.state, job.attempts) == (JobState.QUEUED, 0)
        (array,) = _submitted(challenge, "--states=PENDING")
        node.set("resume")

        run_worker(_worker(challenge, site), until_idle=True)

        assert challenge.submission(pk).state is SubmissionState.EVALUATED
        kinds = _submitted(challenge, "--states=all")
        assert [each for each, kind in kinds.items() if kind == "try"] == [array]


@pytest.mark.parametrize("program", ["docker", "podman"])
def test_a_node_that_does_not_have_the_image(
    engine: docker.DockerClient, challenge: Hosted, site: Path, tmp_path: Path, program: str
):
    """
    It loads it from the stored tarball, by digest, under none of its maker's names.
    """
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    site.write_text(
        json.dumps(
            {"container": program, "gres": None, "poll_s": 0.2, "container_options": _OPTIONS[program]}
        )
    )
    digest, saved = saved_under_another_name(engine, tmp_path)
    pk = challenge.submit(challenge.phase(is_external=True), None, state=ArchiveState.RECEIVED, sha256=None)
    challenge.upload(challenge.submission(pk).algorithm_image_pk, saved)
    (job,) = challenge.jobs("start")

    run_worker(_worker(challenge, site), until_idle=True)
    challenge.make_due(job)
    run_worker(_worker(challenge, site), until_idle=True)

    assert challenge.run(pk).state is RunState.EVALUATING, challenge.submission(pk).reason
    name = f"reseed-submitted:{digest.removeprefix('sha256:')}"
    tags = subprocess.run(
        [program, "image", "inspect", "--format", "{{.RepoTags}}", digest],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert name in tags
    assert "somebody-elses" not in tags
    subprocess.run([program, "rmi", name], capture_output=True, check=True)


class TestEnds:
    def test_cancelled_while_it_runs(self, engine: docker.DockerClient, challenge: Hosted, site: Path):
        """
        The job is ended in Slurm, and its container with it.
        """
        pk = challenge.submit(challenge.phase(case_timeout_s=600), build_test_image("slow"))
        worker = _worker(challenge, site)
        thread = threading.Thread(target=run_worker, args=(worker,), kwargs={"until_idle": True})
        thread.start()
        _wait_for(lambda: _containers(engine, *_submitted(challenge)))
        (array,) = _submitted(challenge)
        _cancel(challenge, pk)
        thread.join(timeout=60)
        assert not thread.is_alive()
        _wait_for(lambda: not _submitted(challenge))
        assert _containers(engine, array) == []
        assert challenge.submission(pk).state is SubmissionState.CANCELLED

    def test_cancelled_in_the_queue_without_a_worker(
        self, engine: docker.DockerClient, challenge: Hosted, site: Path, node: Node
    ):
        """
        The next worker that looks takes it out of the queue.
        """
        node.set("drain")
        pk = challenge.submit(challenge.phase(), build_test_image("good"))
        process = _process(challenge, site)
        _wait_for(lambda: _submitted(challenge, "--states=PENDING"))
        process.kill()
        process.wait()
        _cancel(challenge, pk)

        tidy(_worker(challenge, site))

        _wait_for(lambda: not _submitted(challenge))

    def test_limits(self, challenge: Hosted, site: Path):
        """
        Time is counted from the start on the node, and a program's failure is its own.
        """
        phase = challenge.phase(case_timeout_s=1)
        slow = challenge.submit(phase, build_test_image("slow"))
        broken = challenge.submit(challenge.phase(), build_test_image("broken"))

        run_worker(_worker(challenge, site), until_idle=True)

        assert challenge.submission(slow).reason == "run 1: the first case: timed out after 1 s"
        assert challenge.submission(broken).reason == (
            "run 1: the first case: exit code 3: the weights do not fit the network"
        )

    def test_settings_without_an_engine(self, site: Path):
        """
        A program of somebody else never runs outside of a container.
        """
        site.write_text("gres: null\n")
        with pytest.raises(UserError, match=r"slurm\.container must be podman or docker"):
            slurm_programs(site)

    def test_what_was_given_up_never_starts(self, site: Path, tmp_path: Path):
        """
        Also when an sbatch gets through only after its worker was killed and the next has started another.
        """
        folder = AttemptFolder(tmp_path)
        attempt = Attempt(number=1, executor="slurm", handle={}, started=utc_now())
        programs = slurm_programs(site)
        assert programs.reconcile(attempt, folder).state is ProgramState.ABSENT
        assert main([str(folder.path)]) == EXIT_CLOSED
        assert not NodeFiles(folder).end.exists()


def _cancel(challenge: Hosted, pk: UUID) -> None:
    with challenge.database.write() as session:
        row = session.get_one(Submission, pk)
        transition(session, row, SubmissionState.CANCELLED, reason="withdrawn")
        end_parts(session, row, reason="withdrawn")
        cancel_jobs(session, Job.submission_pk == pk, reason="withdrawn")


def _now(challenge: Hosted) -> datetime:
    with challenge.database.read() as session:
        return challenge.database.now(session)


def _is_silent(challenge: Hosted, job: Job) -> bool:
    """Whether the lease of a job has run out."""
    with challenge.database.read() as session:
        found = session.get_one(Job, job.pk)
        return found.lease_until is not None and found.lease_until < challenge.database.now(session)
