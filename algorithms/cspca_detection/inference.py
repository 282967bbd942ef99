"""`inference`: one case as Grand Challenge hands it over, or a folder of such cases."""

from __future__ import annotations

from pathlib import Path

from algorithms.common.cases import Case
from algorithms.common.images import array_of, image_like
from algorithms.common.lesions import lesion_candidates, write_detections
from algorithms.common.nnunet.entry_points import Predictor, Settings, run_inference
from algorithms.common.nnunet.inference import member_preparation, run_ensemble
from algorithms.common.nnunet.segmentation import case_images, prepared_probabilities
from algorithms.common.prostate_mri import grid_of
from algorithms.cspca_detection.description import LESION, manifest
from reseed.contracts.manifest import AlgorithmManifest


def predictor(model: Path, described: AlgorithmManifest, settings: Settings, *, device: str) -> Predictor:
    """Finds the lesions of a case on the grid of T2."""
    ensemble = run_ensemble(model, settings, device=device)
    preparation = grid_of(member_preparation(model))

    def predict(case: Case) -> None:
        images = case_images(case, described.inputs)
        probabilities, prepared = prepared_probabilities(images, ensemble, preparation, case=case.name)
        softmax = image_like(probabilities.of_classes([LESION]), prepared)
        on_t2 = array_of(preparation.back(softmax, images[0]))
        write_detections(case, lesion_candidates(on_t2), images[0], described.outputs)

    return Predictor(predict, ensemble.n_members)


if __name__ == "__main__":
    run_inference(manifest, predictor)
