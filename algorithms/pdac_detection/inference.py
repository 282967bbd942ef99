"""`inference`: one case as Grand Challenge hands it over, or a folder of such cases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage

from algorithms.common.cases import Case
from algorithms.common.images import array_of, image_like, paste
from algorithms.common.lesions import lesion_candidates, write_detections
from algorithms.common.nnunet.entry_points import Predictor, Settings, run_inference
from algorithms.common.pancreas import PancreasModel
from algorithms.pdac_detection.description import manifest
from reseed.contracts.manifest import AlgorithmManifest

GROWN = (5, 5, 5)
"""Voxels by which the pancreas is dilated; no tumour is looked for farther away."""


def predictor(model: Path, described: AlgorithmManifest, settings: Settings, *, device: str) -> Predictor:
    """Finds the tumours of a scan, on its grid."""
    pancreas_model = PancreasModel.read(model, settings, device=device)

    def predict(case: Case) -> None:
        detect(case, pancreas_model, described)

    return Predictor(predict, pancreas_model.region.n_members)


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
    run_inference(manifest, predictor)
