"""What the work on a submission has left behind is removed once that is over, whoever was killed at it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from sqlalchemy import select

from reseed.service.database.engine import Database
from reseed.service.database.models import Run, Submission
from reseed.service.folders import DataFolder

_LOG = logging.getLogger(__name__)


def remove_leftovers(database: Database, folders: DataFolder) -> int:
    """
    Remove the folders in which containers of ended submissions worked, and what was half written.

    Results and logs stay, and so does a model that was trained here; one that was brought is unpacked
    from its tarball. What a container that is being ended still writes goes the next time.

    Returns
    -------
    int
        Of how many submissions there was something.
    """
    place = folders.submission(UUID(int=0)).parent
    n_cleaned = 0
    for path in sorted(place.iterdir()) if place.is_dir() else ():
        found = list(_half_written(path))
        steps = [each for each in path.glob("runs/*/steps") if each.is_dir()]
        if not found and not steps:
            continue
        brought = _models_brought_to(database, folders, path.name)
        if brought is None:
            continue
        # the steps last: while they are there, a later call does the rest
        for each in (*found, *brought, *steps):
            _remove(each)
        _LOG.info("removed what work has left", extra={"submission": path.name})
        n_cleaned += 1
    return n_cleaned


def _half_written(submission: Path) -> Iterator[Path]:
    """Files and folders that were going to be renamed; what algorithms wrote may have any name."""
    for pattern in ("runs/*/.*.building", "runs/*/*/.*.tmp"):
        yield from submission.glob(pattern)


def _models_brought_to(database: Database, folders: DataFolder, name: str) -> list[Path] | None:
    """The unpacked models of a submission that is over; None when it is not, or there is none."""
    try:
        pk = UUID(name)
    except ValueError:
        return None
    with database.read() as session:
        submission = session.get(Submission, pk)
        if submission is None or not submission.state.is_terminal:
            return None
        brought = select(Run.number).where(Run.submission_pk == pk, Run.algorithm_model_pk.is_not(None))
        return [folders.model_folder(pk, number) for number in session.scalars(brought)]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
