"""Job `train`: one retraining of a submission's image, under the seeds of its run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

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
from reseed.service.database.models import Run, Submission
from reseed.service.domain.states import RunState, SubmissionState
from reseed.service.worker.at_hand import RunAtHand, begun, enqueue_for_run, phase_of_run
from reseed.service.worker.images import load_image
from reseed.service.worker.program import Program, ProgramFailed
from reseed.service.worker.programs import run_program
from reseed.service.worker.worker import Worker

_METHOD = "submission"
_MAX_RECORD_BYTES = 4 << 20


def train(worker: Worker, lease: Lease) -> None:
    """Preprocess, once for all runs of a submission; train; keep the model and its record."""
    timeout_s = 2 * phase_of_run(worker, lease).training_timeout_s
    run = begun(worker, lease, RunState.TRAINING, timeout_s=timeout_s)
    load_image(worker, run.image, run.image_digest)
    seeds = run_seeds(run)
    _preprocess(worker, lease, run)
    _train(worker, lease, run, seeds)
    model = worker.folders.model_folder(run.submission, run.number)
    with worker.database.write() as session:
        held_job(session, lease)
        row = session.get_one(Run, run.pk)
        submission = session.get_one(Submission, run.submission)
        row.seeds = seeds.model_dump(mode="json")
        row.record = _record(model / member_folder(0) / "run.json")
        is_trial = submission.state is SubmissionState.TRYING
        enqueue_for_run(session, submission, row, "try" if is_trial else "predict")
        finish(session, lease)


def run_seeds(run: RunAtHand) -> Seeds:
    """
    The seeds of a run, as a study with the submission's entropy would have them.

    Source: reseed.orchestration.seeds, method `submission`, runs counted from 0.
    """
    study = Study(
        study=_METHOD,
        task=run.phase.task_name,
        dataset=_METHOD,
        entropy=run.entropy,
        runs=run.n_runs,
        methods={_METHOD: MethodSpec(algorithm=_METHOD)},
    )
    return job_seeds(study, method=_METHOD, run=run.number - 1, member=0)


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
        ),
    )


def _train(worker: Worker, lease: Lease, run: RunAtHand, seeds: Seeds) -> None:
    folders = worker.folders
    trained = folders.run(run.submission, run.number) / "training"
    model = folders.model_folder(run.submission, run.number)
    finished = run_program(
        worker,
        lease,
        Program(
            name="train",
            kind=JobKind.TRAIN,
            image=run.image_digest,
            command="train",
            step=folders.step(run.submission, run.number, "train"),
            result=trained,
            log=folders.log(run.submission, run.number, "train"),
            inputs=(
                _training_channel(run),
                Mount(folders.preprocessed(run.submission), "/opt/ml/input/data/preprocessed"),
            ),
            outputs=(
                OutputFolder(target="/opt/ml/model", name="model"),
                OutputFolder(target="/opt/ml/output/data", name="data"),
            ),
            settings=_settings(run),
            environment={**seeds.environment(), MEMBER_VARIABLE: "0", MEMBERS_VARIABLE: "1"},
            has_checkpoints=True,
            resources=run.resources(run.phase.training_timeout_s),
        ),
    )
    if model.is_dir():
        return
    if not any((trained / "model").iterdir()):
        raise ProgramFailed(
            "train: exited with 0 but wrote nothing to /opt/ml/model", exit_code=0, finished=finished
        )
    building = model.with_name(f".{model.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    make_folder(building)
    shutil.copytree(trained / "model", building / member_folder(0), copy_function=_linked)
    building.rename(model)
    sync_folder(model.parent)


def _linked(source: str, target: str) -> None:
    """One file under two names, where the file system can; else a copy."""
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)


def _record(path: Path) -> dict[str, Any] | None:
    """run.json as the training wrote it; None when there is none, or it is no JSON object of a usual size."""
    try:
        if path.stat().st_size > _MAX_RECORD_BYTES:
            return None
        document = json.loads(path.read_text(encoding="utf-8"))
        # what is no JSON, as NaN, or what PostgreSQL does not take, as the character 0
        text = json.dumps(document, allow_nan=False)
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and "\\u0000" not in text else None
