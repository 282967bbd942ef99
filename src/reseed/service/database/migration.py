"""Bringing a database to the tables that this version of the program has."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from reseed.contracts.errors import UserError
from reseed.service.database.engine import Database
from reseed.service.database.models import Base

_MIGRATIONS = Path(__file__).parent / "migrations"
# Any number; the same in every process that migrates the same PostgreSQL database.
_MIGRATION_LOCK = 7_033_991


class WrongSchema(UserError):
    """The database's tables are not those of this version of the program."""


def migrate(database: Database) -> str:
    """
    Bring the tables to this version, all of them or none; processes that do so together take turns.

    Returns
    -------
    str
        The revision that the database now has.
    """
    with database.write() as session:
        connection = session.connection()
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        command.upgrade(_configuration(connection), "head")
        return _revision(connection) or ""


def check_schema(database: Database) -> None:
    """
    Refuse a database whose tables are older or newer than this program.

    Raises
    ------
    WrongSchema
        With the command that helps.
    """
    with database.read() as session:
        found = _revision(session.connection())
    wanted = ScriptDirectory(str(_MIGRATIONS)).get_current_head()
    if found != wanted:
        has = "has no tables yet" if found is None else f"has the tables of revision {found}"
        raise WrongSchema(f"the database {has}, this version needs {wanted}: run `reseed service migrate`")


def revision_of(session: Session) -> str:
    """The revision that the tables of a transaction have; empty without tables."""
    return _revision(session.connection()) or ""


def knows_revision(revision: str) -> bool:
    """Whether this version can bring tables of a revision to its own."""
    known = ScriptDirectory(str(_MIGRATIONS)).walk_revisions()
    return revision in {script.revision for script in known}


def differences(database: Database) -> list[object]:
    """What the tables of the database have that the models do not, and the other way round."""
    with database.read() as session:
        context = MigrationContext.configure(session.connection())
        return list(compare_metadata(context, Base.metadata))


def write_revision(database: Database, message: str, number: str) -> Path:
    """Write a migration file from what differs between the database and the models, to be edited."""
    with database.write() as session:
        script = command.revision(
            _configuration(session.connection()), message=message, autogenerate=True, rev_id=number
        )
    if script is None or isinstance(script, list):
        raise UserError("Alembic wrote no single migration")
    return Path(script.path)


def _configuration(connection: Connection) -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    configuration.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    configuration.attributes["connection"] = connection
    return configuration


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
