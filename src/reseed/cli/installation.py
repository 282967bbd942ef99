"""The service's installation that this process's environment describes."""

from __future__ import annotations

import os

from reseed.service.database.migration import check_schema, migrate
from reseed.service.installation import Installation, installation
from reseed.service.settings import settings_from


def installation_here() -> Installation:
    """
    The installation of the environment, with tables of this version.

    Raises
    ------
    UserError
        When a setting is missing or unsafe, or PostgreSQL's tables are of another version.
    """
    here = installation(settings_from(os.environ))
    if here.database.is_sqlite:
        migrate(here.database)
    check_schema(here.database)
    return here
