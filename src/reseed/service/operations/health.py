"""Whether the service lives, and whether it can do its work."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from reseed.contracts.errors import UserError
from reseed.service.database.migration import check_schema
from reseed.service.installation import Installation

_LEAST_FREE_BYTES = 1 << 30


@dataclass(frozen=True)
class Readiness:
    """What was looked at, each with "ok" or what is wrong with it."""

    checks: dict[str, str]

    @property
    def is_ready(self) -> bool:
        """Whether nothing is wrong."""
        return all(found == "ok" for found in self.checks.values())


def readiness(installation: Installation) -> Readiness:
    """Look at the database, its tables, and the data folder."""
    return Readiness({"database": _database(installation), "data_folder": _data_folder(installation)})


def _database(installation: Installation) -> str:
    try:
        installation.database.ping()
        check_schema(installation.database)
    except UserError as error:
        return str(error)
    except SQLAlchemyError as error:
        # the driver's own words hold the address and the user name
        return f"does not answer: {type(error).__name__}"
    return "ok"


def _data_folder(installation: Installation) -> str:
    root = installation.folder.root
    try:
        with tempfile.TemporaryFile(dir=root):
            pass
        status = os.statvfs(root)
    except OSError as error:
        return f"cannot be written to: {error.strerror}"
    free = status.f_bavail * status.f_frsize
    return "ok" if free >= _LEAST_FREE_BYTES else f"has only {free >> 20} MiB left"
