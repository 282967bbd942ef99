"""The database of a backup: a copy of one instant while others write, and the way back."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

from sqlalchemy import inspect, select, text
from sqlalchemy.engine import URL
from sqlalchemy.orm import Session

from reseed.contracts.errors import UserError
from reseed.service.database.engine import Database
from reseed.service.database.models import Base, User

Kind = Literal["sqlite", "postgresql"]

FILE_NAMES: dict[Kind, str] = {"sqlite": "database.sqlite3", "postgresql": "database.pgdump"}
_BUSY_TIMEOUT_S = 60
_LAST_LINES = 3


def kind_of(database: Database) -> Kind:
    """Of which kind a database is."""
    return "sqlite" if database.is_sqlite else "postgresql"


def sqlite_path(database: Database) -> Path:
    """The file of an SQLite database."""
    return Path(str(database.url.database))


@contextmanager
def copied(database: Database, target: Path) -> Iterator[Session]:
    """
    Copy a database to a file, and read exactly what is in the copy; nobody who writes waits for it.

    Yields
    ------
    Session
        For SQLite of the copy, for PostgreSQL of the snapshot of which the dump is made when the block ends.

    Raises
    ------
    UserError
        When PostgreSQL's client is not installed, or its dump fails.
    """
    if database.is_sqlite:
        with closing(sqlite3.connect(sqlite_path(database), timeout=_BUSY_TIMEOUT_S)) as plain:
            plain.execute("VACUUM INTO ?", (str(target),))
        copy = Database(f"sqlite:///{target}")
        try:
            with copy.read() as session:
                yield session
        finally:
            copy.close()
        return
    program = _client_program("pg_dump")
    with (
        database.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection,
        Session(connection) as session,
    ):
        snapshot = str(session.scalar(text("SELECT pg_export_snapshot()")))
        yield session
        _run(
            database.url,
            [program, "--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}"],
            [f"--file={target}", f"--dbname={_address(database.url)}"],
        )


def is_empty(database: Database) -> bool:
    """Whether nobody has used a database: it has no tables, or no user."""
    if database.is_sqlite and not sqlite_path(database).exists():
        return True
    try:
        if not inspect(database.engine).has_table(User.__tablename__):
            return True
        with database.read() as session:
            return session.scalar(select(User.pk).limit(1)) is None
    finally:
        database.close()


def remove_tables(database: Database) -> None:
    """Remove the service's tables, or the file of SQLite; the caller knows that nothing is in them."""
    database.close()
    if database.is_sqlite:
        path = sqlite_path(database)
        for each in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
            each.unlink(missing_ok=True)
        return
    with database.write() as session:
        Base.metadata.drop_all(session.connection())
        session.execute(text("DROP TABLE IF EXISTS alembic_version"))


def fill(database: Database, dump: Path) -> None:
    """
    Bring a dump into a PostgreSQL database that has no tables, all of it or nothing.

    Raises
    ------
    UserError
        When PostgreSQL's client is not installed, or refuses.
    """
    program = _client_program("pg_restore")
    _run(
        database.url,
        [program, "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"],
        [f"--dbname={_address(database.url)}", str(dump)],
    )


def check_client(database: Database) -> None:
    """Refuse a PostgreSQL database where its client is not installed, before anything is done."""
    if not database.is_sqlite:
        for name in ("pg_dump", "pg_restore"):
            _client_program(name)


def _client_program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise UserError(
            f"{name} is not installed here: it comes with PostgreSQL's client (Debian: postgresql-client), "
            "which must not be older than the server"
        )
    return found


def _address(url: URL) -> str:
    """As libpq reads it, without the password, which others on this machine could see."""
    return URL.create(
        "postgresql",
        username=url.username,
        host=url.host,
        port=url.port,
        database=url.database,
        query=url.query,
    ).render_as_string()


def _run(url: URL, command: Sequence[str], arguments: Sequence[str]) -> None:
    secret = {} if url.password is None else {"PGPASSWORD": str(url.password)}
    done = subprocess.run(
        [*command, "--no-password", *arguments],
        env={**os.environ, **secret},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        words = "; ".join(line.strip() for line in done.stderr.splitlines()[-_LAST_LINES:])
        raise UserError(f"{Path(command[0]).name} failed: {words or f'exit code {done.returncode}'}")
