"""`inference`: one case as Grand Challenge hands it over, or a folder of such cases."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from scipy import ndimage

from algorithms.common.cases import Case, cases
from algorithms.common.determinism import CUBLAS_SETTING, CUBLAS_VARIABLE, repeatable_computation
from algorithms.common.entry_point import Environment, run_entry_point
from algorithms.common.images import array_of, image_like, paste
from algorithms.common.lesions import lesion_candidates, write_detections
from algorithms.common.log import log_event
from algorithms.common.pancreas import PancreasModel
from algorithms.common.settings import read_settings
from algorithms.pdac_detection.description import manifest
from reseed.contracts.containers import InferencePaths
from reseed.contracts.manifest import AlgorithmManifest

GROWN = (5, 5, 5)
"""Voxels by which the pancreas is dilated; no tumour is looked for farther away."""


def main(root: Path, environment: Environment) -> None:
    """Find the tumours of every case below /input, one after the other."""
    paths = InferencePaths(root)
    described = manifest()
    settings = read_settings(paths.hyperparameters, described, "inference")
    computation = repeatable_computation(environment)
    model = PancreasModel.read(paths.model, settings, device=computation.device)
    n_cases = 0
    for case in cases(paths):
        detect(case, model, described)
        n_cases += 1
    log_event("predicted", n_cases=n_cases, members=model.region.n_members, device=computation.device)


def detect(case: Case, model: PancreasModel, described: AlgorithmManifest) -> None:
    """
    Write the detection map of a case on its grid, and its likelihood.

    The probability of a tumour counts within the pancreas, dilated by GROWN, that the same network sees.
    """
    scan, region, probabilities = model.looked_at(case, described.inputs[0])
    gland = np.isin(probabilities.labels(), model.gland_labels())
    near = ndimage.binary_dilation(gland, structure=np.ones(GROWN, dtype=bool))
    tumour = np.where(near, probabilities.of_classes(model.tumour_labels()), 0).astype(np.float32)
    candidates = paste(image_like(lesion_candidates(tumour), region), scan)
    write_detections(case, array_of(candidates), scan, described.outputs)


if __name__ == "__main__":
    os.environ.setdefault(CUBLAS_VARIABLE, CUBLAS_SETTING)
    run_entry_point(main, leaves_failure_file=False)
