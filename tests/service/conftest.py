"""Fixtures of the service's tests: every test of a database runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from reseed.service.database.engine import Database
from reseed.service.database.migration import migrate
from tests.service import postgresql
from tests.service.ranked import rank
from tests.service.world import World, build_world, small_world, world_in

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgresql_socket() -> Iterator[str]:
    """The socket folder of a cluster of this session's own."""
    if not postgresql.is_installed():
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL 15 is not installed, and CI tests it")
        pytest.skip("PostgreSQL 15 is not installed")
    with postgresql.cluster() as folder:
        yield folder


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/reseed.sqlite3"
    return postgresql.create_database(request.getfixturevalue("postgresql_socket"), f"t{next(_numbers)}")


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with all tables, to copy."""
    path = tmp_path_factory.mktemp("migrated") / "reseed.sqlite3"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_socket: str) -> str:
    """The name of a PostgreSQL database with all tables, to copy."""
    _migrate(postgresql.create_database(postgresql_socket, "migrated"))
    return "migrated"


def _migrate(url: str) -> None:
    database = Database(url)
    migrate(database)
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of each kind, with all tables and no rows."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "reseed.sqlite3")
        url = f"sqlite:///{tmp_path}/reseed.sqlite3"
    else:
        template = request.getfixturevalue("migrated_postgresql")
        socket = request.getfixturevalue("postgresql_socket")
        url = postgresql.create_database(socket, f"t{next(_numbers)}", template)
    database = Database(url)
    yield database
    database.close()


@pytest.fixture
def sqlite_database(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    """For tests that are not about the database."""
    shutil.copy(migrated_sqlite, tmp_path / "reseed.sqlite3")
    database = Database(f"sqlite:///{tmp_path}/reseed.sqlite3")
    yield database
    database.close()


@pytest.fixture(scope="session")
def first_world(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A small world on SQLite, for tests that change nothing in it."""
    with small_world(migrated_sqlite, tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A small world on each kind of database, for tests of one module that may leave anything in it."""
    folder = tmp_path_factory.mktemp("shared")
    if request.param == "sqlite":
        with small_world(request.getfixturevalue("migrated_sqlite"), folder) as world:
            yield world
        return
    template = request.getfixturevalue("migrated_postgresql")
    socket = request.getfixturevalue("postgresql_socket")
    database = Database(postgresql.create_database(socket, f"t{next(_numbers)}", template))
    yield build_world(database, folder)
    database.close()


@pytest.fixture
def world(first_world: World, tmp_path: Path) -> Iterator[World]:
    """The same world, for one test to change."""
    first_world.database.checkpoint()
    shutil.copy(first_world.installation.folder.root / "reseed.sqlite3", tmp_path)
    database = Database(f"sqlite:///{tmp_path}/reseed.sqlite3")
    yield world_in(database, tmp_path, first_world)
    database.close()


@pytest.fixture
def ranked_world(world: World) -> World:
    """The same with a leaderboard."""
    return rank(world)


@pytest.fixture
def world_of_each_kind(database: Database, tmp_path: Path) -> World:
    """A small world on SQLite, and one on PostgreSQL."""
    return build_world(database, tmp_path)
