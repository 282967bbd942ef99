"""The database: SQLite by default, PostgreSQL by URL; transactions that read, and ones that write."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session, sessionmaker

from reseed.service.database.columns import now_utc

_BUSY_TIMEOUT_S = 60
_RETRY_S = 0.02
_WRITES = "reseed_writes"


class Database:
    """
    One database of the service.

    On SQLite every writing transaction begins with BEGIN IMMEDIATE: it waits for its turn at the
    start, where waiting is safe, instead of failing in the middle. A `read` transaction sees one
    consistent state and never waits.

    Parameters
    ----------
    url
        sqlite:///path or postgresql+psycopg://…
    """

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite_engine(url) if self.is_sqlite else _postgresql_engine(url)
        self._reading = sessionmaker(self.engine, expire_on_commit=False, autoflush=False)
        self._writing = sessionmaker(self.engine.execution_options(**{_WRITES: True}), expire_on_commit=False)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that changes nothing; what it has read stays usable afterwards."""
        with self._reading() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that is committed at the end, or undone when an exception leaves it."""
        with self._writing.begin() as session:
            yield session

    def now(self, session: Session) -> datetime:
        """The instant by the one clock that all processes of this database share."""
        if self.is_sqlite:
            return now_utc()
        moment = session.scalar(select(func.clock_timestamp()))
        if not isinstance(moment, datetime):
            raise TypeError(f"the database's clock says {moment!r}")
        return moment

    def ping(self) -> None:
        """Raise when the database does not answer."""
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def checkpoint(self) -> None:
        """Bring all of an SQLite database into its one file, for a copy of it."""
        if self.is_sqlite:
            with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close all connections; the next use opens new ones, as a forked process must."""
        self.engine.dispose()


def _postgresql_engine(url: str) -> Engine:
    return create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20)


def _sqlite_engine(url: str) -> Engine:
    path = make_url(url).database
    if not path or path == ":memory:":
        raise ValueError("the service needs an SQLite database in a file: sqlite:///path")
    engine = create_engine(
        url, connect_args={"timeout": _BUSY_TIMEOUT_S}, pool_size=10, max_overflow=50, pool_timeout=60
    )
    event.listen(engine, "do_connect", lambda *_: _make_folder_of(Path(path)))
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_folder_of(path: Path) -> None:
    # at the first connection, so that making a Database does nothing yet
    path.parent.mkdir(parents=True, exist_ok=True)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # the driver's own way to begin transactions is switched off: _begin_sqlite does it
    connection.isolation_level = None
    _switch_to_wal(connection)
    for pragma in ("synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _switch_to_wal(connection: Any) -> None:
    """
    Let readers and one writer work at a time; a new database is switched once, and stays so.

    SQLite refuses the switch at once while somebody writes, whatever the timeout: so it is waited for here.
    """
    deadline = time.monotonic() + _BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_S)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
