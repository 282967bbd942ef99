"""Fixtures of the worker's tests: a real engine, real small images, one challenge."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

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
def challenge(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Hosted]:
    """A challenge of its own, whose folders a container's user can reach."""
    root = Path(tempfile.mkdtemp(prefix="reseed-service-"))
    root.chmod(0o755)
    (root / "data").mkdir()
    shutil.copy(migrated_sqlite, root / "data" / "reseed.sqlite3")
    made = hosted(root, f"sqlite:///{root}/data/reseed.sqlite3")
    before = os.umask(0o022)
    yield made
    os.umask(before)
    made.database.close()
    shutil.rmtree(root)
