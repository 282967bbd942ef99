"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reseed.datasets import build_dataset


@pytest.fixture(scope="session")
def lidc_nodules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The folder of dataset lidc-nodules, built once for all workers of a test session.

    Read-only by agreement: whoever wants to change it copies it.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / "datasets" / "lidc-nodules"
    # building takes a lock, under which a second worker waits and then finds it there
    build_dataset("lidc-nodules", folder, source=None, progress=lambda line: None)
    return folder
