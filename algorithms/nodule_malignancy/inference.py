"""`inference`: one case as Grand Challenge hands it over, or a folder of such cases."""

from __future__ import annotations

import os
from pathlib import Path

from algorithms.common.cases import Case, cases
from algorithms.common.determinism import CUBLAS_SETTING, CUBLAS_VARIABLE, repeatable_computation
from algorithms.common.entry_point import Environment, run_entry_point
from algorithms.common.log import log_event
from algorithms.nodule_malignancy.description import INPUT_SLUG, OUTPUT_SLUG, manifest
from algorithms.nodule_malignancy.model import Ensemble, read_ensemble
from algorithms.nodule_malignancy.patches import read_patch
from reseed.contracts.containers import InferencePaths
from reseed.contracts.manifest import AlgorithmManifest
from reseed.contracts.sockets import Socket


def main(root: Path, environment: Environment) -> None:
    """Predict every case below /input, one after the other, with one loaded ensemble."""
    paths = InferencePaths(root)
    computation = repeatable_computation(environment)
    ensemble = read_ensemble(paths.model, device=computation.device)
    source, target = _sockets(manifest())
    n_cases = 0
    for case in cases(paths):
        case.write_value(target, predict(case, ensemble, source))
        n_cases += 1
    log_event("predicted", n_cases=n_cases, members=len(ensemble.networks), device=computation.device)


def predict(case: Case, ensemble: Ensemble, source: Socket) -> float:
    """
    The likelihood that the nodule of a case is malignant.

    A case is computed alone, also among many, so that both ways give the same bits.
    """
    patch = read_patch(case.image(source), case=case.name, dimension=ensemble.dimension)
    return ensemble.likelihood(patch)


def _sockets(described: AlgorithmManifest) -> tuple[Socket, Socket]:
    source = next(socket for socket in described.inputs if socket.slug == INPUT_SLUG)
    target = next(socket for socket in described.outputs if socket.slug == OUTPUT_SLUG)
    return source, target


if __name__ == "__main__":
    os.environ.setdefault(CUBLAS_VARIABLE, CUBLAS_SETTING)
    run_entry_point(main, leaves_failure_file=False)
