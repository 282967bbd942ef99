"""`preprocess`: the channel `training` as arrays, done once for all retrainings of a method."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from algorithms.common.entry_point import Environment, run_entry_point
from algorithms.common.log import log_event
from algorithms.common.settings import read_settings
from algorithms.nodule_malignancy.description import manifest
from algorithms.nodule_malignancy.patches import read_patch
from algorithms.nodule_malignancy.preprocessed import Preprocessed, read_labelled_cases, write_preprocessed
from reseed.contracts.containers import TrainingPaths


def main(root: Path, environment: Environment) -> None:  # noqa: ARG001 (depends on data and settings only)
    """Read the channel `training`, write arrays and a table; no seed has a part in it."""
    paths = TrainingPaths(root)
    settings = read_settings(paths.hyperparameters, manifest(), "preprocess")
    write_preprocessed(
        paths.output_data, preprocessed_cases(paths.channel("training"), int(settings["dimension"]))
    )


def preprocessed_cases(channel: Path, dimension: int) -> Preprocessed:
    """
    The patches of every case of reference.csv, in its order by case.

    Raises
    ------
    UserError
        When the table or an image breaks its contract.
    """
    cases = read_labelled_cases(channel / "reference.csv")
    images = (channel / "images" / f"{row.case}.mha" for row in cases)
    patches = [
        read_patch(image, case=row.case, dimension=dimension)
        for row, image in zip(cases, images, strict=True)
    ]
    log_event(
        "preprocessed", n_cases=len(cases), n_positive=sum(row.label for row in cases), dimension=dimension
    )
    return Preprocessed(np.stack(patches), cases, dimension)


if __name__ == "__main__":
    run_entry_point(main, leaves_failure_file=True)
