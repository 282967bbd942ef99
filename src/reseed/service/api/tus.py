"""What every answer of the upload protocol has in common."""

from __future__ import annotations

from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from reseed.service.database.models import Upload
from reseed.service.domain.states import UploadState
from reseed.service.uploads.headers import EXTENSIONS, VERSION, http_date


class TusRoute(APIRoute):
    """A route whose answers, refusals too, name the protocol's version."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_with_version(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Tus-Resumable", VERSION)
                if message["status"] == 412:
                    headers.setdefault("Tus-Version", VERSION)
                    headers.setdefault("Tus-Extension", ",".join(EXTENSIONS))
            await send(message)

        await super().handle(scope, receive, send_with_version)


def offset_headers(upload: Upload) -> dict[str, str]:
    """How far an upload is, and until when it is kept."""
    headers = {"Upload-Offset": str(upload.offset)}
    if upload.state is UploadState.OPEN and upload.deadline is not None:
        headers["Upload-Expires"] = http_date(upload.deadline)
    return headers
