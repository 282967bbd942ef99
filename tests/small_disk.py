"""A disk that is soon full."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path, *, n_mib: int) -> Iterator[Path]:
    """
    An ext4 file system in a file, mounted; where nothing may be mounted, tests are skipped, and fail in CI.

    Parameters
    ----------
    place
        Where it is mounted; its file is beside it.
    n_mib
        Its size.
    """
    image = place.with_suffix(".img")
    place.mkdir(parents=True)
    with image.open("wb") as stream:
        stream.truncate(n_mib << 20)
    made = _done("mkfs.ext4", "-q", "-m", "0", image) and _done("mount", "-o", "loop", image, place)
    if not made and not _done("mount", "-t", "tmpfs", "-o", f"size={n_mib}m", "tmpfs", place):
        assert not os.environ.get("CI"), "CI may mount"
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield place
    finally:
        assert _done("umount", place) or _done("umount", "--lazy", place)
        image.unlink()


def _done(*command: str | Path) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
