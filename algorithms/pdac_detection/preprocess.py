"""`preprocess`: nnU-Net's fingerprint, plans and arrays, made once for all retrainings of a method."""

from __future__ import annotations

from algorithms.common.nnunet.entry_points import Settings, run_preprocess
from algorithms.pdac_detection.description import LESION, manifest
from reseed.contracts.containers import TrainingPaths


def preprocess(paths: TrainingPaths, settings: Settings, *, n_processes: int) -> None:
    """Read the channel `training`, write what nnU-Net makes of it."""
    # nnU-Net's worker processes import this module again, and have no use for all of nnU-Net
    from algorithms.common.pancreas import preprocess_pancreas  # noqa: PLC0415

    # trainings of pancreas_segmentation start here, too
    preprocess_pancreas(paths, settings, n_processes=n_processes, lesion=LESION)


if __name__ == "__main__":
    run_preprocess(manifest, preprocess)
