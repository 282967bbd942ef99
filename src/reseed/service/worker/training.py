"""Jobs `preprocess` and `train`: retrainings of a submission's image, each member under its own seeds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from reseed.contracts.containers import MEMBER_VARIABLE, MEMBERS_VARIABLE, member_folder
from reseed.contracts.errors import InfrastructureError
from reseed.contracts.files import make_folder, sync_folder
from reseed.contracts.job import JobKind, OutputFolder
from reseed.contracts.manifest import setting_text
from reseed.contracts.seeds import Seeds
from reseed.contracts.study import MethodSpec, Study
from reseed.orchestration.seeds import job_seeds
from reseed.orchestration.workspace import Mount
from reseed.service.database.jobs import Lease, finish, held_job
from reseed.service.database.models import Job, Run, Submission
from reseed.service.domain.states import JobState, RunState, SubmissionState, longest_stay
from reseed.service.worker.at_hand import (
    RunAtHand,
    begun,
    enqueue_for_run,
    enqueue_trainings,
    let_wait,
    phase_of_run,
)
from reseed.service.worker.images import load_image
from reseed.service.worker.program import Finished, Program, ProgramFailed
from reseed.service.worker.programs import run_program
from reseed.service.worker.worker import Worker

_METHOD = "submission"
_MAX_RECORD_BYTES = 4 << 20


def preprocess(worker: Worker, lease: Lease) -> None:
    """Prepare the training channel, once for all runs of a submission; then its first run is trained."""
    phase = phase_of_run(worker, lease)
    run = begun(worker, lease, RunState.TRAINING, timeout_s=phase.training_timeout_s)
    load_image(worker, run.image, run.image_digest)
    _preprocess(worker, lease, run)
    with worker.database.write() as session:
        held_job(session, lease)
        row = session.get_one(Run, run.pk)
        # trainings of others may be before it in the queue
        stay = longest_stay(RunState.QUEUED)
        row.deadline = None if stay is None else worker.database.now(session) + stay
        let_wait(row.submission, row)
        enqueue_trainings(session, session.get_one(Submission, run.submission), row)
        finish(session, lease)


def train(worker: Worker, lease: Lease) -> None:
    """Train one ensemble member of a run, keep its model and record; the last one lets the run go on."""
    phase = phase_of_run(worker, lease)
    member = int(lease.details["member"])
    run = begun(worker, lease, RunState.TRAINING, timeout_s=phase.training_timeout_s)
    load_image(worker, run.image, run.image_digest)
    seeds = member_seeds(run, member)
    try:
        _train(worker, lease, run, member, seeds)
    except ProgramFailed as error:
        if run.n_members == 1:
            raise
        reason = f"{member_folder(member)}: {error.reason}"
        raise ProgramFailed(reason, exit_code=error.exit_code, finished=error.finished) from None
    model = worker.folders.model_folder(run.submission, run.number)
    with worker.database.write() as session:
        held_job(session, lease)
        row = session.get_one(Run, run.pk)
        submission = session.get_one(Submission, run.submission)
        name = member_folder(member)
        row.seeds = {**(row.seeds or {}), name: seeds.model_dump(mode="json")}
        row.record = {**(row.record or {}), name: _record(model / name / "run.json", run.n_members)}
        finish(session, lease)
        if not _others_train(session, run, lease):
            is_trial = submission.state is SubmissionState.TRYING
            enqueue_for_run(session, submission, row, "try" if is_trial else "predict")


def _others_train(session: Session, run: RunAtHand, lease: Lease) -> bool:
    """Whether a member of the run is not trained yet; with the submission locked, one job sees the end."""
    others = select(Job.pk).where(
        Job.run_pk == run.pk, Job.kind == "train", Job.pk != lease.job_pk, Job.state != JobState.DONE
    )
    return session.scalar(others.limit(1)) is not None


def member_seeds(run: RunAtHand, member: int) -> Seeds:
    """
    The seeds of an ensemble member of a run, as a study with the submission's entropy would have them.

    Source: reseed.orchestration.seeds, method `submission`, runs and members counted from 0.
    """
    study = Study(
        study=_METHOD,
        task=run.phase.task_name,
        dataset=_METHOD,
        entropy=run.entropy,
        runs=run.n_runs,
        members=run.n_members,
        methods={_METHOD: MethodSpec(algorithm=_METHOD)},
    )
    return job_seeds(study, method=_METHOD, run=run.number - 1, member=member)


def _training_channel(run: RunAtHand) -> Mount:
    folder = Path(run.phase.training_folder or "")
    if run.phase.training_folder is None or not folder.is_dir():
        raise InfrastructureError(f"phase {run.phase.slug}: no training folder {folder}")
    return Mount(folder, "/opt/ml/input/data/training")


def _settings(run: RunAtHand) -> dict[str, str]:
    return {key: setting_text(value) for key, value in run.phase.hyperparameters.items()}


def _preprocess(worker: Worker, lease: Lease, run: RunAtHand) -> None:
    folders = worker.folders
    run_program(
        worker,
        lease,
        Program(
            name="preprocess",
            kind=JobKind.PREPROCESS,
            image=run.image_digest,
            command="preprocess",
            step=folders.step(run.submission, 1, "preprocess"),
            result=folders.preprocessed(run.submission),
            log=folders.log(run.submission, 1, "preprocess"),
            inputs=(_training_channel(run),),
            outputs=(OutputFolder(target="/opt/ml/output/data", name=""),),
            settings=_settings(run),
            resources=run.resources(run.phase.training_timeout_s),
            quotes=run.phase.shows_words(),
        ),
    )


def _train(worker: Worker, lease: Lease, run: RunAtHand, member: int, seeds: Seeds) -> None:
    folders = worker.folders
    name = member_folder(member)
    step = f"train-{name}"
    trained = folders.trained(run.submission, run.number, name)
    finished = run_program(
        worker,
        lease,
        Program(
            name="train",
            kind=JobKind.TRAIN,
            image=run.image_digest,
            command="train",
            step=folders.step(run.submission, run.number, step),
            result=trained,
            log=folders.log(run.submission, run.number, step),
            inputs=(
                _training_channel(run),
                Mount(folders.preprocessed(run.submission), "/opt/ml/input/data/preprocessed"),
            ),
            outputs=(
                OutputFolder(target="/opt/ml/model", name="model"),
                OutputFolder(target="/opt/ml/output/data", name="data"),
            ),
            settings=_settings(run),
            environment={
                **seeds.environment(),
                MEMBER_VARIABLE: str(member),
                MEMBERS_VARIABLE: str(run.n_members),
            },
            has_checkpoints=True,
            resources=run.resources(run.phase.training_timeout_s),
            quotes=run.phase.shows_words(),
        ),
    )
    model = folders.model_folder(run.submission, run.number) / name
    if not model.is_dir():
        _keep(trained / "model", model, finished)


def _keep(trained: Path, model: Path, finished: Finished) -> None:
    """Put what was trained where the models of its run are, as a whole; raises ProgramFailed for nothing."""
    if not any(trained.iterdir()):
        raise ProgramFailed(
            "train: exited with 0 but wrote nothing to /opt/ml/model", exit_code=0, finished=finished
        )
    building = model.with_name(f".{model.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    make_folder(building.parent)
    shutil.copytree(trained, building, copy_function=_linked)
    building.rename(model)
    sync_folder(model.parent)


def _linked(source: str, target: str) -> None:
    """One file under two names, where the file system can; else a copy."""
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)


def _record(path: Path, n_members: int) -> dict[str, Any] | None:
    """run.json as the training wrote it; None when there is none, or it is no JSON object of a usual size."""
    try:
        if path.stat().st_size > _MAX_RECORD_BYTES // n_members:
            return None
        document = json.loads(path.read_text(encoding="utf-8"))
        # what is no JSON, as NaN, or what PostgreSQL does not take, as the character 0
        text = json.dumps(document, allow_nan=False)
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and "\\u0000" not in text else None
