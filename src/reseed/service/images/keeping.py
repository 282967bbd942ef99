"""The files of images and models: from the upload to their place, and away when they were refused."""

from __future__ import annotations

import logging
from pathlib import Path
from uuid import UUID

from sqlalchemy import select

from reseed.contracts.errors import InfrastructureError
from reseed.contracts.files import make_folder, sync_folder
from reseed.service.database.engine import Database
from reseed.service.database.models import AlgorithmImage, AlgorithmModel
from reseed.service.domain.states import ArchiveState
from reseed.service.folders import DataFolder

Archive = AlgorithmImage | AlgorithmModel

_LOG = logging.getLogger(__name__)
_KEPT = (ArchiveState.RECEIVED, ArchiveState.CHECKING, ArchiveState.READY)


def archive_path(folder: DataFolder, archive: Archive) -> Path:
    """Where the tarball of an image or a model lies."""
    is_image = isinstance(archive, AlgorithmImage)
    return folder.image(archive.pk) if is_image else folder.model(archive.pk)


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
