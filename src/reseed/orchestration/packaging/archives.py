"""Tarballs with the same bytes for the same contents, and the rules that any tarball must keep."""

from __future__ import annotations

import gzip
import stat
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from reseed.contracts.errors import UserError
from reseed.contracts.files import sync_folder

GIB = 2**30
_LEVEL = 6
_BLOCK_BYTES = 1 << 20


class InvalidPackage(UserError):
    """
    An image or model tarball breaks a platform's rules.

    Parameters
    ----------
    lines
        One complete line per broken rule.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


@contextmanager
def reproducible_tarball(path: Path) -> Iterator[tarfile.TarFile]:
    """
    A .tar.gz to write, visible under its name only when it is whole; gzip's header has no name and time.

    Entries get the time 0 and belong to root when they are added with `plain_entry`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with (
            part.open("wb") as stream,
            gzip.GzipFile(filename="", mode="wb", fileobj=stream, compresslevel=_LEVEL, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
        ):
            yield archive
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def plain_entry(name: str, size: int) -> tarfile.TarInfo:
    """An entry for a file that anybody may read, without a time or an owner."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, 0o644, 0
    return entry


def write_folder(path: Path, folder: Path) -> None:
    """
    A folder's files as a tarball, by name; links to files become the files.

    Raises
    ------
    InvalidPackage
        When something in it is neither a file nor a folder.
    """
    files = sorted(each for each in folder.rglob("*") if not each.is_dir())
    strange = [each for each in files if not stat.S_ISREG(each.stat().st_mode)]
    if strange:
        raise InvalidPackage(f"{strange[0]}: only files and folders can be packed")
    with reproducible_tarball(path) as archive:
        for file in files:
            entry = plain_entry(file.relative_to(folder).as_posix(), file.stat().st_size)
            with file.open("rb") as stream:
                archive.addfile(entry, stream)


def rewritten_tarball(source: Path, target: Path) -> None:
    """A tarball with its files sorted by name and without times: equal contents give equal bytes."""
    with tarfile.open(source) as given, reproducible_tarball(target) as archive:
        members = sorted(
            (each for each in given.getmembers() if not each.isdir()), key=lambda each: each.name
        )
        for member in members:
            entry = plain_entry(member.name, member.size)
            if member.isfile():
                archive.addfile(entry, given.extractfile(member))
            else:
                entry.type, entry.linkname, entry.size = member.type, member.linkname, 0
                archive.addfile(entry)


@dataclass(frozen=True)
class TarballLimits:
    """
    How large a tarball may be.

    Parameters
    ----------
    n_entries
        Of all kinds.
    packed_bytes
        Of the tarball as it is uploaded.
    unpacked_bytes
        Of its entries together: a small file cannot claim a large disk.
    """

    n_entries: int
    packed_bytes: int = 10 * 10**9
    unpacked_bytes: int = 40 * GIB


@contextmanager
def checked_tarball(path: Path, limits: TarballLimits, *, links: bool) -> Iterator[tarfile.TarFile]:
    """
    A tarball to read, packed or not, whose size and entries have been checked.

    Parameters
    ----------
    path
        The tarball.
    limits
        What a platform takes.
    links
        Whether links are allowed, to places inside.

    Raises
    ------
    InvalidPackage
        When it is none, cut short or damaged; else one line per entry that breaks a rule.
    """
    if path.is_file() and path.stat().st_size > limits.packed_bytes:
        sizes = f"at most {limits.packed_bytes / 1e9:g} GB, is {path.stat().st_size / 1e9:.3g} GB"
        raise InvalidPackage(f"{path.name}: must be {sizes}")
    try:
        with tarfile.open(path) as archive:
            mistakes = _member_mistakes(archive, limits, links=links)
            if mistakes:
                raise InvalidPackage(*(f"{path.name}: {mistake}" for mistake in mistakes))
            yield archive
            while archive.fileobj and archive.fileobj.read(_BLOCK_BYTES):
                pass  # to the end, where gzip keeps its checksum
    except FileNotFoundError:
        raise InvalidPackage(f"{path}: no such file") from None
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise InvalidPackage(f"{path.name}: is not a readable tarball: {error}") from None


def _member_mistakes(members: Iterable[tarfile.TarInfo], limits: TarballLimits, *, links: bool) -> list[str]:
    """What is wrong with the entries of a tarball, in words; reading stops where a limit is passed."""
    mistakes: list[str] = []
    n_bytes = n_entries = 0
    seen: set[str] = set()
    for member in members:
        name = PurePosixPath(member.name)
        n_bytes, n_entries = n_bytes + member.size, n_entries + 1
        if n_bytes > limits.unpacked_bytes:
            return [*mistakes, f"must unpack to at most {limits.unpacked_bytes / GIB:g} GiB, is larger"]
        if n_entries > limits.n_entries:
            return [*mistakes, f"must hold at most {limits.n_entries} entries, holds more"]
        if name.is_absolute() or ".." in name.parts:
            mistakes.append(f"entry {member.name!r} must lie inside")
        elif member.issym() or member.islnk():
            if not links:
                mistakes.append(f"entry {member.name!r} must be a file or a folder, is a link")
            elif _leads_out(member):
                mistakes.append(f"link {member.name!r} must lead inside, leads to {member.linkname!r}")
        elif not (member.isfile() or member.isdir()):
            mistakes.append(f"entry {member.name!r} must be a file or a folder, is a device or a pipe")
        if name.as_posix() in seen and not member.isdir():
            mistakes.append(f"entry {member.name!r} is there twice")
        seen.add(name.as_posix())
    return mistakes


def _leads_out(member: tarfile.TarInfo) -> bool:
    target = PurePosixPath(member.linkname)
    if target.is_absolute():
        return True
    depth = len(PurePosixPath(member.name).parent.parts) if member.issym() else 0
    for part in target.parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False
