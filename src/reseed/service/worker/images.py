"""The image of a submission on this host's engine: loaded once, from its stored tarball, by digest."""

from __future__ import annotations

import fcntl
import logging
import tempfile
from pathlib import Path
from uuid import UUID

from reseed.service.worker.worker import Worker

_log = logging.getLogger(__name__)


def load_image(worker: Worker, image_pk: UUID, digest: str) -> None:
    """
    Make sure that an image is on the engine; workers of one host wait for each other.

    Raises
    ------
    UserError
        When the tarball does not hold it.
    InfrastructureError
        When the engine cannot load it.
    """
    if worker.programs.has_image(digest):
        return
    lock = Path(tempfile.gettempdir()) / f"reseed-load-{digest.removeprefix('sha256:')}.lock"
    with lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        if not worker.programs.has_image(digest):
            _log.info("image loaded", extra={"image": digest})
            worker.programs.load(worker.folders.image(image_pk), digest)
    lock.unlink(missing_ok=True)
