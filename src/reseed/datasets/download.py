"""Downloads that go on where they were cut off, and are taken only when their digests are right."""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reseed.contracts.errors import InfrastructureError, UserError
from reseed.contracts.files import sync_folder, write_text_atomically

Progress = Callable[[str], None]

_BLOCK_BYTES = 1 << 20
_TIMEOUT_S = 60
_TRIES_WITHOUT_PROGRESS = 5
_SAY_EVERY_S = 10.0


@dataclass(frozen=True)
class PublishedFile:
    """
    A file on the web, and what others have published about its bytes.

    Parameters
    ----------
    url
        Where it is.
    name
        What it is called on disk.
    md5, sha256
        In hexadecimal; None where nobody has published one.
    n_bytes_about
        For a person who decides whether to start; never checked.
    """

    url: str
    name: str
    md5: str | None
    sha256: str | None
    n_bytes_about: int


@dataclass(frozen=True)
class FileDigests:
    """What a file on disk really is."""

    md5: str
    sha256: str


def downloaded(file: PublishedFile, folder: Path, *, progress: Progress, pause_s: float = 2.0) -> Path:
    """
    A published file in a folder, downloaded unless it is there.

    What arrives is kept in NAME.part, so that a connection that breaks, or a process that is
    killed, costs nothing: the next attempt, or the next process, asks for the rest. The part is
    only continued when the server says that the file is still the same.

    Parameters
    ----------
    file
        What to get.
    folder
        Where to keep it.
    progress
        Told how far it is, one line at a time.
    pause_s
        Before the second try; it doubles with every try that brings nothing.

    Raises
    ------
    InfrastructureError
        When the server cannot be reached, or gives nothing in five tries.
    UserError
        When the whole file has other digests than the published ones.
    """
    whole, part = folder / file.name, folder / f"{file.name}.part"
    if whole.is_file():
        return whole
    folder.mkdir(parents=True, exist_ok=True)
    progress(f"downloading {file.url} (about {file.n_bytes_about / 1e6:,.0f} MB)")
    transfer = _Transfer(file, part, progress)
    n_vain = 0
    while not transfer.is_complete:
        before = transfer.n_bytes
        try:
            transfer.go_on()
        except (OSError, http.client.HTTPException) as error:
            _refuse_what_will_not_change(file, error)
            n_vain = 0 if transfer.n_bytes > before else n_vain + 1
            if n_vain == _TRIES_WITHOUT_PROGRESS:
                raise InfrastructureError(
                    f"{file.url}: cannot be downloaded ({_reason(error)}); {transfer.n_bytes:,} bytes are in "
                    f"{part}. Without a network, give the archive or its unpacked folder with --from"
                ) from None
            progress(f"{file.name}: {_reason(error)}; going on from byte {transfer.n_bytes:,}")
            time.sleep(pause_s * 2**n_vain)
    try:
        check_digests(file, part)
    except UserError:
        transfer.forget()
        raise
    part.rename(whole)
    transfer.forget()
    sync_folder(folder)
    return whole


def check_digests(file: PublishedFile, path: Path) -> FileDigests:
    """
    The digests of a file on disk, which must be the published ones where there are any.

    Raises
    ------
    UserError
        When one differs.
    """
    found = file_digests(path)
    for name, published, got in (("SHA-256", file.sha256, found.sha256), ("MD5", file.md5, found.md5)):
        if published is not None and published != got:
            raise UserError(
                f"{path}: {file.name} must have {name} {published}, got {got}; it is damaged or another "
                "version (an unpacked folder given with --from is taken as it is, and recorded so)"
            )
    return found


def file_digests(path: Path) -> FileDigests:
    """Both digests of a file, read once."""
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            md5.update(block)
            sha256.update(block)
    return FileDigests(md5.hexdigest(), sha256.hexdigest())


class _Transfer:
    """One file on its way, over as many connections as it takes."""

    def __init__(self, file: PublishedFile, part: Path, progress: Progress) -> None:
        self._file = file
        self._part = part
        self._validator = part.with_name(f"{part.name}.etag")
        self._progress = progress
        self._said = time.monotonic()
        self.is_complete = False

    @property
    def n_bytes(self) -> int:
        """How much of the file is here."""
        return self._part.stat().st_size if self._part.exists() else 0

    def go_on(self) -> None:
        """Ask for what is missing, and append it until the connection ends."""
        request = urllib.request.Request(self._file.url)  # noqa: S310 (an address from our own list)
        known = self._validator.read_text() if self._validator.exists() else ""
        if self.n_bytes and known:
            request.add_header("Range", f"bytes={self.n_bytes}-")
            request.add_header("If-Range", known)
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
            goes_on = answer.status == http.HTTPStatus.PARTIAL_CONTENT
            if not goes_on:
                self._start_anew(answer.headers)
            total = _whole_length(answer, goes_on)
            with self._part.open("ab") as stream:
                while block := answer.read(_BLOCK_BYTES):
                    stream.write(block)
                    self._say(stream.tell(), total)
        if total is not None and self.n_bytes < total:
            raise http.client.IncompleteRead(b"", total - self.n_bytes)
        self.is_complete = True

    def forget(self) -> None:
        """Remove the part and what was noted about it."""
        self._part.unlink(missing_ok=True)
        self._validator.unlink(missing_ok=True)

    def _start_anew(self, headers: http.client.HTTPMessage) -> None:
        self.forget()
        validator = headers.get("ETag") or headers.get("Last-Modified") or ""
        # a weak validator promises the meaning, not the bytes
        if validator and not validator.startswith("W/"):
            write_text_atomically(self._validator, validator)

    def _say(self, n_bytes: int, total: int | None) -> None:
        if time.monotonic() - self._said > _SAY_EVERY_S:
            self._said = time.monotonic()
            of_total = "" if total is None else f" of {total / 1e6:,.0f}"
            self._progress(f"{self._file.name}: {n_bytes / 1e6:,.0f}{of_total} MB")


def _whole_length(answer: http.client.HTTPResponse, goes_on: bool) -> int | None:
    """The size of the whole file, if the server says so."""
    if goes_on:
        total = answer.headers.get("Content-Range", "").rpartition("/")[2]
    else:
        total = answer.headers.get("Content-Length", "")
    return int(total) if total.isdecimal() else None


def _refuse_what_will_not_change(file: PublishedFile, error: Exception) -> None:
    if isinstance(error, urllib.error.HTTPError) and 400 <= error.code < 500 and error.code not in {408, 429}:
        raise InfrastructureError(
            f"{file.url}: the server answers {error.code} {error.reason}; give the archive or its unpacked "
            "folder with --from"
        ) from None


def _reason(error: Exception) -> str:
    if isinstance(error, http.client.IncompleteRead):
        return "the connection was cut"
    reason = getattr(error, "reason", None) or error
    return " ".join(str(reason).split()) or type(error).__name__
