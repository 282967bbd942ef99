"""`inference`: one case as Grand Challenge hands it over, or a folder of such cases."""

from __future__ import annotations

from pathlib import Path

from algorithms.common.cases import Case
from algorithms.common.nnunet.entry_points import Predictor, Settings, run_inference
from algorithms.common.nnunet.inference import member_preparation, run_ensemble
from algorithms.common.nnunet.segmentation import segment
from algorithms.common.prostate_mri import crop_of
from algorithms.prostate_segmentation.description import manifest
from reseed.contracts.manifest import AlgorithmManifest
from reseed.contracts.sockets import Socket


def predictor(model: Path, described: AlgorithmManifest, settings: Settings, *, device: str) -> Predictor:
    """Segments a case on the grid of T2, from as many channels as the run was trained on."""
    ensemble = run_ensemble(model, settings, device=device)
    preparation = crop_of(member_preparation(model))
    sources = described.inputs[: ensemble.n_channels]

    def predict(case: Case) -> None:
        segment(case, ensemble, sources, _target(case, described), preparation=preparation)

    return Predictor(predict, ensemble.n_members)


def _target(case: Case, described: AlgorithmManifest) -> Socket:
    """The output that goes with a case's inputs: T2 alone asks for the whole gland, all three for zones."""
    whole_gland, zones = described.outputs
    return zones if {socket.slug for socket in described.inputs} <= set(case.slugs()) else whole_gland


if __name__ == "__main__":
    run_inference(manifest, predictor)
