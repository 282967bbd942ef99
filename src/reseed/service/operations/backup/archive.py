"""The tarball of a backup: written under another name until it is whole, and read once, in its order."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO

from reseed.contracts.errors import NoSpaceLeft, UserError
from reseed.contracts.files import sync_folder

HEADER = "backup.json"
SUMS = "SHA256SUMS"
_BLOCK_BYTES = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)
_SHOWN_LINES = 20


class InvalidBackup(UserError):
    """A file is not a backup, or not a whole one, or was changed."""


class ArchiveWriter:
    """The tarball under way; `close` ends it with the digests of all that was added."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = _Counted(stream)
        self._tar = tarfile.TarFile(
            fileobj=self._stream,  # type: ignore[arg-type]  # it only writes, and asks where it is
            mode="w",
            format=tarfile.PAX_FORMAT,
            copybufsize=_BLOCK_BYTES,
        )
        self._sums: list[str] = []

    @property
    def n_files(self) -> int:
        """How many files were added."""
        return len(self._sums)

    @property
    def n_bytes(self) -> int:
        """Of the tarball so far."""
        return self._stream.n_bytes

    @property
    def sha256(self) -> str:
        """Of the tarball so far."""
        return str(self._stream.digest.hexdigest())

    def add_bytes(self, name: str, content: bytes) -> None:
        """Add a small file."""
        self._add(name, BytesIO(content), len(content), mode=0o600, modified_s=time.time())

    def add_stream(self, name: str, stream: BinaryIO, *, n_bytes: int | None = None) -> None:
        """
        Add an open file, or its first bytes.

        Raises
        ------
        UserError
            When it became shorter while it was read: then nothing that was written counts.
        """
        status = os.fstat(stream.fileno())
        size = status.st_size if n_bytes is None else n_bytes
        mode = stat.S_IMODE(status.st_mode) & 0o777
        try:
            self._add(name, stream, size, mode=mode, modified_s=status.st_mtime)
        except OSError as error:
            if error.errno is None:
                raise UserError(f"{name}: became shorter than {size} bytes while it was read") from error
            raise

    def _add(self, name: str, stream: IO[bytes], n_bytes: int, *, mode: int, modified_s: float) -> None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.mtime = n_bytes, mode, int(modified_s)
        read = _Read(stream)
        self._tar.addfile(entry, read)  # type: ignore[arg-type]
        _forget_files(self._tar)
        self._sums.append(sums_line(read.digest.hexdigest(), name))

    def close(self) -> None:
        """End the tarball with the digests."""
        sums = "".join(self._sums)
        self.add_bytes(SUMS, sums.encode(errors="surrogateescape"))
        self._sums.pop()
        self._tar.close()


@contextmanager
def new_archive(path: Path) -> Iterator[tuple[ArchiveWriter, Path]]:
    """
    A tarball that has its name only when the block has ended well, and is on the disk then.

    Until then it is `.NAME.part`, which is of no use and which the next one of that name replaces.

    Yields
    ------
    tuple
        The tarball, and a path beside it for one file that is needed on the way.

    Raises
    ------
    UserError
        When there is a file of that name, or somebody is writing one.
    NoSpaceLeft
        When the disk is full.
    """
    if path.exists():
        raise UserError(f"{path} is there already, and no backup is written over another; give another name")
    if not path.parent.is_dir():
        raise UserError(f"{path.parent}: no such folder")
    part, beside = path.with_name(f".{path.name}.part"), path.with_name(f".{path.name}.database")
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "r+b", buffering=0) as stream:  # noqa: PTH123  (of a descriptor)
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{path}: another process is writing this backup") from None
        if path.exists() or not part.exists() or not os.path.samestat(os.fstat(descriptor), part.stat()):
            raise UserError(f"{path}: another process has just written this backup")
        try:
            stream.truncate(0)
            beside.unlink(missing_ok=True)
            writer = ArchiveWriter(stream)
            yield writer, beside
            writer.close()
            os.fsync(stream.fileno())
            part.rename(path)
        except OSError as error:
            if error.errno in _FULL:
                raise NoSpaceLeft(f"{path.parent}: no room for the backup: {error.strerror}") from error
            raise
        finally:
            part.unlink(missing_ok=True)
            for left in (beside, *(beside.with_name(beside.name + end) for end in ("-wal", "-shm"))):
                left.unlink(missing_ok=True)
    sync_folder(path.parent)


