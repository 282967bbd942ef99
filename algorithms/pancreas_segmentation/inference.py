"""`inference`: one case as Grand Challenge hands it over, or a folder of such cases."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from algorithms.common.cases import Case
from algorithms.common.images import image_like, paste, write_image
from algorithms.common.nnunet.entry_points import Predictor, Settings, run_inference
from algorithms.common.pancreas import PancreasModel
from algorithms.pancreas_segmentation.description import manifest
from reseed.contracts.manifest import AlgorithmManifest


def predictor(model: Path, described: AlgorithmManifest, settings: Settings, *, device: str) -> Predictor:
    """Segments the pancreas of a scan, on its grid."""
    pancreas_model = PancreasModel.read(model, settings, device=device)

    def predict(case: Case) -> None:
        scan, region, probabilities = pancreas_model.looked_at(case, described.inputs[0])
        pancreas = np.isin(probabilities.labels(), pancreas_model.gland_labels()).astype(np.uint8)
        write_image(paste(image_like(pancreas, region), scan), case.image_output(described.outputs[0]))

    return Predictor(predict, pancreas_model.region.n_members)


if __name__ == "__main__":
    run_inference(manifest, predictor)
