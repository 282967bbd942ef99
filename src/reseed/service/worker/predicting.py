"""Jobs `try` and `predict`: the hidden cases of a phase through one run, the trial case by itself."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from reseed.contracts.files import write_json_atomically
from reseed.contracts.job import JobKind, OutputFolder
from reseed.orchestration.results import predictions
from reseed.orchestration.workspace import Mount
from reseed.service.database.jobs import Lease, enqueue, finish, held_job
from reseed.service.database.models import Evaluation, Job, Run, RunCase, Submission
from reseed.service.database.transitions import enter, transition
from reseed.service.domain.states import CaseState, RunState, SubmissionState
from reseed.service.worker.at_hand import (
    RunAtHand,
    begun,
    case_names,
    enqueue_for_run,
    enqueue_trainings,
    let_wait,
    phase_of_run,
    place_of_case,
    stay_of,
    trial_case,
)
from reseed.service.worker.images import load_image
from reseed.service.worker.models import unpack_model
from reseed.service.worker.program import Finished, Program, ProgramFailed
from reseed.service.worker.programs import run_program
from reseed.service.worker.worker import Worker

_MODEL_TARGET = "/opt/ml/model"


def try_first_case(worker: Worker, lease: Lease) -> None:
    """Predict the trial case by the first run; then everything else of the submission may go on."""
    phase = phase_of_run(worker, lease)
    run = begun(worker, lease, RunState.TRYING, timeout_s=phase.case_timeout_s)
    cases = case_names(phase)
    _predict(worker, lease, run, cases, [trial_case(phase, cases)])
    with worker.database.write() as session:
        held_job(session, lease)
        submission = session.get_one(Submission, run.submission)
        if submission.state is SubmissionState.TRYING:
            n_trainings = (run.n_runs - 1) * run.n_members if run.is_trained else 0
            within = stay_of(SubmissionState.RUNNING, submission, n_trainings=n_trainings)
            reason = "its first case has succeeded"
            transition(session, submission, SubmissionState.RUNNING, reason=reason, within=within)
        let_wait(submission, *(row for row in submission.runs if row.state is RunState.QUEUED))
        for row in submission.runs:
            if run.is_trained and row.pk != run.pk:
                enqueue_trainings(session, submission, row)
            else:
                enqueue_for_run(session, submission, row, "predict")
        finish(session, lease)


def predict(worker: Worker, lease: Lease) -> None:
    """Predict all cases that are not predicted yet, then have the run evaluated."""
    phase = phase_of_run(worker, lease)
    cases = case_names(phase)
    run = begun(worker, lease, RunState.PREDICTING, timeout_s=phase.case_timeout_s * len(cases))
    _predict(worker, lease, run, cases, cases)
    folder = worker.folders.predictions(run.submission, run.number)
    write_json_atomically(folder / "predictions.json", predictions(run.task(), Path(phase.cases_folder)))
    with worker.database.write() as session:
        held_job(session, lease)
        row = session.get_one(Run, run.pk)
        transition(session, row, RunState.EVALUATING)
        evaluation = Evaluation(
            run_pk=run.pk, phase_pk=phase.pk, submission_pk=run.submission, is_external=phase.is_external
        )
        enter(session, evaluation)
        let_wait(row.submission, evaluation)
        if not phase.is_external:
            subjects = {"submission_pk": run.submission, "run_pk": run.pk, "evaluation_pk": evaluation.pk}
            let_wait(row.submission, enqueue(session, Job(kind="evaluate", priority=70, **subjects)))
        finish(session, lease)


def _predict(worker: Worker, lease: Lease, run: RunAtHand, cases: list[str], wanted: list[str]) -> None:
    """Run the cases that have not succeeded, one container each."""
    load_image(worker, run.image, run.image_digest)
    model = worker.folders.model_folder(run.submission, run.number)
    if run.model is not None:
        unpack_model(worker.folders.model(run.model), model)
    states = _entered(worker, lease, run, cases)
    for name in wanted:
        if states[name] is CaseState.SUCCEEDED:
            continue
        _begin_case(worker, lease, run, name)
        try:
            finished = run_program(worker, lease, _case_program(worker, run, name, model))
        except ProgramFailed as error:
            _end_case(worker, lease, run.pk, name, CaseState.FAILED, error.finished, error)
            raise ProgramFailed(
                f"{place_of_case(run.phase, name, cases)}: {error.reason}",
                exit_code=error.exit_code,
                finished=error.finished,
            ) from None
        _end_case(worker, lease, run.pk, name, CaseState.SUCCEEDED, finished)


def _case_program(worker: Worker, run: RunAtHand, name: str, model: Path) -> Program:
    folders = worker.folders
    inputs = [Mount(Path(run.phase.cases_folder) / name, "/input")]
    if model.is_dir():
        inputs.append(Mount(model, _MODEL_TARGET))
    return Program(
        name="inference",
        kind=JobKind.PREDICT,
        image=run.image_digest,
        step=folders.step(run.submission, run.number, f"case-{name}"),
        result=folders.case_output(run.submission, run.number, name),
        log=folders.log(run.submission, run.number, f"case-{name}"),
        inputs=tuple(inputs),
        outputs=(OutputFolder(target="/output", name=""),),
        has_config=False,
        quotes=run.phase.shows_words(name),
        resources=run.resources(run.phase.case_timeout_s),
    )


def _entered(worker: Worker, lease: Lease, run: RunAtHand, cases: list[str]) -> dict[str, CaseState]:
    """The state of every case of a run; those that have no row yet get one."""
    trial = trial_case(run.phase, cases)
    with worker.database.write() as session:
        held_job(session, lease)
        rows = session.scalars(select(RunCase).where(RunCase.run_pk == run.pk))
        states = {row.name: row.state for row in rows}
        for name in cases:
            if name not in states:
                is_trial = name == trial and run.number == 1
                enter(session, RunCase(run_pk=run.pk, name=name, is_trial=is_trial))
                states[name] = CaseState.QUEUED
        return states


def _case(session: Session, run_pk: UUID, name: str) -> RunCase:
    return session.scalars(select(RunCase).where(RunCase.run_pk == run_pk, RunCase.name == name)).one()


def _begin_case(worker: Worker, lease: Lease, run: RunAtHand, name: str) -> None:
    with worker.database.write() as session:
        held_job(session, lease)
        case = _case(session, run.pk, name)
        if case.state is CaseState.QUEUED:
            within = 3 * timedelta(seconds=run.phase.case_timeout_s) + 4 * worker.job_slack
            transition(session, case, CaseState.RUNNING, within=within, started=worker.database.now(session))


def _end_case(
    worker: Worker,
    lease: Lease,
    run_pk: UUID,
    name: str,
    state: CaseState,
    finished: Finished,
    error: ProgramFailed | None = None,
) -> None:
    with worker.database.write() as session:
        held_job(session, lease)
        transition(
            session,
            _case(session, run_pk, name),
            state,
            reason="" if error is None else error.reason,
            started=finished.started,
            seconds=finished.seconds,
            exit_code=0 if error is None else error.exit_code,
            last_error_line=finished.last_error_line,
        )
