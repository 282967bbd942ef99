"""Sends a file, and goes on where it was cut: by the service's own count of what is on its disk."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from reseed.cli.remote.service import Service, detail_of, refusal
from reseed.contracts.errors import InfrastructureError, UserError
from reseed.service.uploads.headers import PART, VERSION, metadata_header

# One request's: a proxy with a time limit meets many short requests.
_PART_BYTES = 64 << 20
_BLOCK_BYTES = 1 << 20
_MAX_FAILURES = 8
_MAX_PAUSE_S = 20.0
# Worth another try: too slow, busy with the request that was cut, too often, the service or its proxy away.
_PASSING = frozenset({408, 409, 423, 429, 500, 502, 503, 504})
_TUS = {"Tus-Resumable": VERSION}

Progress = Callable[[int], None]
"""Is told how many bytes are done."""


@dataclass(frozen=True)
class LocalFile:
    """A file to send."""

    path: Path
    size_bytes: int
    sha256: str


def local_file(path: Path, progress: Progress) -> LocalFile:
    """
    A file with its digest, by which the service recognises it.

    Raises
    ------
    UserError
        When it is no file, or empty.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    size = path.stat().st_size
    if size == 0:
        raise UserError(f"{path}: is empty")
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
            done += len(block)
            progress(done)
    return LocalFile(path, size, digest.hexdigest())


def sent_upload(service: Service, file: LocalFile, progress: Progress) -> dict[str, Any]:
    """
    The finished upload of a file; one that was begun before, from any machine, is gone on with.

    Raises
    ------
    UserError
        When the service refuses the file, or the file changes meanwhile.
    InfrastructureError
        When the service is away for long; the same call goes on later.
    """
    known = [
        upload
        for upload in service.every("uploads/", sha256=file.sha256)
        if upload["size_bytes"] == file.size_bytes and upload["status"] in {"Open", "Finished"}
    ]
    known.sort(key=lambda upload: upload["offset"], reverse=True)
    path = f"uploads/{known[0]['pk']}/" if known else _begun(service, file)
    if not known or known[0]["status"] == "Open":
        _send(service, path, file, progress)
    upload: dict[str, Any] = service.get(path)
    if upload["sha256"] != file.sha256:
        service.answer("DELETE", path, headers=_TUS)
        raise UserError(f"{file.path}: has changed while it was sent; send it again")
    progress(file.size_bytes)
    return upload


def _begun(service: Service, file: LocalFile) -> str:
    metadata = {"filename": file.path.name, "sha256": file.sha256}
    headers = {
        **_TUS,
        "Upload-Length": str(file.size_bytes),
        "Upload-Metadata": metadata_header(metadata),
    }
    location = service.answer("POST", "uploads/", headers=headers).headers["Location"]
    return f"uploads/{location.rstrip('/').rpartition('/')[2]}/"


def _send(service: Service, path: str, file: LocalFile, progress: Progress) -> None:
    n_failures, furthest = 0, -1
    while True:
        try:
            offset = _offset(service, path)
            progress(offset)
            if offset > furthest:
                n_failures, furthest = 0, offset
            if offset == file.size_bytes:
                return
            problem = _send_part(service, path, file, offset, progress)
        except httpx.TransportError as error:
            problem = str(error) or type(error).__name__
        if problem is None:
            continue
        n_failures += 1
        if n_failures > _MAX_FAILURES:
            raise InfrastructureError(f"{service.url}: {file.path.name} could not be sent: {problem}")
        time.sleep(min(0.25 * 2**n_failures, _MAX_PAUSE_S))


def _offset(service: Service, path: str) -> int:
    response = service.attempt("HEAD", path, headers=_TUS)
    if response.status_code in _PASSING:
        raise httpx.TransportError(f"{response.status_code} {response.reason_phrase}")
    if not response.is_success:
        raise refusal(service.url, response)
    return int(response.headers["Upload-Offset"])


def _send_part(service: Service, path: str, file: LocalFile, offset: int, progress: Progress) -> str | None:
    """Send the next part; returns what went wrong when it is worth another try."""
    n_bytes = min(_PART_BYTES, file.size_bytes - offset)
    headers = {
        **_TUS,
        "Content-Type": PART,
        "Upload-Offset": str(offset),
        "Content-Length": str(n_bytes),
    }
    with file.path.open("rb") as stream:
        stream.seek(offset)
        body = _blocks(stream, offset, n_bytes, progress)
        response = service.attempt("PATCH", path, headers=headers, content=body)
    if response.is_success:
        return None
    if response.status_code in _PASSING:
        return detail_of(response)
    raise refusal(service.url, response)


def _blocks(stream: BinaryIO, offset: int, n_bytes: int, progress: Progress) -> Iterator[bytes]:
    end = offset + n_bytes
    while offset < end:
        block = stream.read(min(_BLOCK_BYTES, end - offset))
        if not block:
            raise UserError(f"{stream.name}: has become shorter while it was sent")
        offset += len(block)
        yield block
        progress(offset)
