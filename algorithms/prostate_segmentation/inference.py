"""`inference`: one case as Grand Challenge hands it over, or a folder of such cases."""

from __future__ import annotations

import os
from pathlib import Path

from algorithms.common.cases import Case, cases
from algorithms.common.determinism import CUBLAS_SETTING, CUBLAS_VARIABLE, repeatable_computation
from algorithms.common.entry_point import Environment, run_entry_point
from algorithms.common.log import log_event
from algorithms.common.nnunet.inference import member_preparation, run_ensemble
from algorithms.common.nnunet.segmentation import segment
from algorithms.common.prostate_mri import crop_of
from algorithms.common.settings import read_settings
from algorithms.prostate_segmentation.description import manifest
from reseed.contracts.containers import InferencePaths
from reseed.contracts.manifest import AlgorithmManifest
from reseed.contracts.sockets import Socket


def main(root: Path, environment: Environment) -> None:
    """Segment every case below /input, one after the other."""
    paths = InferencePaths(root)
    described = manifest()
    settings = read_settings(paths.hyperparameters, described, "inference")
    computation = repeatable_computation(environment)
    ensemble = run_ensemble(paths.model, settings, device=computation.device)
    preparation = crop_of(member_preparation(paths.model))
    sources = described.inputs[: ensemble.n_channels]
    n_cases = 0
    for case in cases(paths):
        segment(case, ensemble, sources, _target(case, described), preparation=preparation)
        n_cases += 1
    log_event("predicted", n_cases=n_cases, members=ensemble.n_members, device=computation.device)


def _target(case: Case, described: AlgorithmManifest) -> Socket:
    """The output that goes with a case's inputs: T2 alone asks for the whole gland, all three for zones."""
    whole_gland, zones = described.outputs
    return zones if {socket.slug for socket in described.inputs} <= set(case.slugs()) else whole_gland


if __name__ == "__main__":
    os.environ.setdefault(CUBLAS_VARIABLE, CUBLAS_SETTING)
    run_entry_point(main, leaves_failure_file=False)
