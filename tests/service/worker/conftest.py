"""Fixtures of the worker's tests: a real engine, real small images, one challenge."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from reseed.service.database.engine import Database
from tests.engine import REPOSITORY, build_image, connected_engine
from tests.service.worker.world import Hosted, hosted


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """The Docker engine."""
    client = connected_engine()
    yield client
    client.close()


@pytest.fixture(scope="session")
def evaluation_image(engine: docker.DockerClient) -> str:
    """The evaluation container, built from this checkout."""
    build_image(REPOSITORY, target="evaluation", tag="reseed/evaluation")
    return str(engine.images.get("reseed/evaluation").id)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that a container's user can reach."""
    before = os.umask(0o022)
    root = Path(tempfile.mkdtemp(prefix="reseed-service-"))
    root.chmod(0o755)
    (root / "data").mkdir()
    yield root
    os.umask(before)
    shutil.rmtree(root)


@pytest.fixture
def challenge(migrated_sqlite: Path, folder: Path) -> Iterator[Hosted]:
    """A challenge of its own, on SQLite."""
    shutil.copy(migrated_sqlite, folder / "data" / "reseed.sqlite3")
    made = hosted(folder, f"sqlite:///{folder}/data/reseed.sqlite3")
    yield made
    made.database.close()


@pytest.fixture
def challenge_on_each(database: Database, folder: Path) -> Iterator[Hosted]:
    """A challenge of its own, on SQLite and on PostgreSQL."""
    made = hosted(folder, database.url.render_as_string(hide_password=False))
    yield made
    made.database.close()
