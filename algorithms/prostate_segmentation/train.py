"""`train`: one member of the ensemble of one run."""

from __future__ import annotations

from algorithms.common.nnunet.entry_points import run_train
from algorithms.common.nnunet.segmentation import networks_of
from algorithms.prostate_segmentation.description import manifest

if __name__ == "__main__":
    run_train(manifest, networks_of)
