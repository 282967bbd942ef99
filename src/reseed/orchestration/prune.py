"""
What a study folder holds that nobody needs any more, and its removal.

Never what a finished job of the current plan has left, and in a collection, whose studies share
their jobs, of the plan of any of them. Removed are

- jobs that no plan asks for any more, because their settings, data or code have changed, with
  their results;
- what runs/ shows of them;
- checkpoints of finished jobs, and what attempts that are over have left beside their log;
- half of what was being written when an orchestrator was killed;
- containers of attempts that are over.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reseed.contracts.collection import Collection
from reseed.contracts.errors import UserError
from reseed.contracts.job import JobRecord, JobState
from reseed.documents.reading import json_document, read_json, read_yaml
from reseed.orchestration.study_folder import COLLECTION_FILE, AttemptFolder, JobFolder, StudyFolder
from reseed.orchestration.workspace import tree_bytes


@dataclass(frozen=True)
class Leftover:
    """A file or folder that can go, why, and its size."""

    path: Path
    why: str
    n_bytes: int


def leftovers(study: StudyFolder) -> list[Leftover]:
    """
    What can go, in the order of the folder.

    Jobs that are recorded as running are left alone, whatever the plan says.

    Raises
    ------
    UserError
        When the folder holds no plan, or a record that cannot be understood; when the plan of a study
        that shares the jobs is not known.
    """
    if not study.plan.is_file():
        raise UserError(f"{study.path}: no plan.json here; name the folder of a study that was started")
    own = _planned(study)
    found = [*_of_jobs(study, own | _wanted_by_others(study)), *_of_runs(study, own)]
    found += [_leftover(path, "half-written") for path in study.path.glob(".*.tmp")]
    return found


def is_over(attempt: AttemptFolder) -> bool:
    """Whether an attempt's end has been recorded, so that its container is of no use any more."""
    record = _record(JobFolder(attempt.path.parent.parent))
    if record is None or record.state is not JobState.RUNNING:
        return True
    return record.last is not None and record.last.number != int(attempt.path.name)


def remove(leftover: Leftover) -> None:
    """Remove a file or folder; a folder gets a name first under which nobody takes it for whole."""
    path = leftover.path
    if path.is_dir():
        doomed = path.with_name(f".{path.name}.pruned")
        shutil.rmtree(doomed, ignore_errors=True)
        path.rename(doomed)
        shutil.rmtree(doomed)
    else:
        path.unlink(missing_ok=True)


def _planned(study: StudyFolder) -> set[str]:
    return {job["key"] for job in json_document(study.plan)}


def _wanted_by_others(study: StudyFolder) -> set[str]:
    """The jobs that a collection's other studies ask for: those in its file, and those that link its jobs."""
    collection = study.collection
    if collection is None:
        return set()
    named = read_yaml(collection.path / COLLECTION_FILE, Collection).studies
    paths = {collection.path / each.study for each in named}
    paths |= {path for path in collection.path.iterdir() if StudyFolder(path).collection == collection}
    wanted: set[str] = set()
    for path in sorted(paths):
        try:
            wanted |= _planned(StudyFolder(path))
        except UserError as error:
            raise UserError(
                f"{error}; studies of a collection share their jobs, and which of them {path.name} needs is "
                "not known: `reseed run` of the collection writes its plan"
            ) from None
    return wanted


def _of_jobs(study: StudyFolder, wanted: set[str]) -> Iterator[Leftover]:
    for path in sorted(study.jobs.glob("*")):
        folder = study.job(path.name)
        if path.name.startswith("."):
            yield _leftover(path, "half-removed")
            continue
        record = _record(folder)
        if record is not None and record.state is JobState.RUNNING:
            continue
        name = record.name if record else path.name[:12]
        if path.name not in wanted:
            yield _leftover(path, f"{name}: no longer in the plan")
            continue
        if record is not None and record.state is JobState.SUCCEEDED and folder.checkpoints.is_dir():
            yield _leftover(folder.checkpoints, f"{name}: done, needs no checkpoints")
        for attempt in sorted((path / "attempts").glob("*")):
            place = AttemptFolder(attempt)
            for part in (place.root, place.scratch, place.output):
                if part.is_dir():
                    yield _leftover(part, f"{name}: attempt {attempt.name} is over")
        for half in path.glob(".*.tmp"):
            yield _leftover(half, "half-written")


def _of_runs(study: StudyFolder, wanted: set[str]) -> Iterator[Leftover]:
    for path in sorted((study.path / "runs").glob("*/*")):
        shown = f"runs/{path.parent.name}/{path.name}"
        record = path / "run.json"
        if path.name.startswith("."):
            yield _leftover(path, "half-written")
        elif not record.is_file() or not set(json_document(record)["jobs"].values()) <= wanted:
            yield _leftover(path, f"{shown}: no longer in the plan")


def _record(folder: JobFolder) -> JobRecord | None:
    return read_json(folder.record, JobRecord) if folder.record.is_file() else None


def _leftover(path: Path, why: str) -> Leftover:
    return Leftover(path, why, tree_bytes(path) if path.is_dir() else path.stat().st_size)
