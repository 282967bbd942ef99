"""A place on disk for what nobody needs afterwards."""

from __future__ import annotations

import shutil
from pathlib import Path

from reseed.contracts.containers import TrainingPaths


def scratch_folder(paths: TrainingPaths) -> Path:
    """An empty folder below /opt/ml/output; /tmp may be memory."""
    folder = paths.failure.parent / "scratch"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
