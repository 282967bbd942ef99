"""The files of images and models: from the upload to their place, and away when they were refused."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, select
from sqlalchemy.orm import Session

from reseed.contracts.errors import InfrastructureError
from reseed.contracts.files import make_folder, sync_folder
from reseed.service.database.engine import Database
from reseed.service.database.models import AlgorithmImage, AlgorithmModel, Run, Submission
from reseed.service.domain.states import ArchiveState, SubmissionState
from reseed.service.folders import DataFolder

Archive = AlgorithmImage | AlgorithmModel

_LOG = logging.getLogger(__name__)
_KEPT = (ArchiveState.RECEIVED, ArchiveState.CHECKING, ArchiveState.READY)


def archive_path(folder: DataFolder, archive: Archive) -> Path:
    """Where the tarball of an image or a model lies."""
    is_image = isinstance(archive, AlgorithmImage)
    return folder.image(archive.pk) if is_image else folder.model(archive.pk)


def used_by(table: type[Archive]) -> Select[Any]:
    """The submissions that an image or a model belongs to, for a statement about that table."""
    if table is AlgorithmImage:
        return select(Submission.pk).where(Submission.algorithm_image_pk == AlgorithmImage.pk)
    theirs = exists().where(Run.submission_pk == Submission.pk, Run.algorithm_model_pk == AlgorithmModel.pk)
    return select(Submission.pk).where(theirs)


def is_needed() -> ColumnElement[bool]:
    """The condition on submissions that need what they were made of: not over, or on the leaderboard."""
    over = tuple(state for state in SubmissionState if state.is_terminal)
    return Submission.state.not_in(over) | (Submission.state == SubmissionState.EVALUATED)


def needed_by(session: Session, archive: Archive) -> UUID | None:
    """A submission that needs an image or a model; None when it may be removed."""
    table = type(archive)
    users = used_by(table).where(is_needed())
    return session.scalar(select(Submission.pk).where(Submission.pk.in_(users.where(table.pk == archive.pk))))


def take_over(folder: DataFolder, archive: Archive) -> Path:
    """
    Move the bytes of an upload to the image or model that was made of it; again does nothing.

    Raises
    ------
    InfrastructureError
        When they are at neither place.
    """
    path = archive_path(folder, archive)
    if path.exists():
        return path
    make_folder(path.parent)
    try:
        folder.upload(archive.upload_pk or UUID(int=0)).rename(path)
    except FileNotFoundError:
        raise InfrastructureError(f"the bytes of {path.stem} are gone from the data folder") from None
    path.chmod(0o400)
    for touched in (path.parent, folder.uploads):
        sync_folder(touched)
    return path


def remove_refused(database: Database, folder: DataFolder) -> int:
    """
    Remove the tarballs of images and models that were refused, failed, or removed by their owner.

    Returns
    -------
    int
        How many there were.
    """
    n_removed = 0
    tables: tuple[type[Archive], ...] = (AlgorithmImage, AlgorithmModel)
    for table in tables:
        place = archive_path(folder, table(pk=UUID(int=0))).parent
        if not place.is_dir():
            continue
        for path in sorted(place.iterdir()):
            try:
                pk = UUID(path.name.partition(".")[0])
            except ValueError:
                continue
            with database.read() as session:
                state = session.scalar(select(table.state).where(table.pk == pk))
            if state is not None and state not in _KEPT:
                path.unlink(missing_ok=True)
                _LOG.info("removed a tarball", extra={"archive": str(pk), "state": str(state)})
                n_removed += 1
    return n_removed
