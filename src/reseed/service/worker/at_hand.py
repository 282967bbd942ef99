"""What a job of a run is about, read in the transaction that begins it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml
from sqlalchemy.orm import Session

from reseed.contracts.errors import InfrastructureError
from reseed.contracts.manifest import Resources
from reseed.contracts.task import Task
from reseed.orchestration.packaging.image_rules import n_members_of
from reseed.orchestration.slots import n_usable_cpus
from reseed.service.database.jobs import MAX_ATTEMPTS, Lease, enqueue, held_job
from reseed.service.database.models import Evaluation, Job, Phase, Run, Submission
from reseed.service.database.transitions import transition
from reseed.service.domain.roles import SubmissionKind
from reseed.service.domain.states import RunState, SubmissionState, longest_stay
from reseed.service.worker.worker import Worker


@dataclass(frozen=True)
class RunAtHand:
    """A run with what its containers need, as it was when its job began."""

    pk: UUID
    number: int
    submission: UUID
    phase: Phase
    image: UUID
    image_digest: str
    model: UUID | None
    is_trained: bool
    n_runs: int
    n_members: int
    max_cpus: int | None
    entropy: int

    def resources(self, timeout_s: int) -> Resources:
        """What one of its containers may use, where the worker runs them."""
        cpus = self.phase.cpus if self.max_cpus is None else min(self.phase.cpus, self.max_cpus)
        return Resources(
            cpus=cpus, gpus=self.phase.gpus, memory_gib=self.phase.memory_gib, timeout_s=timeout_s
        )

    def task(self) -> Task:
        """The task of its phase."""
        return task_of(self.phase)


def task_of(phase: Phase) -> Task:
    """
    The task of a phase, whose text was checked when it was given.

    Raises
    ------
    InfrastructureError
        When it is not one for this version.
    """
    try:
        return Task.model_validate_json(json.dumps(yaml.safe_load(phase.task_text)), strict=True)
    except (yaml.YAMLError, ValueError) as error:
        raise InfrastructureError(f"phase {phase.slug}: its task file cannot be read: {error}") from None


def case_names(phase: Phase) -> list[str]:
    """
    The hidden cases of a phase, in the order of their names.

    Raises
    ------
    InfrastructureError
        When there are none where the phase says.
    """
    folder = Path(phase.cases_folder)
    names = sorted(path.parent.name for path in folder.glob("*/inputs.json"))
    if not names:
        raise InfrastructureError(f"phase {phase.slug}: no case with inputs.json in {folder}")
    return names


def trial_case(phase: Phase, cases: list[str]) -> str:
    """
    The case that is tried first, by the first run.

    Raises
    ------
    InfrastructureError
        When the one that the phase names is not among its cases.
    """
    if phase.trial_case is None:
        return cases[0]
    if phase.trial_case not in cases:
        raise InfrastructureError(
            f"phase {phase.slug}: its trial case {phase.trial_case!r} is not in {phase.cases_folder}"
        )
    return phase.trial_case


def place_of_case(phase: Phase, name: str, cases: list[str]) -> str:
    """Which case, to whoever must not know its name."""
    if name == phase.trial_case:
        return "the trial case"
    return "the first case" if name == cases[0] else f"case {cases.index(name) + 1} of {len(cases)}"


def begun(worker: Worker, lease: Lease, state: RunState, *, timeout_s: int) -> RunAtHand:
    """
    Bring the run of a job into a state, or find it there, and set the deadlines of both.

    Parameters
    ----------
    worker, lease
        With the job.
    state
        Of the run while the job is at work.
    timeout_s
        What all containers of the job may take together.

    Raises
    ------
    LeaseLost, ForbiddenTransition
    """
    with worker.database.write() as session:
        job = held_job(session, lease)
        run = session.get_one(Run, lease.run_pk)
        within = timedelta(seconds=timeout_s)
        now, slack = worker.database.now(session), worker.job_slack
        job.deadline = now + within + slack
        found = at_hand(worker, run)
        n_jobs = found.n_members if state is RunState.TRAINING else 1
        stay = n_jobs * MAX_ATTEMPTS * within + 4 * slack
        if run.state is not state:
            transition(session, run, state, within=stay)
        elif run.deadline is not None:
            # jobs of others may have come between those of this run
            run.deadline = max(run.deadline, now + stay)
        if run.submission.deadline is not None:
            run.submission.deadline = max(run.submission.deadline, now + stay)
        return found


def at_hand(worker: Worker, run: Run) -> RunAtHand:
    """A run with what its containers need."""
    submission, image = run.submission, run.submission.algorithm_image
    if image.digest is None:
        raise InfrastructureError(f"image {image.pk} is {image.state} and has no digest")
    return RunAtHand(
        pk=run.pk,
        number=run.number,
        submission=submission.pk,
        phase=submission.phase,
        image=image.pk,
        image_digest=image.digest,
        model=run.algorithm_model_pk,
        is_trained=submission.kind is SubmissionKind.TRAINING,
        n_runs=submission.n_runs,
        n_members=n_members_of(image.labels),
        max_cpus=None if worker.programs.queues else n_usable_cpus(),
        entropy=submission.entropy or 0,
    )


def phase_of_run(worker: Worker, lease: Lease) -> Phase:
    """The phase of a job's run."""
    with worker.database.read() as session:
        return session.get_one(Run, lease.run_pk).submission.phase


def stay_of(state: SubmissionState, submission: Submission, *, n_trainings: int) -> timedelta | None:
    """How long a submission may be in a state in which so many trainings are done, also one after another."""
    stay = longest_stay(state)
    if stay is None:
        return None
    return stay + MAX_ATTEMPTS * n_trainings * timedelta(seconds=submission.phase.training_timeout_s)


def enqueue_trainings(session: Session, submission: Submission, run: Run) -> None:
    """Put the trainings of all members of a run into the queue, one job each: several workers share them."""
    for member in range(n_members_of(submission.algorithm_image.labels)):
        enqueue_for_run(session, submission, run, "train", details={"member": member})


def enqueue_for_run(
    session: Session, submission: Submission, run: Run, kind: str, *, details: dict[str, Any] | None = None
) -> None:
    """
    Put the next job of a run into the queue.

    Who has come far goes before who begins: a submission ends sooner, and its folders with it.
    """
    subjects: dict[str, Any] = {"submission_pk": submission.pk, "run_pk": run.pk}
    job = enqueue(session, Job(kind=kind, priority=_PRIORITIES[kind], details=details or {}, **subjects))
    let_wait(submission, job)


def let_wait(submission: Submission, *parts: Run | Evaluation | Job) -> None:
    """Let parts of a submission wait behind others of it, for as long as it may last."""
    for part in parts:
        if part.deadline is not None and submission.deadline is not None:
            part.deadline = max(part.deadline, submission.deadline)


_PRIORITIES = {"preprocess": 100, "train": 95, "try": 80, "predict": 90, "evaluate": 70}
