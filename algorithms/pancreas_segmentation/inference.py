"""`inference`: one case as Grand Challenge hands it over, or a folder of such cases."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from algorithms.common.cases import cases
from algorithms.common.determinism import CUBLAS_SETTING, CUBLAS_VARIABLE, repeatable_computation
from algorithms.common.entry_point import Environment, run_entry_point
from algorithms.common.images import image_like, paste, write_image
from algorithms.common.log import log_event
from algorithms.common.pancreas import PancreasModel
from algorithms.common.settings import read_settings
from algorithms.pancreas_segmentation.description import manifest
from reseed.contracts.containers import InferencePaths


def main(root: Path, environment: Environment) -> None:
    """Segment every case below /input, one after the other."""
    paths = InferencePaths(root)
    described = manifest()
    settings = read_settings(paths.hyperparameters, described, "inference")
    computation = repeatable_computation(environment)
    model = PancreasModel.read(paths.model, settings, device=computation.device)
    n_cases = 0
    for case in cases(paths):
        scan, region, probabilities = model.looked_at(case, described.inputs[0])
        pancreas = np.isin(probabilities.labels(), model.gland_labels()).astype(np.uint8)
        write_image(paste(image_like(pancreas, region), scan), case.image_output(described.outputs[0]))
        n_cases += 1
    log_event("predicted", n_cases=n_cases, members=model.region.n_members, device=computation.device)


if __name__ == "__main__":
    os.environ.setdefault(CUBLAS_VARIABLE, CUBLAS_SETTING)
    run_entry_point(main, leaves_failure_file=False)
