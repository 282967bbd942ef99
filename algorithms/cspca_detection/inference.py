"""`inference`: one case as Grand Challenge hands it over, or a folder of such cases."""

from __future__ import annotations

import os
from pathlib import Path

from algorithms.common.cases import cases
from algorithms.common.determinism import CUBLAS_SETTING, CUBLAS_VARIABLE, repeatable_computation
from algorithms.common.entry_point import Environment, run_entry_point
from algorithms.common.images import array_of, image_like
from algorithms.common.lesions import lesion_candidates, write_detections
from algorithms.common.log import log_event
from algorithms.common.nnunet.inference import member_preparation, run_ensemble
from algorithms.common.nnunet.segmentation import case_images, prepared_probabilities
from algorithms.common.prostate_mri import grid_of
from algorithms.common.settings import read_settings
from algorithms.cspca_detection.description import LESION, manifest
from reseed.contracts.containers import InferencePaths


def main(root: Path, environment: Environment) -> None:
    """Find the lesions of every case below /input, one after the other."""
    paths = InferencePaths(root)
    described = manifest()
    settings = read_settings(paths.hyperparameters, described, "inference")
    computation = repeatable_computation(environment)
    ensemble = run_ensemble(paths.model, settings, device=computation.device)
    preparation = grid_of(member_preparation(paths.model))
    n_cases = 0
    for case in cases(paths):
        images = case_images(case, described.inputs)
        probabilities, prepared = prepared_probabilities(images, ensemble, preparation, case=case.name)
        softmax = image_like(probabilities.of_classes([LESION]), prepared)
        on_t2 = array_of(preparation.back(softmax, images[0]))
        write_detections(case, lesion_candidates(on_t2), images[0], described.outputs)
        n_cases += 1
    log_event("predicted", n_cases=n_cases, members=ensemble.n_members, device=computation.device)


if __name__ == "__main__":
    os.environ.setdefault(CUBLAS_VARIABLE, CUBLAS_SETTING)
    run_entry_point(main, leaves_failure_file=False)
