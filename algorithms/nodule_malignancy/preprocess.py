"""`preprocess`: the channel `training` as arrays, done once for all retrainings of a method."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from algorithms.common.entry_point import Environment, run_entry_point
from algorithms.common.log import log_event
from algorithms.common.settings import read_settings
from algorithms.nodule_malignancy.description import manifest
from algorithms.nodule_malignancy.patches import read_patch
from algorithms.nodule_malignancy.preprocessed import (
    NODULES,
    LabelledNodule,
    Preprocessed,
    read_labelled_cases,
    read_labelled_nodules,
    write_preprocessed,
    write_preprocessed_nodules,
)
from algorithms.nodule_malignancy.scans import Cube, nodule_cube, read_scan
from reseed.contracts.containers import TrainingPaths


def main(root: Path, environment: Environment) -> None:  # noqa: ARG001 (depends on data and settings only)
    """
    Read the channel `training`, write arrays and a table; no seed has a part in it.

    A channel with nodules.csv holds CT, one with reference.csv outlines.
    """
    paths = TrainingPaths(root)
    settings = read_settings(paths.hyperparameters, manifest(), "preprocess")
    channel = paths.channel("training")
    if not (channel / NODULES).is_file():
        write_preprocessed(paths.output_data, preprocessed_cases(channel, int(settings["dimension"])))
        return
    patch_voxels = int(settings["patch_voxels"])
    nodules = read_labelled_nodules(channel / NODULES)
    cubes = nodule_cubes(channel, nodules, patch_voxels=patch_voxels)
    write_preprocessed_nodules(paths.output_data, nodules, cubes, patch_voxels=patch_voxels)
    n_positive = sum(row.label for row in nodules)
    log_event("preprocessed", n_cases=len(nodules), n_positive=n_positive, patch_voxels=patch_voxels)


def nodule_cubes(channel: Path, nodules: tuple[LabelledNodule, ...], *, patch_voxels: int) -> Iterator[Cube]:
    """
    The cube of every nodule, one after the other; each scan is read once.

    Raises
    ------
    UserError
        When a scan is missing or unreadable, or a nodule is not inside it.
    """
    case, image = "", None
    for row in nodules:
        if row.case != case:
            case, image = row.case, read_scan(channel / "images" / f"{row.case}.mha", case=row.case)
        yield nodule_cube(
            image, row.point_xyz_mm, patch_voxels=patch_voxels, case=row.case, nodule=row.nodule
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
