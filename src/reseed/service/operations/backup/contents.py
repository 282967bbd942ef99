"""Which files a database speaks of: what a backup takes along of the data folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import select
from sqlalchemy.orm import Session

from reseed.service.database.models import (
    AlgorithmImage,
    AlgorithmModel,
    Evaluation,
    Phase,
    Run,
    RunCase,
    Submission,
    Upload,
)
from reseed.service.domain.states import ArchiveState, CaseState, EvaluationState, RunState, UploadState
from reseed.service.folders import DataFolder
from reseed.service.images.keeping import Archive, archive_path

_WAITING = (ArchiveState.RECEIVED, ArchiveState.CHECKING)
_KEPT = (*_WAITING, ArchiveState.READY)
_PREDICTED = (RunState.EVALUATING, RunState.EVALUATED)
# So many files that may be moved or removed any moment are opened at once, and so kept.
_HELD = 256


@dataclass(frozen=True)
class StoredFile:
    """
    A file of the data folder that a row needs.

    Parameters
    ----------
    name
        Its path in the data folder, and in the backup.
    path
        Where it is.
    what
        Whose it is, in words.
    n_bytes
        So many from its beginning; None for all.
    held
        Opened already, so that it stays as long as it is read.
    """

    name: str
    path: Path
    what: str
    n_bytes: int | None = None
    held: BinaryIO | None = None


@dataclass(frozen=True)
class StoredFolder:
    """A folder whose files are taken as they are; links are followed in folders of organisers only."""

    name: str
    path: Path
    follows_links: bool = False

    def files(self) -> Iterator[tuple[str, Path]]:
        """Every file in it, by its name in the backup, in one order; not those that are being written."""
        for place, folders, names in os.walk(self.path, followlinks=self.follows_links):
            folders.sort()
            for name in sorted(names):
                path = Path(place, name)
                is_file = path.is_file() and (self.follows_links or not path.is_symlink())
                if is_file and not (name.startswith(".") and name.endswith(".tmp")):
                    yield f"{self.name}/{path.relative_to(self.path).as_posix()}", path


@dataclass
class Contents:
    """What a backup takes along, and how many of which noun there are."""

    files: list[StoredFile] = field(default_factory=list)
    folders: list[StoredFolder] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def close(self) -> None:
        """Close what was kept open."""
        for file in self.files:
            if file.held is not None:
                file.held.close()


def contents_of(session: Session, folder: DataFolder, *, with_cases: bool) -> Contents:
    """
    What the rows of one instant need of the data folder.

    Files have their place before the row that says so, and leave it after the row that says so. So a
    copy of the database is made first, and the files are copied after it: what is missing then was
    removed since, and `settling` ends its row. What is only on its way (attempts, checkpoints, outputs
    of cases that are not over) is left out, and is made again.

    Parameters
    ----------
    session
        Of the copy, or of the snapshot that is copied.
    folder
        Of the installation.
    with_cases
        Whether the folders of phases are taken along.
    """
    found = Contents()
    # first what may be moved or removed any moment
    _add_uploads(session, folder, found)
    _add_archives(session, folder, found)
    _add_submissions(session, folder, found)
    phases = session.scalars(select(Phase)).all()
    found.counts["phase"] = len(phases)
    if with_cases:
        for phase in phases:
            for name, path in phase_folders(phase).items():
                place = f"phases/{phase.pk}/{name}"
                found.folders.append(StoredFolder(place, Path(path), follows_links=True))
    return found


def phase_folders(phase: Phase) -> dict[str, str]:
    """The folders of a phase, by what they are; they are the organisers', outside of the data folder."""
    folders = {"cases": phase.cases_folder, "reference": phase.reference_folder}
    if phase.training_folder is not None:
        folders["training"] = phase.training_folder
    return folders


def _add_uploads(session: Session, folder: DataFolder, found: Contents) -> None:
    waiting = select(Upload).where(Upload.state.in_([UploadState.OPEN, UploadState.FINISHED]))
    uploads = [upload for upload in session.scalars(waiting) if upload.offset]
    found.counts["upload"] = len(uploads)
    for upload in uploads:
        path = folder.upload(upload.pk)
        held = _held(found, path)
        what = f"upload of {upload.creator.username}"
        found.files.append(StoredFile(_name(folder, path), path, what, n_bytes=upload.offset, held=held))


def _add_archives(session: Session, folder: DataFolder, found: Contents) -> None:
    tables: tuple[tuple[str, type[Any]], ...] = (("image", AlgorithmImage), ("model", AlgorithmModel))
    for noun, table in tables:
        rows: Sequence[Archive] = session.scalars(select(table).where(table.state.in_(_KEPT))).all()
        found.counts[noun] = len(rows)
        # those that are being checked first: they leave the uploads any moment
        for row in sorted(rows, key=lambda row: row.state not in _WAITING):
            path = archive_path(folder, row)
            what = f"{noun} of {row.algorithm.slug}, {row.state}"
            held = None
            if row.state in _WAITING and row.upload_pk is not None:
                # where it is moved from, then where it is moved to
                held = _held(found, folder.upload(row.upload_pk)) or _held(found, path)
            found.files.append(StoredFile(_name(folder, path), path, what, held=held))


def _held(found: Contents, path: Path) -> BinaryIO | None:
    if sum(file.held is not None for file in found.files) >= _HELD:
        return None
    with suppress(FileNotFoundError):
        return path.open("rb")
    return None


def _add_submissions(session: Session, folder: DataFolder, found: Contents) -> None:
    submissions = session.scalars(select(Submission)).all()
    found.counts["submission"] = len(submissions)
    for submission in submissions:
        if submission.outputs_removed_at is not None:
            continue
        if not submission.state.is_terminal:
            path = folder.preprocessed(submission.pk)
            found.folders.append(StoredFolder(_name(folder, path), path))
        runs = session.scalars(select(Run).where(Run.submission_pk == submission.pk).order_by(Run.number))
        for run in runs:
            for path in _folders_of_run(session, folder, submission, run):
                found.folders.append(StoredFolder(_name(folder, path), path))


def _folders_of_run(session: Session, folder: DataFolder, submission: Submission, run: Run) -> list[Path]:
    """What is finished of a run; a submission that is over changes no more."""
    pk, number = submission.pk, run.number
    is_over = submission.state.is_terminal
    paths = [folder.log(pk, number, "any").parent]
    if run.algorithm_model_pk is None:
        # a brought model is unpacked again from its tarball
        members = sorted(run.seeds or {})
        model = folder.model_folder(pk, number)
        paths += [model] if is_over else [model / name for name in members]
        paths += [folder.trained(pk, number, name) / "data" for name in members]
    if is_over or run.state in _PREDICTED:
        paths.append(folder.predictions(pk, number))
    else:
        done = select(RunCase.name).where(RunCase.run_pk == run.pk, RunCase.state == CaseState.SUCCEEDED)
        paths += [folder.case_output(pk, number, name) for name in session.scalars(done)]
    state = session.scalar(select(Evaluation.state).where(Evaluation.run_pk == run.pk))
    if is_over or state is EvaluationState.SUCCEEDED:
        paths.append(folder.evaluated(pk, number))
    return paths


def _name(folder: DataFolder, path: Path) -> str:
    return path.relative_to(folder.root).as_posix()
