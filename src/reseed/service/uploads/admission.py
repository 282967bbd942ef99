"""Whether a new upload is taken: its size, what its user keeps already, and room on the disk."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from reseed.contracts.files import make_folder
from reseed.orchestration.disk import bytes_text
from reseed.service.database.models import AlgorithmImage, AlgorithmModel, Upload, User
from reseed.service.database.transitions import enter
from reseed.service.domain.states import ArchiveState, UploadState
from reseed.service.folders import DataFolder
from reseed.service.settings import ServiceSettings
from reseed.service.uploads.refusals import DiskFull, InvalidHeader, TooLarge

# Of the disk, for the database, the logs and the outputs of submissions.
KEPT_FREE_BYTES = 1 << 30
_WAITING = (UploadState.OPEN, UploadState.FINISHED)
_STORED = (ArchiveState.RECEIVED, ArchiveState.CHECKING, ArchiveState.READY)


def largest_upload(settings: ServiceSettings) -> int:
    """Bytes that one upload may have: those of an image or a model."""
    return max(settings.max_image_bytes, settings.max_model_bytes)


@dataclass(frozen=True)
class Kept:
    """Bytes that a user keeps: of uploads as they will be, of images and of models."""

    uploads: int
    images: int
    models: int

    @property
    def total(self) -> int:
        """What counts in the quota."""
        return self.uploads + self.images + self.models


def kept_by(session: Session, user_pk: UUID) -> Kept:
    """What a user's uploads, images and models take up, or will."""

    def archives(table: type[AlgorithmImage | AlgorithmModel]) -> int:
        return _sum(session, table.size_bytes, table.creator_pk == user_pk, table.state.in_(_STORED))

    uploads = _sum(session, Upload.size_bytes, Upload.creator_pk == user_pk, Upload.state.in_(_WAITING))
    return Kept(uploads, archives(AlgorithmImage), archives(AlgorithmModel))


def _sum(
    session: Session,
    column: ColumnElement[int] | InstrumentedAttribute[Any],
    *conditions: ColumnElement[bool],
) -> int:
    total = session.scalar(select(func.coalesce(func.sum(column), 0)).where(*conditions))
    return int(total or 0)


def new_upload(
    session: Session,
    user: User,
    *,
    size_bytes: int,
    metadata: dict[str, str],
    settings: ServiceSettings,
    folder: DataFolder,
) -> Upload:
    """
    A row for an upload that may begin.

    Parameters
    ----------
    session
        A writing transaction.
    user
        Whose quota it counts in.
    size_bytes
        Of all of it.
    metadata
        What the client says of it; `filename` is shown, the rest is kept.
    settings, folder
        Of the installation.

    Raises
    ------
    InvalidHeader
        When it would be empty.
    TooLarge
        When it is larger than an upload may be, or than what is left of the user's quota.
    DiskFull
        When the disk has no room for it and the other uploads under way.
    """
    if size_bytes < 1:
        raise InvalidHeader("Upload-Length must be at least 1: an empty file is no image and no model")
    if size_bytes > (largest := largest_upload(settings)):
        raise TooLarge(f"an upload may have at most {largest} bytes, this one has {size_bytes}")
    # two of one user's requests at once: the second counts the first
    session.execute(select(User.pk).where(User.pk == user.pk).with_for_update())
    kept = kept_by(session, user.pk).total
    if kept + size_bytes > settings.quota_bytes:
        quota, already, wanted = map(bytes_text, (settings.quota_bytes, kept, size_bytes))
        raise TooLarge(
            f"you may keep {quota} and keep {already} already, this upload has {wanted}: "
            "remove images, models or uploads that you do not need"
        )
    _check_room(session, folder.uploads, size_bytes)
    upload = Upload(
        creator=user,
        filename=Path(metadata.get("filename", "")).name[:200],
        details=metadata,
        size_bytes=size_bytes,
        offset=0,
        state=UploadState.OPEN,
    )
    enter(session, upload, actor=user.pk, within=timedelta(hours=settings.upload_expiry_hours))
    return upload


def _check_room(session: Session, uploads: Path, size_bytes: int) -> None:
    make_folder(uploads)
    promised = _sum(session, Upload.size_bytes - Upload.offset, Upload.state == UploadState.OPEN)
    free = shutil.disk_usage(uploads).free - KEPT_FREE_BYTES - promised
    if size_bytes > free:
        raise DiskFull("the service's disk has no room for this upload now; try again later")
