"""What goes some time after a submission has ended: outputs and logs, and what only failures have used."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select

from reseed.contracts.files import make_folder
from reseed.service.database.engine import Database
from reseed.service.database.models import AlgorithmImage, AlgorithmModel, Submission
from reseed.service.database.transitions import record_event, transition
from reseed.service.domain.states import ArchiveState, SubmissionState
from reseed.service.folders import DataFolder
from reseed.service.images.keeping import archive_path, is_needed, remove_refused, used_by
from reseed.service.uploads.retention import expire_uploads

_LOG = logging.getLogger(__name__)
_OVER = tuple(state for state in SubmissionState if state.is_terminal)


@dataclass(frozen=True)
class Removal:
    """Something that is removed, or would be: what it is, why, and how many bytes it frees."""

    what: str
    why: str
    n_bytes: int


def keep_house(
    database: Database, folder: DataFolder, *, retention_days: int, dry_run: bool = False
) -> list[Removal]:
    """
    Remove what nobody needs any more: one process at a time, as often as you like, and killed anywhere.

    Rows change first and files go after them, so that an interruption leaves files that the next time
    removes, and never a row whose files are half there. Scores, metrics and the audit trail stay.

    Parameters
    ----------
    database, folder
        Of the installation.
    retention_days
        After the end of a submission; with 0, outputs stay.
    dry_run
        Only say what would go.

    Returns
    -------
    list of Removal
        Empty also when another process is at it.
    """
    with _alone(folder) as is_alone:
        if not is_alone:
            return []
        found: list[Removal] = []
        if retention_days:
            found += _old_outputs(database, folder, retention_days, dry_run=dry_run)
            found += _old_archives(database, folder, retention_days, dry_run=dry_run)
        if not dry_run:
            _remove_marked(database, folder)
            expire_uploads(database, folder)
            remove_refused(database, folder)
            for removal in found:
                details = {"what": removal.what, "why": removal.why, "bytes": removal.n_bytes}
                _LOG.info("removed what was kept long enough", extra=details)
        return found


@contextmanager
def _alone(folder: DataFolder) -> Iterator[bool]:
    """Whether nobody else keeps this house now; the lock goes with the process."""
    make_folder(folder.root)
    descriptor = os.open(folder.root / ".housekeeping.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _old_outputs(database: Database, folder: DataFolder, days: int, *, dry_run: bool) -> list[Removal]:
    with database.read() as session:
        old = select(Submission.pk).where(
            Submission.state.in_(_OVER),
            Submission.state_since < database.now(session) - timedelta(days=days),
            Submission.outputs_removed_at.is_(None),
        )
        pks = list(session.scalars(old.order_by(Submission.state_since)))
    found = []
    for pk in pks:
        n_bytes = _bytes_of(folder.submission(pk))
        if not dry_run:
            _mark(database, pk, days=days, n_bytes=n_bytes)
        found.append(Removal(f"outputs and logs of submission {pk}", _age(days), n_bytes))
    return found


def _mark(database: Database, pk: UUID, *, days: int, n_bytes: int) -> None:
    with database.write() as session:
        row = session.scalar(select(Submission).where(Submission.pk == pk).with_for_update(of=Submission))
        if row is None or row.outputs_removed_at is not None:
            return
        row.outputs_removed_at = database.now(session)
        reason = f"kept for {days} days after its end"
        record_event(session, row, "outputs removed", reason=reason, details={"bytes": n_bytes})


def _remove_marked(database: Database, folder: DataFolder) -> None:
    """Remove the folders of submissions whose rows say that they are removed."""
    place = folder.submission(UUID(int=0)).parent
    if not place.is_dir():
        return
    for path in sorted(place.iterdir()):
        try:
            pk = UUID(path.name)
        except ValueError:
            continue
        with database.read() as session:
            removed = session.scalar(select(Submission.outputs_removed_at).where(Submission.pk == pk))
        if removed is not None:
            # what a container wrote as another user, or has just written, is tried again the next time
            shutil.rmtree(path, ignore_errors=True)
            if path.exists():
                _LOG.warning("outputs cannot be removed", extra={"submission": str(pk)})


def _old_archives(database: Database, folder: DataFolder, days: int, *, dry_run: bool) -> list[Removal]:
    """Images and models that were used, and by submissions only that were not evaluated, long ago."""
    found = []
    tables: tuple[tuple[str, type[Any]], ...] = (("image", AlgorithmImage), ("model", AlgorithmModel))
    for noun, table in tables:
        users = used_by(table)
        with database.write() as session:
            before = database.now(session) - timedelta(days=days)
            old = select(table).where(
                table.state == ArchiveState.READY,
                users.exists(),
                ~users.where(is_needed() | (Submission.state_since >= before)).exists(),
            )
            rows = session.scalars(old.with_for_update(of=table, skip_locked=True)).all()
            for row in rows:
                why = f"only submissions that were not evaluated have used it, {_age(days)}"
                n_bytes = _bytes_of(archive_path(folder, row))
                if not dry_run:
                    transition(session, row, ArchiveState.REMOVED, reason=why)
                found.append(Removal(f"{noun} {row.pk} of {row.algorithm.slug}", why, n_bytes))
    return found


def _age(days: int) -> str:
    return f"which ended more than {days} days ago"


def _bytes_of(path: Path) -> int:
    """Of a file, or of all files in a folder; what goes meanwhile does not count."""
    total = 0
    for each in [path, *path.rglob("*")] if path.is_dir() else [path]:
        with suppress(OSError):
            status = each.lstat()
            total += status.st_size if not each.is_dir() else 0
    return total


def kept_until(submission: Submission, *, retention_days: int) -> datetime | None:
    """When the outputs of a submission that is over will go; None when they stay, or are gone."""
    if not retention_days or not submission.state.is_terminal or submission.outputs_removed_at is not None:
        return None
    return submission.state_since + timedelta(days=retention_days)
