"""A submission of a service, in lines, and until it is over."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from reseed.contracts.digests import document_digest
from reseed.contracts.errors import InfrastructureError, UserError
from reseed.contracts.files import write_text_atomically

if TYPE_CHECKING:
    from reseed.cli.remote.service import Service

_LOOK_EVERY_S = 2.0
_MAX_SILENCE_S = 300.0


def submission_pk(text: str) -> str | None:
    """The identifier in `PK`, or in an address that ends in `submissions/PK/`; None when it is neither."""
    name = text.rstrip("/").rpartition("/")[2]
    if "/" in text and "/submissions/" not in text:
        return None
    try:
        return str(UUID(name))
    except ValueError:
        return None


def handed_in(
    service: Service, wanted: dict[str, Any], environment: Mapping[str, str] = os.environ
) -> dict[str, Any]:
    """
    The submission that a document asks for.

    Until the service says that there is one, the key of the request is kept in a file: a command that
    was cut off and is given again asks for the same submission, and does not make a second one.

    Raises
    ------
    UserError
        When the service refuses.
    InfrastructureError
        When it does not answer; whether there is a submission now is for the same call to find out.
    """
    note = _note_of(service.url, wanted, environment)
    key = note.read_text() if note.is_file() else secrets.token_hex(16)
    with contextlib.suppress(OSError):  # where nothing can be kept, the key is this command's alone
        write_text_atomically(note, key)
    made: dict[str, Any] = service.post("submissions/", wanted, key=key)
    note.unlink(missing_ok=True)
    return made


def _note_of(url: str, wanted: dict[str, Any], environment: Mapping[str, str]) -> Path:
    """Where the key of a request is kept that has had no answer yet."""
    folder = environment.get("XDG_STATE_HOME") or str(Path("~/.local/state").expanduser())
    return Path(folder) / "reseed" / "submitting" / document_digest([url, wanted])


def submission_lines(document: dict[str, Any]) -> list[str]:
    """How a submission stands: itself, then each of its runs."""
    phase = document["phase"]
    n_runs = document["n_runs"]
    runs = "1 run" if n_runs == 1 else f"{n_runs} runs"
    lines = [
        f"{document['url']}",
        f"  {phase['challenge']['short_name']}/{phase['slug']}, {document['kind']}, {runs}",
        f"  {_with_reason(document)}",
    ]
    return lines + [f"  run {run['number']}: {_with_reason(run)}" for run in document["runs"]]


def _with_reason(document: dict[str, Any]) -> str:
    status, reason = str(document["status"]).lower(), document["reason"]
    return f"{status}: {reason}" if reason else status


def awaited_submission(service: Service, pk: str, tell: Callable[[str], None]) -> dict[str, Any]:
    """
    The submission once it is over; each change is told in a line.

    Raises
    ------
    InfrastructureError
        When the service is away for minutes.
    """
    told, silent_since = "", None
    while True:
        try:
            document: dict[str, Any] = service.get(f"submissions/{pk}/")
            silent_since = None
        except InfrastructureError:
            silent_since = silent_since or time.monotonic()
            if time.monotonic() - silent_since > _MAX_SILENCE_S:
                raise
        else:
            line = _with_reason(document)
            if line != told:
                tell(line)
                told = line
            if document["is_over"]:
                return document
        time.sleep(_LOOK_EVERY_S)


def check_evaluated(document: dict[str, Any]) -> None:
    """Raise a UserError with its reason when a submission has ended without a result."""
    if document["is_over"] and document["status"] != "Evaluated":
        raise UserError(f"the submission was not evaluated; it is {_with_reason(document)}")