def read_header(path: Path) -> bytes:
    """
    What a backup says of itself, which is its first file.

    Raises
    ------
    InvalidBackup
    """
    with _opened(path) as tar:
        entry = tar.next()
        stream = None if entry is None or entry.name != HEADER else tar.extractfile(entry)
        if stream is None:
            raise InvalidBackup(f"{path}: is not a backup of this service: its first file is not {HEADER}")
        return stream.read(_BLOCK_BYTES)


def unpack(path: Path, target: Callable[[str], Path]) -> int:
    """
    Write the files of a backup to where they are asked for, and check every digest.

    Parameters
    ----------
    path
        The backup.
    target
        Where a file of that name goes; called once for each.

    Returns
    -------
    int
        How many files there are.

    Raises
    ------
    InvalidBackup
        One line for each file that is not as it was, and when the end is missing: nothing may be used then.
    """
    found: dict[str, str] = {}
    sums: bytes | None = None
    with _opened(path) as tar:
        while (entry := tar.next()) is not None:
            _forget_files(tar)
            if sums is not None or not entry.isreg() or not _is_safe(entry.name) or entry.name in found:
                raise InvalidBackup(f"{path}: {entry.name!r} does not belong there; the backup was changed")
            stream = tar.extractfile(entry)
            if stream is None:
                raise InvalidBackup(f"{path}: {entry.name!r} is not a file")
            if entry.name == SUMS:
                sums = stream.read()
            else:
                found[entry.name] = _written(stream, target(entry.name), entry.mode & 0o777)
    if sums is None:
        raise InvalidBackup(f"{path}: ends before its {SUMS}: it is not whole")
    _check(path, found, sums)
    return len(found)


def sums_line(digest: str, name: str) -> str:
    """A line as `sha256sum` writes and reads it."""
    if "\\" in name or "\n" in name:
        name = name.replace("\\", "\\\\").replace("\n", "\\n")
        return f"\\{digest}  {name}\n"
    return f"{digest}  {name}\n"


def _check(path: Path, found: dict[str, str], sums: bytes) -> None:
    said = dict.fromkeys(sums.decode(errors="surrogateescape").splitlines(keepends=True))
    lines = []
    for name, digest in found.items():
        line = sums_line(digest, name)
        if line in said:
            del said[line]
        else:
            lines.append(f"{path}: {name} is not what was backed up")
    changed = {line.partition("  ")[2] for line in said}
    missing = changed - {sums_line("", name).partition("  ")[2] for name in found}
    lines += [f"{path}: {name.rstrip()} is missing" for name in sorted(missing)]
    if lines:
        more = [f"and {len(lines) - _SHOWN_LINES} more"] if len(lines) > _SHOWN_LINES else []
        raise InvalidBackup("\n".join([*lines[:_SHOWN_LINES], *more]))


def _written(stream: IO[bytes], path: Path, mode: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with open(descriptor, "wb") as target:  # noqa: PTH123  (of a descriptor)
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
                target.write(block)
            os.fchmod(target.fileno(), mode)
    except OSError as error:
        if error.errno in _FULL:
            raise NoSpaceLeft(f"{path.parent}: no room for what is in the backup") from error
        raise
    return digest.hexdigest()


def _is_safe(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and ".." not in parts and "\0" not in name


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with path.open("rb") as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            yield tar
    except FileNotFoundError as error:
        if error.filename != str(path):
            raise
        raise InvalidBackup(f"{path}: no such file") from None
    except (tarfile.TarError, EOFError) as error:
        raise InvalidBackup(f"{path}: is not a backup, or not a whole one: {error}") from None


def _forget_files(tar: Any) -> None:
    """Of many files that go by, a TarFile would remember all."""
    tar.members.clear()


class _Counted:
    """A file that is only written, with the digest of all of it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.digest: Any = hashlib.sha256()
        self.n_bytes = 0

    def tell(self) -> int:
        return self.n_bytes

    def write(self, block: bytes) -> int:
        view = memoryview(block)
        while view:
            view = view[self._stream.write(view) :]
        self.digest.update(block)
        self.n_bytes += len(block)
        return len(block)


class _Read:
    """A file that is only read, with the digest of what was."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.digest: Any = hashlib.sha256()

    def read(self, n_bytes: int) -> bytes:
        block = self._stream.read(n_bytes)
        self.digest.update(block)
        return block
