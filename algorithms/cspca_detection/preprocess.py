"""`preprocess`: nnU-Net's fingerprint, plans and arrays, made once for all retrainings of a method."""

from __future__ import annotations

from pathlib import Path

from algorithms.common.entry_point import Environment, run_entry_point
from algorithms.common.settings import read_settings
from algorithms.cspca_detection.description import LESION, manifest
from reseed.contracts.containers import TrainingPaths


def main(root: Path, environment: Environment) -> None:
    """Read the channel `training`, write what nnU-Net makes of it."""
    # nnU-Net's worker processes import this module again, and have no use for all of nnU-Net
    from algorithms.common.nnunet.segmentation import preprocess_channel  # noqa: PLC0415
    from algorithms.common.prostate_mri import grid_of  # noqa: PLC0415

    paths = TrainingPaths(root)
    settings = read_settings(paths.hyperparameters, manifest(), "preprocess")
    preprocess_channel(
        paths,
        settings,
        n_processes=int(environment.get("SM_NUM_CPUS", "1")),
        preparation=grid_of(settings),
        recorded={key: settings[key] for key in ("grid", "grid_spacing")},
        spread_label=LESION,
    )


if __name__ == "__main__":
    run_entry_point(main, leaves_failure_file=True)
