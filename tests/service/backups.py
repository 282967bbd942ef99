"""An installation with something in it, and a second, empty one of the same kind to restore into."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select

from reseed.service.database.engine import Database
from reseed.service.database.jobs import claim, enqueue
from reseed.service.database.models import AlgorithmImage, Job, Phase, Submission, Upload, User
from reseed.service.database.transitions import enter
from reseed.service.domain.states import UploadState
from tests.service import postgresql
from tests.service.rows import add_submission
from tests.service.tarballs import image_bytes, model_bytes
from tests.service.world import SECRET, World

_numbers = itertools.count(1)


def furnish(world: World) -> dict[str, bytes]:
    """
    The bytes of the world's image, model and upload, outputs and logs of its evaluated submission, and a
    second submission whose job a worker has; the files by their names in the data folder.
    """
    folder, names = world.installation.folder, world.names
    submission = UUID(names["submission"])
    files = {
        f"images/{names['image']}.tar": image_bytes(),
        f"models/{names['model']}.tar.gz": model_bytes(),
        f"uploads/{names['upload']}": b"u" * 500,
        f"submissions/{submission}/runs/1/predictions/hidden-case-1/output/likelihood.json": b"0.8",
        f"submissions/{submission}/runs/1/logs/case-hidden-case-1.log": b"reading hidden-case-1",
        f"submissions/{submission}/runs/1/evaluation/metrics.json": b"{}",
    }
    for name, content in files.items():
        path = folder.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    # what nobody has counted yet, and what is under way, is not in a backup
    with (folder.root / f"uploads/{names['upload']}").open("ab") as stream:
        stream.write(b"behind")
    attempt = folder.step(submission, 1, "case-x") / "attempts/1/output"
    attempt.mkdir(parents=True)
    (attempt / "half").write_bytes(b"half")
    with world.database.write() as session:
        session.get_one(Upload, UUID(names["upload"])).offset = 500
        user = session.scalars(select(User).where(User.username == "participant")).one()
        image = session.get_one(AlgorithmImage, UUID(names["image"]))
        second = add_submission(session, session.get_one(Phase, UUID(names["phase_pk"])), user, image)
        enqueue(session, Job(kind="start", submission_pk=second.pk))
        world.names["queued_submission"] = str(second.pk)
        done = Upload(creator=user, filename="next.tar", size_bytes=3, offset=3, state=UploadState.FINISHED)
        enter(session, done)
    folder.upload(done.pk).write_bytes(b"abc")
    assert claim(world.database, "host.1@engine", lease_for=timedelta(hours=1)) is not None
    return {**files, f"uploads/{done.pk}": b"abc"}


def second_database(database: Database, folder: Path) -> str:
    """The URL of an empty one of the same kind."""
    if database.is_sqlite:
        return f"sqlite:///{folder}/reseed.sqlite3"
    return postgresql.create_database(str(database.url.query["host"]), f"restored{next(_numbers)}")


def environment(folder: Path, database_url: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RESEED_")}
    return {
        **kept,
        "RESEED_SECRET_KEY": SECRET,
        "RESEED_DATA_DIR": str(folder),
        "RESEED_DATABASE_URL": database_url,
        "RESEED_BASE_URL": "http://testserver",
    }


def command(
    folder: Path, database: Database | str, *words: str, killed_at: str = ""
) -> subprocess.CompletedProcess[str]:
    """`reseed …` in a process of its own, which is killed as it calls `module:function`."""
    url = database if isinstance(database, str) else database.url.render_as_string(hide_password=False)
    program = [sys.executable, "-c", _KILLED, killed_at] if killed_at else [sys.executable, "-m", "reseed"]
    return subprocess.run(
        [*program, *words],
        env=environment(folder, url),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


_KILLED = """
import importlib, os, signal, sys
place = sys.argv.pop(1)
module, name = place.split(":")
setattr(importlib.import_module(module), name, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
from reseed.cli import main
main()
"""


def rewrite(path: Path, change: Callable[[str, bytes], bytes | None], extra: dict[str, bytes] | None = None):
    """Write a tarball again with other contents; None leaves a file out."""
    entries: list[tuple[tarfile.TarInfo, bytes]] = []
    with tarfile.open(path) as tar:
        for entry in tar:
            stream = tar.extractfile(entry)
            assert stream is not None
            content = change(entry.name, stream.read())
            if content is not None:
                entry.size = len(content)
                entries.append((entry, content))
    more = [(_entry(name, content), content) for name, content in (extra or {}).items()]
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for entry, content in [*entries[:1], *more, *entries[1:]]:
            tar.addfile(entry, io.BytesIO(content))


def _entry(name: str, content: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    return entry


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def all_rows(database: Database, table: type[Any]) -> list[dict[str, Any]]:
    """Every row of a table, as a dictionary of its columns."""
    with database.read() as session:
        rows = session.execute(select(*table.__table__.columns)).mappings().all()
    return sorted((dict(row) for row in rows), key=lambda row: str(row.get("pk") or row))


def submission_of(database: Database, pk: str) -> Submission:
    with database.read() as session:
        return session.get_one(Submission, UUID(pk))
