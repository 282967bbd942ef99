"""The `reseed` command: one module per command, listed in commands.py."""

from __future__ import annotations

from typing import Annotated

import typer

from reseed import __version__
from reseed.cli.commands import CONTEXT_SETTINGS, CommandsOnDemand
from reseed.contracts.errors import InfrastructureError, UserError

EXIT_USER_ERROR = 2
EXIT_INFRASTRUCTURE_ERROR = 3

_SERVICE_PACKAGES = (
    "alembic",
    "argon2",
    "fastapi",
    "gunicorn",
    "httpx",
    "itsdangerous",
    "prometheus_client",
    "sqlalchemy",
    "starlette",
    "uvicorn",
)
_EXTRA_OF_PACKAGE = {**dict.fromkeys(_SERVICE_PACKAGES, "service"), "psycopg": "postgres"}

app = typer.Typer(
    name="reseed",
    cls=CommandsOnDemand,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings=CONTEXT_SETTINGS,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"reseed {__version__}")
        raise typer.Exit


@app.callback()
def _reseed(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it and stop.")
    ] = False,
) -> None:
    """Retrain, evaluate and compare medical-image algorithms as training methods."""


def main() -> None:
    """Run the command line; an error of the person's is lines on stderr, not a traceback."""
    try:
        app()
    except UserError as error:
        typer.echo(f"reseed: {error}", err=True)
        raise SystemExit(EXIT_USER_ERROR) from None
    except InfrastructureError as error:
        typer.echo(f"reseed: {error}; the same command goes on from here", err=True)
        raise SystemExit(EXIT_INFRASTRUCTURE_ERROR) from None
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("reseed"):
            raise
        extra = _EXTRA_OF_PACKAGE.get(error.name.partition(".")[0], "train")
        missing = f"needs the package {error.name!r}, which is not installed: pip install 'reseed[{extra}]'"
        typer.echo(f"reseed: this command {missing}", err=True)
        raise SystemExit(EXIT_USER_ERROR) from None
    except OSError as error:
        if error.errno is None:
            raise
        typer.echo(f"reseed: {error}", err=True)
        raise SystemExit(EXIT_INFRASTRUCTURE_ERROR) from None
