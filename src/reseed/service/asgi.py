"""For gunicorn: `reseed.service.asgi:application()`, made from the environment."""

from __future__ import annotations

import os

from fastapi import FastAPI

from reseed.contracts.files import make_folder
from reseed.service.database.migration import check_schema, migrate
from reseed.service.installation import installation
from reseed.service.operations.logs import log_json_lines
from reseed.service.settings import settings_from
from reseed.service.web import web_application


def application() -> FastAPI:
    """
    The application of this process's environment.

    SQLite is migrated here; PostgreSQL, which several hosts share, by `reseed service migrate`.

    Raises
    ------
    UserError
        When a setting is missing or unsafe, or the tables are of another version.
    """
    here = installation(settings_from(os.environ))
    log_json_lines()
    make_folder(here.folder.root)
    if here.database.is_sqlite:
        migrate(here.database)
    check_schema(here.database)
    # a connection must not cross a fork
    here.database.close()
    return web_application(here)
