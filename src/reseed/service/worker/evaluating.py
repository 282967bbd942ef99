"""Job `evaluate`: the predictions of a run through the evaluation container; its metrics are kept once."""

from __future__ import annotations

import re
import shutil
from datetime import timedelta
from pathlib import Path

from reseed.contracts.errors import InfrastructureError, UserError
from reseed.contracts.job import JobKind, OutputFolder
from reseed.contracts.metrics import Metrics
from reseed.documents.reading import read_json
from reseed.orchestration.workspace import Mount
from reseed.service.database.jobs import Lease, finish, held_job
from reseed.service.database.models import Evaluation, Phase, Run
from reseed.service.database.results import record_success
from reseed.service.database.transitions import transition
from reseed.service.domain.states import EvaluationState
from reseed.service.worker.at_hand import RunAtHand, at_hand, case_names, place_of_case
from reseed.service.worker.program import Program, ProgramFailed
from reseed.service.worker.programs import run_program
from reseed.service.worker.worker import Worker

EVALUATION_IMAGE = "reseed/evaluation"
_TASK_FILE = "task.yaml"
# what an evaluation container exits with when the predictions are at fault
_REFUSED = 1
_SHORTEST_NAME = 3


def evaluate(worker: Worker, lease: Lease) -> None:
    """Evaluate the predictions of a run and write down what they scored."""
    run = _begun(worker, lease)
    digest = worker.programs.digest_of(run.phase.evaluation_image or EVALUATION_IMAGE)
    program = _program(worker, run, digest)
    try:
        run_program(worker, lease, program)
    except ProgramFailed as error:
        if error.exit_code == _REFUSED and error.finished.last_error_line:
            line = without_case_names(error.finished.last_error_line, run.phase, case_names(run.phase))
            raise UserError(f"evaluation: {line}") from None
        raise InfrastructureError(f"the evaluation failed: {error}") from None
    metrics = _metrics(program.result / "metrics.json", run.phase)
    with worker.database.write() as session:
        held_job(session, lease)
        record_success(session, session.get_one(Evaluation, lease.evaluation_pk), metrics.document())
        finish(session, lease)
    if run.model is not None:
        # unpacked from the tarball that is kept
        shutil.rmtree(worker.folders.model_folder(run.submission, run.number), ignore_errors=True)


def _begun(worker: Worker, lease: Lease) -> RunAtHand:
    with worker.database.write() as session:
        job = held_job(session, lease)
        evaluation = session.get_one(Evaluation, lease.evaluation_pk)
        within = timedelta(seconds=evaluation.submission.phase.evaluation_timeout_s)
        job.deadline = worker.database.now(session) + within + worker.job_slack
        if evaluation.state is EvaluationState.QUEUED:
            transition(
                session, evaluation, EvaluationState.EXECUTING, within=3 * within + 4 * worker.job_slack
            )
        return at_hand(worker, session.get_one(Run, evaluation.run_pk))


def _program(worker: Worker, run: RunAtHand, digest: str) -> Program:
    folders, reference = worker.folders, Path(run.phase.reference_folder)
    if not reference.is_dir():
        raise InfrastructureError(f"phase {run.phase.slug}: no reference folder {reference}")
    return Program(
        name="evaluation",
        kind=JobKind.SCORE,
        image=digest,
        step=folders.step(run.submission, run.number, "evaluate"),
        result=folders.evaluated(run.submission, run.number),
        log=folders.log(run.submission, run.number, "evaluate"),
        inputs=(
            Mount(folders.predictions(run.submission, run.number), "/input"),
            Mount(reference, "/opt/ml/input/data/ground_truth"),
        ),
        outputs=(OutputFolder(target="/output", name=""),),
        config={_TASK_FILE: run.phase.task_text},
        resources=run.resources(run.phase.evaluation_timeout_s),
    )


def without_case_names(line: str, phase: Phase, cases: list[str]) -> str:
    """
    What an evaluation said, to whoever must not know the names of hidden cases.

    They become places in the order of the names; the line as it was is in the evaluation's log.
    Names of up to three characters are taken for names only where they are quoted after "case".
    """
    names = sorted(cases, key=len, reverse=True)
    # "(?!)" is nowhere
    anywhere = "|".join(re.escape(name) for name in names if len(name) > _SHORTEST_NAME) or "(?!)"
    quoted = "|".join(map(re.escape, names))
    words = [rf"case (['\"])(?P<quoted>{quoted})\1", rf"(?<!\w)(?P<word>{anywhere})(?!\w)"]

    def place(found: re.Match[str]) -> str:
        groups = found.groupdict()
        return place_of_case(phase, groups["quoted"] or groups["word"], cases)

    return re.sub("|".join(words), place, line)


def _metrics(path: Path, phase: Phase) -> Metrics:
    """
    What the evaluation wrote.

    Raises
    ------
    InfrastructureError
        When it is not what the contract says: that is not the submission's fault.
    """
    try:
        metrics = read_json(path, Metrics)
    except UserError as error:
        raise InfrastructureError(f"the evaluation wrote no usable metrics.json: {error}") from None
    if metrics.task != phase.task_name:
        raise InfrastructureError(f"the evaluation was of task {metrics.task}, not {phase.task_name}")
    return metrics
