"""The body of a request, written to its upload piece by piece: the memory it takes is constant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

from anyio import to_thread
from fastapi import Request
from starlette.requests import ClientDisconnect

from reseed.service.database.models import Upload
from reseed.service.installation import Installation
from reseed.service.uploads.headers import Checksum, length_of
from reseed.service.uploads.reception import Reception, reception
from reseed.service.uploads.refusals import TooSlow
from reseed.service.uploads.storage import RunningDigests

# The web server hands over some 64 KiB at a time; a thread is asked to write this much at once.
_WRITE_BYTES = 1 << 20
_SILENCE_S = 60.0
# A note of this process, never needed for the result (see RunningDigests).
_DIGESTS = RunningDigests()


def length_of_body(request: Request) -> int | None:
    """What the client announces; None for a body of unknown length."""
    announced = request.headers.get("Content-Length")
    return None if announced is None else length_of("Content-Length", announced)


async def received_upload(
    request: Request, installation: Installation, pk: UUID, *, offset: int, checksum: Checksum | None
) -> Upload:
    """The upload after the body of this request; file, digest and database are used in threads alone."""
    entry = reception(
        installation.database,
        installation.folder,
        _DIGESTS,
        pk,
        offset=offset,
        n_bytes=length_of_body(request),
        checksum=checksum,
        valid_for=timedelta(hours=installation.settings.upload_expiry_hours),
    )
    incoming = await to_thread.run_sync(entry.__enter__)
    try:
        await _taken(request, incoming)
    finally:
        # releases the lock, whatever happened, and at once
        entry.__exit__(None, None, None)
    return incoming.upload


async def _taken(request: Request, received: Reception) -> None:
    try:
        async for block in _blocks(request):
            await to_thread.run_sync(received.append, block)
    except (ClientDisconnect, TooSlow):
        await to_thread.run_sync(received.break_off)
        raise
    await to_thread.run_sync(received.end)


async def _blocks(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces that are worth a write, and what came before a cut."""
    waiting = bytearray()
    stream = request.stream().__aiter__()
    while True:
        try:
            async with asyncio.timeout(_SILENCE_S):
                chunk = await anext(stream)
        except StopAsyncIteration:
            break
        except (ClientDisconnect, TimeoutError) as error:
            if waiting:
                yield bytes(waiting)
            if isinstance(error, TimeoutError):
                raise TooSlow(f"no byte came for {_SILENCE_S:g} s; ask for the offset and go on") from None
            raise
        waiting += chunk
        if len(waiting) >= _WRITE_BYTES:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)
