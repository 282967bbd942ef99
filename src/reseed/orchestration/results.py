"""What a finished job must have left, and what the study folder shows of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reseed.contracts.digests import canonical_json
from reseed.contracts.errors import JobFailed, UserError
from reseed.contracts.files import write_bytes_atomically, write_json_atomically
from reseed.contracts.job import Job, JobKind
from reseed.contracts.metrics import Metrics
from reseed.contracts.sockets import SocketValue
from reseed.contracts.task import Task
from reseed.documents.reading import json_document, read_json
from reseed.orchestration.study_folder import StudyFolder

_DEEPEST_REPORT = 100


def complete_output(job: Job, output: Path, *, task: Task, dataset: Path) -> None:
    """
    Check the output of a job that exited with 0, and add what the next job needs beside it.

    Raises
    ------
    JobFailed
        When the program did not write what its contract says.
    """
    match job.kind:
        case JobKind.PREPROCESS:
            _require(any(output.iterdir()), job, "wrote nothing to /opt/ml/output/data")
        case JobKind.TRAIN:
            _check_report(job, output / "model" / "run.json")
        case JobKind.PREDICT:
            write_json_atomically(output / "predictions.json", predictions(task, dataset / "test" / "cases"))
        case JobKind.SCORE:
            _check_metrics(job, output / "metrics.json")
        case JobKind.COMPARE:
            for name in ("comparisons.json", "scores.csv"):
                _require((output / name).is_file(), job, f"wrote no {name}")


def predictions(task: Task, cases: Path) -> list[dict[str, Any]]:
    """
    predictions.json of a run: one job per test case, named after it.

    Parameters
    ----------
    task
        Whose outputs a case is expected to have.
    cases
        One folder per case, each with the inputs.json that the algorithm saw.
    """
    outputs = [SocketValue.of(socket).model_dump(mode="json") for socket in task.outputs]
    return [
        {
            "pk": folder.name,
            "inputs": json_document(folder / "inputs.json"),
            "outputs": outputs,
            "status": "Succeeded",
        }
        for folder in sorted(cases.iterdir())
        if (folder / "inputs.json").is_file()
    ]


def show_comparison(study: StudyFolder, compare: Job) -> None:
    """Copy the comparison to where a person looks for it."""
    output = study.job(compare.key).output
    for source in (*sorted(output.glob("scores*.csv")), output / "comparisons.json"):
        target = study.path / source.name
        content = source.read_bytes()
        if not target.is_file() or target.read_bytes() != content:
            write_bytes_atomically(target, content)


def show_run(study: StudyFolder, *, method: str, run: int, jobs: list[Job]) -> Path:
    """
    Lay out runs/<method>/<run>/ from the jobs of a run: model, predictions, metrics.json.

    Files are hard links into the jobs' outputs where the file system has them, so nothing is
    stored twice. Built beside its place and renamed; run.json is the caller's.
    """
    target = study.run(method, run)
    building = target.with_name(f".{target.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    for job in jobs:
        output = study.job(job.key).output
        match job.kind:
            case JobKind.TRAIN:
                _link_tree(output / "model", building / "model" / f"member-{job.member}")
                _link_tree(output / "data", building / "training" / f"member-{job.member}")
            case JobKind.PREDICT:
                _link_tree(output, building / "predictions")
            case JobKind.SCORE:
                _link_tree(output, building)
    return building


def reveal_run(study: StudyFolder, building: Path, *, method: str, run: int) -> None:
    """Put a run's folder in its place."""
    target = study.run(method, run)
    if target.exists():
        shutil.rmtree(target)
    building.rename(target)


def _require(condition: bool, job: Job, mistake: str) -> None:
    if not condition:
        raise JobFailed(f"{job.name}: exited with 0 but {mistake}")


def _check_report(job: Job, path: Path) -> None:
    """Refuse a run.json that the record of the run, which repeats it, could not be written with."""
    _require(path.is_file(), job, "wrote no /opt/ml/model/run.json")
    try:
        document = json_document(path)
        canonical_json(document).encode()
    except (UserError, ValueError) as error:  # numbers too large for JSON, half of a character
        reason = str(error).removeprefix(f"{path}: ")
        raise JobFailed(f"{job.name}: /opt/ml/model/run.json: {reason}") from None
    if _is_deeper(document, _DEEPEST_REPORT):
        raise JobFailed(f"{job.name}: /opt/ml/model/run.json: nested more than {_DEEPEST_REPORT} deep")


def _is_deeper(document: Any, limit: int) -> bool:
    parts = document.values() if isinstance(document, dict) else document
    return isinstance(document, dict | list) and (
        limit == 0 or any(_is_deeper(part, limit - 1) for part in parts)
    )


def _check_metrics(job: Job, path: Path) -> None:
    _require(path.is_file(), job, "wrote no /output/metrics.json")
    try:
        read_json(path, Metrics)
    except (UserError, ValidationError) as error:
        raise JobFailed(f"{job.name}: {error}") from None


def _link_tree(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        if path.is_file():
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                copy.hardlink_to(path)
            except OSError:
                shutil.copy2(path, copy)
