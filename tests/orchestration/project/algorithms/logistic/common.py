"""Paths, settings and seeds of the logistic regression."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from reseed.contracts.containers import ROOT_VARIABLE, TrainingPaths

ROOT = Path(os.environ.get(ROOT_VARIABLE, "/"))
PATHS = TrainingPaths(ROOT)


def settings() -> dict[str, str]:
    """The settings as hyperparameters.json has them."""
    return dict(json.loads(PATHS.hyperparameters.read_text()))


def note_done(command: str) -> None:
    """
    Say, as the last act, that the work is done; from here on nothing stops the program.

    Where there is a file `diary` beside the study folder, add the key of the job to it.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    seed, member = os.environ.get("RESEED_SEED_WEIGHTS", ""), os.environ.get("RESEED_MEMBER", "")
    sys.stdout.write(f"done {command} {seed} {member}\n")
    sys.stdout.flush()
    folders = ROOT.parents
    if len(folders) > 5 and (folders[5] / "diary").is_file():
        with (folders[5] / "diary").open("a") as diary:
            diary.write(f"{folders[2].name}\n")
