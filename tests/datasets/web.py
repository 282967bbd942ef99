"""A web server of this machine that serves one file, and can cut connections."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer(ThreadingHTTPServer):
    """
    Serves `content` at any address.

    `cuts` are consumed one a connection: how many bytes it carries before it is cut, None for all.
    `ranges` collects what each request asked for.
    """

    daemon_threads = False  # joined at the end, so that no socket is left open

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.etag = '"one"'
        self.knows_ranges = True
        self.status = 200
        self.cuts: list[int | None] = []
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/archive.tar"


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range")
        server.ranges.append(asked)
        if server.status != 200:
            self.send_error(server.status)
            return
        start = 0
        goes_on = asked is not None and server.knows_ranges and self.headers.get("If-Range") == server.etag
        if goes_on:
            start = int(str(asked).removeprefix("bytes=").removesuffix("-"))
        body = server.content[start:]
        self.send_response(206 if goes_on else 200)
        self.send_header("ETag", server.etag)
        self.send_header("Content-Length", str(len(body)))
        if goes_on:
            self.send_header(
                "Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}"
            )
        self.end_headers()
        cut = server.cuts.pop(0) if server.cuts else None
        self.wfile.write(body[:cut])
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name in the library)
        pass


@contextmanager
def file_server(content: bytes) -> Iterator[FileServer]:
    """A server, as long as it is needed."""
    with FileServer(content) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
