"""Paths, settings and seeds of the logistic regression."""

from __future__ import annotations

import json
import os
from pathlib import Path

from reseed.contracts.containers import ROOT_VARIABLE, TrainingPaths

ROOT = Path(os.environ.get(ROOT_VARIABLE, "/"))
PATHS = TrainingPaths(ROOT)


def settings() -> dict[str, str]:
    """The settings as hyperparameters.json has them."""
    return dict(json.loads(PATHS.hyperparameters.read_text()))
