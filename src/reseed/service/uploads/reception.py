"""The bytes of one request on their way into an upload."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from reseed.service.database.columns import now_utc
from reseed.service.database.engine import Database
from reseed.service.database.models import Upload
from reseed.service.database.transitions import transition
from reseed.service.domain.states import UploadState
from reseed.service.folders import DataFolder
from reseed.service.uploads.headers import Checksum
from reseed.service.uploads.refusals import ChecksumMismatch, OffsetConflict, TooLarge, UploadGone
from reseed.service.uploads.storage import RunningDigests, UploadFile, locked_file

# So much is written before it is forced to the disk and counted: what a cut can cost at most.
SYNC_BYTES = 16 << 20


class Reception:
    """
    One request's bytes, appended to an upload that nobody else writes meanwhile.

    The offset in the database is that of the bytes that are on the disk. With a checksum no byte
    counts before the whole body has been checked.
    """

    def __init__(
        self,
        database: Database,
        upload: Upload,
        file: UploadFile,
        digests: RunningDigests,
        *,
        checksum: Checksum | None,
        valid_for: timedelta,
    ) -> None:
        self._database = database
        self._upload = upload
        self._file = file
        self._digests = digests
        self._checksum = checksum
        self._body = None if checksum is None else checksum.new()
        self._valid_for = valid_for
        self._written = upload.offset
        file.cut(upload.offset)
        self._digest: Any = digests.take(upload.pk, file, upload.offset)

    @property
    def upload(self) -> Upload:
        """The row, as it was last written."""
        return self._upload

    def append(self, block: bytes | bytearray) -> None:
        """
        Take the next bytes.

        Raises
        ------
        TooLarge
            When they are more than the upload was announced to have.
        DiskFull
        """
        if self._written + len(block) > self._upload.size_bytes:
            raise TooLarge(f"the upload was announced to have {self._upload.size_bytes} bytes, more arrive")
        self._file.append(block)
        self._digest.update(block)
        if self._body is not None:
            self._body.update(block)
        self._written += len(block)
        if self._body is None and self._written - self._upload.offset >= SYNC_BYTES:
            self._count()

    def end(self) -> None:
        """
        Count the rest; the last byte of an upload finishes it.

        Raises
        ------
        ChecksumMismatch
            When the body is not what its checksum says; nothing of it is kept.
        """
        if self._checksum is not None and self._body.digest() != self._checksum.digest:  # type: ignore[union-attr]
            self._file.cut(self._upload.offset)
            raise ChecksumMismatch(
                f"the body does not have the {self._checksum.algorithm} that was announced"
            )
        self._count()

    def break_off(self) -> None:
        """Keep what has arrived, as the client is gone; of a body with a checksum nothing."""
        if self._checksum is None:
            self._count()
        else:
            self._file.cut(self._upload.offset)

    def _count(self) -> None:
        self._file.sync()
        at = now_utc()
        with self._database.write() as session:
            upload = session.get_one(Upload, self._upload.pk)
            if upload.state is not UploadState.OPEN:
                raise _gone(upload)
            upload.offset = self._written
            if self._written == upload.size_bytes:
                sha256 = self._digest.hexdigest()
                transition(session, upload, UploadState.FINISHED, at=at, sha256=sha256)
            else:
                upload.deadline = at + self._valid_for
        self._upload = upload
        if upload.state is UploadState.OPEN:
            self._digests.keep(upload.pk, self._written, self._digest.copy())


@contextmanager
def reception(
    database: Database,
    folder: DataFolder,
    digests: RunningDigests,
    pk: UUID,
    *,
    offset: int,
    n_bytes: int | None,
    checksum: Checksum | None,
    valid_for: timedelta,
) -> Iterator[Reception]:
    """
    The reception of a request's body at an offset.

    Parameters
    ----------
    database, folder, digests
        Of the installation and of this process.
    pk
        Of the upload.
    offset
        Where the client says that the body begins.
    n_bytes
        Of the body, when the client says that.
    checksum
        Of the body, when the client gives one.
    valid_for
        How long the upload may stay as it is after this.

    Raises
    ------
    UploadBusy, UploadGone, OffsetConflict, TooLarge
    """
    # before the file is touched: a terminated upload must not get a new one
    _open_upload(database, pk, offset, n_bytes)
    with locked_file(folder.upload(pk)) as file:
        # and again: another request may have had the lock in between
        upload = _open_upload(database, pk, offset, n_bytes)
        yield Reception(database, upload, file, digests, checksum=checksum, valid_for=valid_for)


def _open_upload(database: Database, pk: UUID, offset: int, n_bytes: int | None) -> Upload:
    with database.read() as session:
        upload = session.get_one(Upload, pk)
    if is_gone(upload) or upload.state is UploadState.USED:
        raise _gone(upload)
    if upload.state is UploadState.FINISHED:
        raise OffsetConflict(f"the upload is finished: all of its {upload.size_bytes} bytes are there")
    if upload.offset != offset:
        raise OffsetConflict(f"the upload has {upload.offset} bytes, the request begins at {offset}")
    if n_bytes is not None and offset + n_bytes > upload.size_bytes:
        raise TooLarge(
            f"the upload was announced to have {upload.size_bytes} bytes, the request ends at "
            f"{offset + n_bytes}"
        )
    return upload


def _has_expired(upload: Upload) -> bool:
    return upload.deadline is not None and upload.deadline < now_utc()


def _gone(upload: Upload) -> UploadGone:
    words = "expired" if upload.state in {UploadState.OPEN, UploadState.FINISHED} else str(upload.state)
    return UploadGone(f"the upload is over: {words}")


def is_gone(upload: Upload) -> bool:
    """Whether nothing can be done with the upload any more."""
    return upload.state in {UploadState.TERMINATED, UploadState.EXPIRED} or _has_expired(upload)


def terminate(database: Database, folder: DataFolder, pk: UUID, *, actor: UUID | None) -> None:
    """
    End an upload and remove its bytes.

    Raises
    ------
    UploadBusy
        When a request is writing it.
    UploadGone
        When it is over, or an image or a model has been made of it.
    """
    with database.read() as session:
        _check_own_bytes(session.get_one(Upload, pk))
    with locked_file(folder.upload(pk)) as file:
        with database.write() as session:
            upload = session.get_one(Upload, pk)
            _check_own_bytes(upload)
            transition(session, upload, UploadState.TERMINATED, reason="terminated by its user", actor=actor)
        file.remove()


def _check_own_bytes(upload: Upload) -> None:
    if upload.state is UploadState.USED:
        raise UploadGone("the upload is over: an image or a model has been made of it")
    if upload.state.is_terminal:
        raise _gone(upload)
