"""Removes the bytes of uploads that nobody will go on with."""

from __future__ import annotations

import logging
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from reseed.service.database.columns import now_utc
from reseed.service.database.engine import Database
from reseed.service.database.models import AlgorithmImage, AlgorithmModel, Upload
from reseed.service.database.transitions import transition
from reseed.service.domain.states import ArchiveState, UploadState
from reseed.service.folders import DataFolder
from reseed.service.uploads.refusals import UploadBusy
from reseed.service.uploads.storage import locked_file

_LOG = logging.getLogger(__name__)
_TO_CHECK = (ArchiveState.RECEIVED, ArchiveState.CHECKING)


def expire_uploads(database: Database, folder: DataFolder) -> int:
    """
    End the uploads past their deadline, and remove every file that no upload needs any more.

    Whoever is just writing one is left alone until the next time. Run it as often as you like.

    Returns
    -------
    int
        How many files were removed.
    """
    with database.write() as session:
        late = select(Upload).where(
            Upload.state.in_([UploadState.OPEN, UploadState.FINISHED]), Upload.deadline < now_utc()
        )
        for upload in session.scalars(late.with_for_update(skip_locked=True)).all():
            words = "not finished in time" if upload.state is UploadState.OPEN else "not used in time"
            transition(session, upload, UploadState.EXPIRED, reason=words)
    if not folder.uploads.is_dir():
        return 0
    return sum(_remove_if_idle(database, folder, name.name) for name in sorted(folder.uploads.iterdir()))


def _remove_if_idle(database: Database, folder: DataFolder, name: str) -> bool:
    try:
        pk = UUID(name)
    except ValueError:
        return False
    if _is_needed(database, pk):
        return False
    try:
        with locked_file(folder.upload(pk)) as file:
            file.remove()
    except UploadBusy:
        return False
    _LOG.info("removed an upload", extra={"upload": name})
    return True


def _is_needed(database: Database, pk: UUID) -> bool:
    with database.read() as session:
        upload = session.get(Upload, pk)
        if upload is None:
            # of a database that is older than the folder: never touched, its backup may come
            return True
        if upload.state in {UploadState.OPEN, UploadState.FINISHED}:
            return True
        return upload.state is UploadState.USED and _is_checked(session, pk)


def _is_checked(session: Session, pk: UUID) -> bool:
    """Whether an image or model of this upload still waits for its check, which takes the file over."""
    for table in (AlgorithmImage, AlgorithmModel):
        waiting = select(table.pk).where(table.upload_pk == pk, table.state.in_(_TO_CHECK)).limit(1)
        if session.scalar(waiting) is not None:
            return True
    return False
