"""`inference`: one case as Grand Challenge hands it over, or a folder of such cases."""

from __future__ import annotations

from pathlib import Path

from algorithms.common.cases import Case
from algorithms.common.nnunet.entry_points import Predictor, Settings, run_inference
from algorithms.common.nnunet.inference import run_ensemble
from algorithms.common.nnunet.segmentation import segment
from algorithms.hippocampus_segmentation.description import manifest
from reseed.contracts.manifest import AlgorithmManifest


def predictor(model: Path, described: AlgorithmManifest, settings: Settings, *, device: str) -> Predictor:
    """Segments a case on its own grid."""
    ensemble = run_ensemble(model, settings, device=device)

    def predict(case: Case) -> None:
        segment(case, ensemble, described.inputs, described.outputs[0])

    return Predictor(predict, ensemble.n_members)


if __name__ == "__main__":
    run_inference(manifest, predictor)
