"""`reseed serve`: the web server."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from reseed.cli.installation import installation_here
from reseed.service.server import Binding
from reseed.service.server import serve as serve_until_ended


def serve(
    bind: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to listen; unix:PATH for a socket.")
    ] = "127.0.0.1:8000",
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Processes; by default one more than there are cores.")
    ] = (os.cpu_count() or 1) + 1,
) -> None:
    """
    Serve the web pages and the API, until a signal ends it.

    Settings come from the environment (RESEED_SECRET_KEY, RESEED_DATA_DIR, …; see docs/service.md);
    it refuses to start on a default or short secret.

    For instance:

        RESEED_SECRET_KEY=$(openssl rand -hex 32) RESEED_DATA_DIR=service reseed serve
    """
    # here, where a mistake is one line, and not in every worker again and again
    here = installation_here()
    here.folder.root.mkdir(parents=True, exist_ok=True)
    here.database.close()
    serve_until_ended(Binding(bind, workers))
