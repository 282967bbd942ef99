"""Submissions of real images on hidden cases, from their start to their end."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import docker
import pytest
from sqlalchemy import select

from reseed.contracts.containers import MEMBERS_LABEL
from reseed.contracts.study import MethodSpec, Study
from reseed.orchestration.seeds import method_seeds
from reseed.service.database.jobs import cancel_jobs, claim
from reseed.service.database.models import Evaluation, Job, Run, Submission
from reseed.service.database.results import end_parts
from reseed.service.database.transitions import transition
from reseed.service.domain.roles import SubmissionKind
from reseed.service.domain.states import ArchiveState, CaseState, JobState, RunState, SubmissionState
from reseed.service.worker.loop import run_worker, work
from reseed.service.worker.worker import INSTALLATION_LABEL, Worker
from tests.service.worker.world import (
    CASES,
    Hosted,
    build_test_image,
    environment,
    image_tag,
    saved_under_another_name,
)

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]


@pytest.fixture(scope="module")
def good(engine: docker.DockerClient) -> str:
    return build_test_image("good")


def _left(engine: docker.DockerClient, challenge: Hosted) -> list[object]:
    label = f"{INSTALLATION_LABEL}={challenge.here.folder.root}"
    return list(engine.containers.list(all=True, filters={"label": label}))


def _evaluations(challenge: Hosted, submission: Submission) -> list[Evaluation]:
    with challenge.database.read() as session:
        rows = (
            select(Evaluation).where(Evaluation.submission_pk == submission.pk).order_by(Evaluation.created)
        )
        return list(session.scalars(rows))


def _model(folder: Path, weight: float) -> Path:
    folder.mkdir(parents=True)
    (folder / "weight").write_text(f"{weight}\n")
    (folder / "weight").chmod(0o600)
    path = folder / "model.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder / "weight", "weight")
    return path


@pytest.mark.usefixtures("evaluation_image")
class TestGood:
    def test_two_brought_models(
        self, engine: docker.DockerClient, challenge: Hosted, good: str, tmp_path: Path
    ):
        """
        Every run is predicted case by case with its own model, and evaluated; containers are gone.
        """
        models = [_model(tmp_path / "a", 1.0), _model(tmp_path / "b", -1.0)]
        pk = challenge.submit(challenge.phase(), good, models=models)

        challenge.work()

        submission = challenge.submission(pk)
        assert submission.state is SubmissionState.EVALUATED, submission.reason
        assert [run.state for run in submission.runs] == [RunState.EVALUATED] * 2
        first, second = _evaluations(challenge, submission)
        assert first.aggregates is not None
        assert second.aggregates is not None
        assert first.aggregates["auroc"]["value"] == 1.0
        assert second.aggregates["auroc"]["value"] == 0.0
        cases = submission.runs[0].cases
        assert [(case.name, case.state) for case in cases] == [(name, CaseState.SUCCEEDED) for name in CASES]
        assert [case.is_trial for case in cases] == [True, False, False, False]
        assert all(case.last_error_line == "predicting" and case.seconds is not None for case in cases)
        log = challenge.here.folder.log(pk, 1, f"case-{CASES[0]}")
        assert log.read_text() == "predicting\n"
        assert _left(engine, challenge) == []
        assert not challenge.here.folder.model_folder(pk, 1).exists()

    def test_two_retrainings(self, challenge: Hosted, good: str):
        """
        Each run is trained under seeds of its own, which descend from the submission's entropy.
        """
        phase = challenge.phase(
            submission_kind=SubmissionKind.TRAINING, n_runs=2, hyperparameters={"epochs": 3}
        )
        pk = challenge.submit(phase, good)

        challenge.work()

        submission = challenge.submission(pk)
        assert submission.state is SubmissionState.EVALUATED, submission.reason
        assert submission.entropy is not None
        with challenge.database.read() as session:
            rows = session.scalars(select(Run).where(Run.submission_pk == pk).order_by(Run.number)).all()
            seeds, records = [row.seeds for row in rows], [row.record for row in rows]
        assert seeds[0] is not None
        assert seeds[1] is not None
        first, second = seeds[0]["member-0"], seeds[1]["member-0"]
        assert first["weights"] != second["weights"]
        assert first["split"] == second["split"]
        assert records[0] == {"member-0": {"settings": {"epochs": "3"}, "seed": first["weights"]}}
        weights = {
            (challenge.here.folder.model_folder(pk, number) / "member-0" / "weight").read_text()
            for number in (1, 2)
        }
        assert len(weights) == 2

    def test_an_ensemble(self, challenge: Hosted, good: str):
        """
        Workers share the members, each under the seeds that a study would give it; a case meets all of them.
        """
        phase = challenge.phase(submission_kind=SubmissionKind.TRAINING, n_runs=2, members=3)
        pk = challenge.submit(phase, good, labels={MEMBERS_LABEL: "3"})

        with ThreadPoolExecutor(2) as workers:
            list(workers.map(lambda _: challenge.work(), range(2)))
        challenge.work()

        submission = challenge.submission(pk)
        assert submission.state is SubmissionState.EVALUATED, submission.reason
        assert {job.attempts for kind in ("preprocess", "train") for job in challenge.jobs(kind)} == {1}
        assert len(challenge.jobs("preprocess")) == 1
        assert len(challenge.jobs("train")) == 6
        study = Study(
            study="any",
            task="two_features",
            dataset="any",
            entropy=submission.entropy,
            runs=2,
            members=3,
            methods={"submission": MethodSpec(algorithm="any")},
        )
        planned = method_seeds(study, method="submission")
        for run in submission.runs:
            assert run.seeds == {
                f"member-{member}": planned[run.number - 1][member].model_dump(mode="json")
                for member in range(3)
            }
            model = challenge.here.folder.model_folder(pk, run.number)
            assert sorted(each.name for each in model.iterdir()) == ["member-0", "member-1", "member-2"]
            assert [(model / f"member-{number}" / "member").read_text() for number in range(3)] == [
                "0 of 3\n",
                "1 of 3\n",
                "2 of 3\n",
            ]
            weights = [float((model / f"member-{number}" / "weight").read_text()) for number in range(3)]
            assert len(set(weights)) == 3
            features = json.loads((challenge.root / "cases" / CASES[0] / "features.json").read_text())
            output = challenge.here.folder.case_output(pk, run.number, CASES[0]) / "likelihood.json"
            score = 1 / (1 + math.exp(-sum(weights) / 3 * (sum(features) - 1)))
            assert json.loads(output.read_text()) == pytest.approx(score, abs=2e-6)

    def test_an_image_that_was_uploaded(self, engine: docker.DockerClient, challenge: Hosted, tmp_path: Path):
        """
        It is checked, loaded by its digest, and under no name that its maker chose; then it is run.
        """
        digest, saved = saved_under_another_name(engine, tmp_path)
        pk = challenge.submit(challenge.phase(), None, state=ArchiveState.RECEIVED, sha256=None)
        challenge.upload(challenge.submission(pk).algorithm_image_pk, saved)
        (job,) = challenge.jobs("start")

        challenge.work()
        challenge.make_due(job)
        challenge.work()

        submission = challenge.submission(pk)
        assert submission.state is SubmissionState.EVALUATED, submission.reason
        (tag,) = engine.images.get(digest).tags
        assert tag == f"reseed-submitted:{digest.removeprefix('sha256:')}"
        engine.images.remove(tag)


def test_a_user_by_name(challenge: Hosted):
    """
    An image whose USER is a name can write where it must; the phase has its own evaluation container.
    """
    build_test_image("evaluation")
    phase = challenge.phase(evaluation_image=image_tag("evaluation"))
    pk = challenge.submit(phase, build_test_image("named", account="games"))

    challenge.work()

    submission = challenge.submission(pk)
    assert submission.state is SubmissionState.EVALUATED, submission.reason


class TestReasons:
    @pytest.mark.parametrize(
        ("behaviour", "reason"),
        [
            ("broken", "run 1: the first case: exit code 3: the weights do not fit the network"),
            ("link", "run 1: the first case: output likelihood.json: only files and folders are taken, "
                     "this is a symbolic link"),
            ("slow", "run 1: the first case: timed out after 1 s"),
            ("late", "run 1: case 2 of 4: exit code 1: no memory left for case-2"),
        ],
    )  # fmt: skip
    def test_a_program_that_fails(
        self, engine: docker.DockerClient, challenge: Hosted, behaviour: str, reason: str
    ):
        """
        The submission fails with the last line of the program's stderr, or with what else ended it.
        """
        timeout_s = 1 if behaviour == "slow" else 20
        pk = challenge.submit(
            challenge.phase(case_timeout_s=timeout_s), build_test_image(behaviour), models=2
        )

        challenge.work(grace_s=0.5)

        submission = challenge.submission(pk)
        assert (submission.state, submission.reason) == (SubmissionState.FAILED, reason)
        assert submission.runs[0].state is RunState.FAILED
        assert submission.runs[1].state is RunState.CANCELLED
        failed = [case for case in submission.runs[0].cases if case.state is CaseState.FAILED]
        assert len(failed) == 1
        assert reason.endswith(failed[0].reason)
        with challenge.database.read() as session:
            assert {job.state for job in session.scalars(select(Job))} <= {
                JobState.DONE,
                JobState.FAILED,
                JobState.CANCELLED,
            }
        assert _left(engine, challenge) == []

    @pytest.mark.usefixtures("evaluation_image")
    def test_the_trial_case_that_the_phase_names(self, challenge: Hosted):
        """
        It goes first, whatever its name is; its log is kept as that of the trial case.
        """
        pk = challenge.submit(challenge.phase(trial_case="case-2"), build_test_image("late"))

        challenge.work()

        submission = challenge.submission(pk)
        assert submission.reason == "run 1: the trial case: exit code 1: no memory left for case-2"
        states = {case.name: (case.is_trial, case.state) for case in submission.runs[0].cases}
        assert states.pop("case-2") == (True, CaseState.FAILED)
        assert set(states.values()) == {(False, CaseState.CANCELLED)}
        log = challenge.here.folder.log(pk, 1, "case-case-2")
        assert log.read_text() == "no memory left for case-2\n"

    def test_an_output_that_the_evaluation_refuses(self, challenge: Hosted):
        """
        The reason is the line with which the evaluation container refuses it.
        """
        pk = challenge.submit(challenge.phase(), build_test_image("wrong"))

        challenge.work()

        submission = challenge.submission(pk)
        assert submission.state is SubmissionState.FAILED
        assert submission.reason == (
            "run 1: evaluation: the first case: likelihood must be a number, got 'high'"
        )
        log = challenge.here.folder.log(pk, 1, "evaluate").read_text()
        assert "case 'case-1': likelihood must be a number, got 'high'" in log

    @pytest.mark.parametrize(
        ("behaviour", "reason", "values"),
        [
            ("broken", "the first case: exit code 3", {}),
            ("link", "the first case: output: only files and folders are taken, this is a symbolic link", {}),
            ("untrainable", "exit code 1", {"submission_kind": SubmissionKind.TRAINING}),
            (
                "late",
                "the trial case: exit code 1: no memory left for case-2",
                {"trial_case": "case-2", "shows_trial_log": True},
            ),
        ],
    )
    def test_what_a_program_said_is_the_organisers(
        self, challenge: Hosted, behaviour: str, reason: str, values: dict[str, Any]
    ):
        """
        It can quote a hidden case: its submitter sees it where the phase says so, and the log has it.
        """
        phase = challenge.phase(shows_error_lines=False, **values)
        pk = challenge.submit(phase, build_test_image(behaviour))

        challenge.work()

        submission = challenge.submission(pk)
        assert submission.reason == f"run 1: {reason}"
        assert submission.runs[0].reason == reason

    def test_what_waits_behind_its_own_submission_waits_as_long_as_that(self, challenge: Hosted):
        """
        A second run is trained after the first, which may take longer than anything else waits.
        """
        phase = challenge.phase(
            submission_kind=SubmissionKind.TRAINING, n_runs=2, training_timeout_s=14 * 86400
        )
        pk = challenge.submit(phase, build_test_image("good"))
        worker = Worker.of(challenge.here)
        while challenge.submission(pk).state is not SubmissionState.RUNNING:
            lease = claim(worker.database, worker.owner, lease_for=worker.lease_for)
            assert lease is not None
            work(worker, lease)

        submission = challenge.submission(pk)
        assert submission.deadline is not None
        assert submission.deadline - submission.state_since > timedelta(days=70)
        waiting = [job for job in challenge.jobs("train") if job.state is JobState.QUEUED]
        assert [job.deadline for job in waiting] == [submission.deadline]
        assert submission.runs[1].state is RunState.QUEUED
        assert submission.runs[1].deadline == submission.deadline

    def test_a_training_that_fails(self, challenge: Hosted):
        """
        It is its first run that fails, and the others are not begun.
        """
        phase = challenge.phase(submission_kind=SubmissionKind.TRAINING, n_runs=3)
        pk = challenge.submit(phase, build_test_image("untrainable"))

        challenge.work()

        submission = challenge.submission(pk)
        assert submission.state is SubmissionState.FAILED
        assert submission.reason == "run 1: exit code 1: the loss is not finite"

    def test_a_member_that_fails(self, challenge: Hosted):
        """
        It is named as its folder and its log are; nothing of the run goes on.
        """
        phase = challenge.phase(submission_kind=SubmissionKind.TRAINING, n_runs=2, members=3)
        pk = challenge.submit(phase, build_test_image("lopsided"), labels={MEMBERS_LABEL: "3"})

        challenge.work()

        submission = challenge.submission(pk)
        assert submission.reason == "run 1: member-1: exit code 1: the loss is not finite"
        assert challenge.here.folder.log(pk, 1, "train-member-1").read_text() == "the loss is not finite\n"
        assert sorted(job.state for job in challenge.jobs("train")) == ["cancelled", "done", "failed"]
        assert challenge.jobs("try") == []

    def test_more_members_than_the_phase_takes(self, challenge: Hosted, good: str):
        """
        Refused before anything is trained.
        """
        phase = challenge.phase(submission_kind=SubmissionKind.TRAINING, n_runs=2, members=2)
        pk = challenge.submit(phase, good, labels={MEMBERS_LABEL: "3"})

        challenge.work()

        submission = challenge.submission(pk)
        assert submission.state is SubmissionState.REJECTED
        assert submission.reason == (
            "its image trains 3 members for each run, and the phase takes at most 2 members"
        )
        assert challenge.jobs("preprocess") == []

    def test_parts_that_are_not_ready(self, challenge: Hosted, good: str):
        """
        A submission waits for its image without counting attempts, and is rejected with its reason.
        """
        phase = challenge.phase()
        waiting = challenge.submit(phase, good, state=ArchiveState.CHECKING)
        rejected = challenge.submit(phase, good, state=ArchiveState.REJECTED, reason="must have a USER")

        challenge.work()

        submission = challenge.submission(waiting)
        assert submission.state is SubmissionState.CHECKING
        with challenge.database.read() as session:
            job = session.scalars(select(Job).where(Job.submission_pk == waiting)).one()
        assert (job.state, job.attempts) == (JobState.QUEUED, 0)
        submission = challenge.submission(rejected)
        assert submission.state is SubmissionState.REJECTED
        assert submission.reason == "its image is rejected: must have a USER"

    def test_a_phase_without_cases(self, challenge: Hosted, good: str):
        """
        What is not the participant's fault is tried again, and in the end shown without any path.
        """
        pk = challenge.submit(challenge.phase(cases_folder="/nowhere"), good)

        for _ in range(3):
            challenge.work()
            for job in challenge.jobs("try"):
                challenge.make_due(job)

        submission = challenge.submission(pk)
        assert submission.state is SubmissionState.FAILED
        assert submission.reason.startswith("run 1: the service could not do this (try)")
        assert "nowhere" not in submission.reason


def _wait_for(condition: object, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.1)


class TestStopping:
    @pytest.mark.usefixtures("evaluation_image")
    def test_a_worker_that_is_told_to_stop(self, engine: docker.DockerClient, challenge: Hosted):
        """
        SIGTERM: the training checkpoints, its job is queued uncounted, and the next worker resumes it.
        """
        phase = challenge.phase(submission_kind=SubmissionKind.TRAINING, n_runs=1)
        pk = challenge.submit(phase, build_test_image("patient"))
        url = challenge.database.url.render_as_string(hide_password=False)
        process = subprocess.Popen(
            [sys.executable, "-m", "reseed", "worker"],
            env={"PATH": "/usr/bin:/bin", **environment(challenge.here.folder.root, url)},
            stderr=subprocess.PIPE,
            text=True,
        )
        label = f"{INSTALLATION_LABEL}={challenge.here.folder.root}"
        try:
            _wait_for(
                lambda: any(
                    b"waiting" in container.logs()
                    for container in engine.containers.list(filters={"label": label}, ignore_removed=True)
                )
            )
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == 0, log
        assert '"outcome": "released"' in log
        assert _left(engine, challenge) == []
        with challenge.database.read() as session:
            job = session.scalars(select(Job).where(Job.kind == "train")).one()
        assert (job.state, job.attempts, job.reason) == (JobState.QUEUED, 0, "its worker was stopped")

        challenge.work()

        assert challenge.submission(pk).state is SubmissionState.EVALUATED
        assert (challenge.here.folder.model_folder(pk, 1) / "member-0" / "resumed").is_file()

    def test_a_submission_that_is_cancelled(self, engine: docker.DockerClient, challenge: Hosted):
        """
        The worker notices that the job is not its own any more, and its container is ended.
        """
        pk = challenge.submit(challenge.phase(case_timeout_s=600), build_test_image("slow"))
        worker = Worker.of(challenge.here)
        thread = threading.Thread(target=run_worker, args=(worker,), kwargs={"until_idle": True})
        thread.start()
        _wait_for(lambda: _left(engine, challenge))
        with challenge.database.write() as session:
            row = session.get_one(Submission, pk)
            transition(session, row, SubmissionState.CANCELLED, reason="withdrawn")
            end_parts(session, row, reason="withdrawn")
            cancel_jobs(session, Job.submission_pk == pk, reason="withdrawn")
        thread.join(timeout=120)
        assert not thread.is_alive()
        assert _left(engine, challenge) == []
        assert challenge.submission(pk).runs[0].cases[0].state is CaseState.CANCELLED

    @pytest.mark.usefixtures("evaluation_image")
    def test_a_container_that_outlived_its_worker(self, engine: docker.DockerClient, challenge: Hosted):
        """
        The next worker goes on with it, and starts no second one.
        """
        phase = challenge.phase(submission_kind=SubmissionKind.TRAINING, n_runs=1)
        pk = challenge.submit(phase, build_test_image("patient"))
        url = challenge.database.url.render_as_string(hide_password=False)
        process = subprocess.Popen(
            [sys.executable, "-m", "reseed", "worker"],
            env={"PATH": "/usr/bin:/bin", **environment(challenge.here.folder.root, url)},
            stderr=subprocess.DEVNULL,
        )
        label = f"{INSTALLATION_LABEL}={challenge.here.folder.root}"

        def trainings() -> list[object]:
            found = engine.containers.list(filters={"label": label}, ignore_removed=True)
            return [each for each in found if b"waiting" in each.logs()]

        _wait_for(trainings)
        process.kill()
        process.wait()
        (container,) = trainings()
        _wait_for(lambda: _is_due_again(challenge))
        worker = Worker.of(challenge.here)
        thread = threading.Thread(target=run_worker, args=(worker,), kwargs={"until_idle": True})
        thread.start()
        _wait_for(lambda: _train_job(challenge).state is JobState.LEASED)
        assert [each.id for each in trainings()] == [container.id]  # type: ignore[attr-defined]
        container.kill("SIGTERM")  # type: ignore[attr-defined]
        thread.join(timeout=60)
        job = _train_job(challenge)
        assert job.state is JobState.QUEUED
        assert "killed by SIGTERM from outside" in job.reason
        assert challenge.submission(pk).state is SubmissionState.TRYING


def _train_job(challenge: Hosted) -> Job:
    with challenge.database.read() as session:
        return session.scalars(select(Job).where(Job.kind == "train")).one()


def _is_due_again(challenge: Hosted) -> bool:
    """Whether the lease has run out; the reaper of the next worker takes the job back."""
    job = _train_job(challenge)
    with challenge.database.read() as session:
        return job.lease_until is not None and job.lease_until < challenge.database.now(session)
