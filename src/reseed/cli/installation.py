"""The service's installation that this process's environment describes."""

from __future__ import annotations

import os

from reseed.service.database.migration import check_schema, migrate
from reseed.service.installation import Installation, installation
from reseed.service.operations.backup.restoring import refuse_unfinished_restore
from reseed.service.settings import settings_from


def installation_here() -> Installation:
    """
    The installation of the environment, with tables of this version.

    Raises
    ------
    UserError
        When a setting is missing or unsafe, PostgreSQL's tables are of another version, or a backup was not
        restored to its end.
    """
    here = installation(settings_from(os.environ))
    refuse_unfinished_restore(here.folder)
    if here.database.is_sqlite:
        migrate(here.database)
    check_schema(here.database)
    return here
