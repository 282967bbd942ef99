"""Uploads by an off-the-shelf client to a server process on a socket, which is killed in the middle."""

from __future__ import annotations

import hashlib
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tusclient.client import TusClient
from tusclient.uploader.uploader import Uploader

from tests.service.server import Server, new_server

MIB = 1 << 20


@pytest.fixture(scope="module")
def server(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = new_server(migrated_sqlite, tmp_path_factory.mktemp("data"))
    server.start()
    yield server
    server.kill()


def uploader(server: Server, content: bytes, url: str | None = None, **options: object) -> Uploader:
    client = TusClient(f"{server.url}/api/v1/uploads/", headers=server.headers)
    return client.uploader(file_stream=io.BytesIO(content), url=url, **options)


def document(server: Server, url: str | None) -> Any:
    assert url is not None
    return httpx.get(url, headers=server.headers).raise_for_status().json()


def stored(server: Server, url: str | None) -> bytes:
    pk: str = document(server, url)["pk"]
    return (server.folder / "uploads" / pk).read_bytes()


def content_of(size: int) -> bytes:
    """Bytes that are nowhere the same, so that a shifted part cannot pass."""
    return np.arange(size // 8, dtype=np.uint64).tobytes()


def test_tuspy(server: Server):
    """
    The protocol's Python client sends a file in parts, each with a checksum.
    """
    content = content_of(2 * MIB)
    upload = uploader(
        server, content, chunk_size=700_000, upload_checksum=True, metadata={"filename": "net.tar"}
    )
    upload.upload()

    found = document(server, upload.url)
    assert found["status"] == "Finished"
    assert found["sha256"] == hashlib.sha256(content).hexdigest()
    assert found["filename"] == "net.tar"
    assert stored(server, upload.url) == content


def test_goes_on_after_sigkill(server: Server):
    """
    The server is killed while bytes arrive; the client asks for the offset and goes on.

    What was confirmed before is still there, and the file is whole at the end.
    """
    content = content_of(40 * MIB)
    upload = uploader(server, content, chunk_size=len(content))
    url = upload.create_url()
    path = server.folder / "uploads" / document(server, url)["pk"]
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        head = [
            f"PATCH {url.removeprefix(server.url)} HTTP/1.1",
            f"Host: 127.0.0.1:{server.port}",
            *(f"{name}: {value}" for name, value in server.headers.items()),
            "Content-Type: application/offset+octet-stream",
            "Upload-Offset: 0",
            f"Content-Length: {len(content)}",
        ]
        connection.sendall("\r\n".join([*head, "", ""]).encode() + content[: 24 * MIB])
        _wait(lambda: path.exists() and path.stat().st_size >= 20 * MIB)
        server.kill()
    server.start()

    confirmed = uploader(server, content, url=url).offset
    assert 16 * MIB <= confirmed <= 24 * MIB
    uploader(server, content, url=url, chunk_size=8 * MIB).upload()
    assert document(server, url)["sha256"] == hashlib.sha256(content).hexdigest()
    assert stored(server, url) == content


def test_killed_between_many_parts(server: Server):
    """
    A client that tries again by itself gets through a kill, at any instant.
    """
    content = content_of(8 * MIB)
    upload = uploader(server, content, chunk_size=256 * 1024, retries=200, retry_delay=0.1)
    upload.set_url(upload.create_url())
    upload.offset = 0
    stopped = threading.Event()

    def kill_once() -> None:
        _wait(lambda: upload.offset >= 3 * MIB)
        server.kill()
        server.start()
        stopped.set()

    killer = threading.Thread(target=kill_once)
    killer.start()
    upload.upload()
    killer.join()

    assert stopped.is_set()
    assert document(server, upload.url)["sha256"] == hashlib.sha256(content).hexdigest()
    assert stored(server, upload.url) == content


def test_a_client_that_hangs_up(server: Server):
    """
    What came before the line was cut counts, and the lock is free again.
    """
    content = content_of(3 * MIB)
    url = uploader(server, content).create_url()

    def until_the_line_is_cut() -> Iterator[bytes]:
        yield content[:MIB]
        raise ConnectionAbortedError

    headers = {
        **server.headers,
        "Content-Type": "application/offset+octet-stream",
        "Upload-Offset": "0",
    }
    with pytest.raises(ConnectionAbortedError):
        httpx.patch(url, content=until_the_line_is_cut(), headers=headers)
    _wait(lambda: uploader(server, content, url=url).offset == MIB)

    uploader(server, content, url=url).upload()
    assert stored(server, url) == content


def test_memory_is_constant(server: Server):
    """
    300 MB in one request leave the server's memory as it is, to 30 MB.
    """
    size, block = 300 * MIB, content_of(MIB)
    created = httpx.post(
        f"{server.url}/api/v1/uploads/", headers={**server.headers, "Upload-Length": str(size)}
    )
    url = server.url + created.headers["Location"]
    headers = {
        **server.headers,
        "Content-Type": "application/offset+octet-stream",
        "Upload-Offset": "0",
        "Content-Length": str(size),
    }
    before, highest = server.resident_bytes(), 0

    def blocks() -> Iterator[bytes]:
        nonlocal highest
        for number in range(size // MIB):
            if number % 10 == 0:
                highest = max(highest, server.resident_bytes())
            yield block

    answer = httpx.patch(url, content=blocks(), headers=headers, timeout=120)

    assert answer.status_code == 204
    assert document(server, url)["offset"] == size
    assert max(highest, server.resident_bytes()) - before < 30 * MIB


def _wait(is_so: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)
