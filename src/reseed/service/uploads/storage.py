"""The file of an upload: one writer at a time, and bytes that count only once they are on the disk."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from reseed.contracts.files import make_folder, sync_folder
from reseed.service.uploads.refusals import DiskFull, UploadBusy, UploadGone

_BLOCK_BYTES = 1 << 20
_REMEMBERED = 256
_FULL = (errno.ENOSPC, errno.EDQUOT)


class UploadFile:
    """The bytes of an upload, locked for this process by `locked_file`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def cut(self, n_bytes: int) -> None:
        """
        Forget what lies behind the first `n_bytes`: it was never reported as there.

        Raises
        ------
        UploadGone
            When there are fewer bytes: the disk has lost what it had confirmed, or a backup had not.
        """
        there = os.fstat(self._descriptor).st_size
        if there < n_bytes:
            raise UploadGone(f"of the upload's {n_bytes} bytes {there} are left; begin a new one")
        os.ftruncate(self._descriptor, n_bytes)
        os.lseek(self._descriptor, n_bytes, os.SEEK_SET)

    def append(self, block: bytes | bytearray) -> None:
        """
        Write behind what is there.

        Raises
        ------
        DiskFull
        """
        view = memoryview(block)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            if error.errno in _FULL:
                raise DiskFull("the service's disk is full; try again later") from error
            raise

    def sync(self) -> None:
        """Return when all that was appended is on the disk."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            if error.errno in _FULL:
                raise DiskFull("the service's disk is full; try again later") from error
            raise

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        """What lies between two offsets."""
        while start < end:
            block = os.pread(self._descriptor, min(_BLOCK_BYTES, end - start), start)
            if not block:
                raise ValueError(f"{self.path.name}: ends before byte {end}")
            start += len(block)
            yield block

    def remove(self) -> None:
        """Remove the file; the lock is held until the block of `locked_file` ends."""
        self.path.unlink(missing_ok=True)
        sync_folder(self.path.parent)


@contextmanager
def locked_file(path: Path) -> Iterator[UploadFile]:
    """
    The file of an upload, made when it is not there, for one writer among all processes.

    The lock goes with the process, whatever ends it.

    Raises
    ------
    UploadBusy
        When another request is writing it.
    """
    make_folder(path.parent)
    is_new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UploadBusy("another request is writing this upload; ask for its offset again") from None
        if is_new:
            sync_folder(path.parent)
        yield UploadFile(path, descriptor)
    finally:
        os.close(descriptor)


class RunningDigests:
    """
    The SHA-256 of the bytes so far, of the uploads that this process writes.

    Where another process, or an earlier one, wrote a part, that part is read again: the state of a
    digest is never stored, so that it cannot disagree with the file.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[UUID, tuple[int, Any]] = OrderedDict()

    def take(self, pk: UUID, file: UploadFile, offset: int) -> Any:
        """The digest of exactly the first `offset` bytes, to go on with."""
        with self._lock:
            known, digest = self._known.pop(pk, (0, None))
        if digest is None or known > offset:
            known, digest = 0, hashlib.sha256()
        for block in file.blocks(known, offset):
            digest.update(block)
        return digest

    def keep(self, pk: UUID, offset: int, digest: Any) -> None:
        """Remember the digest of the first `offset` bytes; the longest unused is forgotten."""
        with self._lock:
            self._known[pk] = (offset, digest)
            self._known.move_to_end(pk)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
