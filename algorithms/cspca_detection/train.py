"""`train`: one member of the ensemble of one run."""

from __future__ import annotations

import os
from pathlib import Path

from algorithms.common.determinism import CUBLAS_SETTING, CUBLAS_VARIABLE
from algorithms.common.entry_point import Environment, run_entry_point
from algorithms.common.interruption import StopRequest
from algorithms.common.nnunet.jobs import train_member
from algorithms.common.nnunet.segmentation import networks_of
from algorithms.cspca_detection.description import manifest


def main(root: Path, environment: Environment) -> None:
    """Train the member that the environment names, from the channel `preprocessed`."""
    stop = StopRequest()
    stop.watch()
    train_member(root, environment, manifest(), networks_of, stop_requested=stop.arrived)


if __name__ == "__main__":
    os.environ.setdefault(CUBLAS_VARIABLE, CUBLAS_SETTING)
    run_entry_point(main, leaves_failure_file=True)
