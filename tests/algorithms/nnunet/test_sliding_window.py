"""Our predictor against nnU-Net's own, with the same network."""

from __future__ import annotations

import shutil
import threading

import numpy as np
import pytest
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.inference.sliding_window_prediction import compute_gaussian

from algorithms.common.nnunet.inference import run_ensemble
from reseed.contracts.errors import UserError
from tests.algorithms.jobs import Job
from tests.algorithms.nnunet.pipelines import smoke_settings
from tests.algorithms.nnunet.test_seeds import trained_files

SHORT_OF_MEMORY = "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"


@pytest.fixture(scope="module", params=["hippocampus_segmentation", "prostate_segmentation"])
def ensemble(request, preprocessed, tmp_path_factory):
    """One trained member of a network of slices, and of one of volumes."""
    settings = smoke_settings(request.param, epochs="1", mirroring="true")
    job = Job(tmp_path_factory.mktemp("train"), request.param, "train", settings, members=1)
    trained_files(job.link("opt/ml/input/data/preprocessed", preprocessed(request.param)))
    folder = tmp_path_factory.mktemp("model")
    shutil.copytree(job.paths.model, folder / "member-0")
    return run_ensemble(folder, {"weights": "final", "tile_voxels": 10**9}, device="cpu")


def peer_of(ensemble):
    """nnU-Net's predictor as it is, with the network of ours."""
    ours = ensemble._predictor
    peer = nnUNetPredictor(
        tile_step_size=ours.tile_step_size, use_gaussian=True, use_mirroring=True,
        perform_everything_on_device=False, device=torch.device("cpu"), allow_tqdm=False,
    )  # fmt: skip
    peer.manual_initialization(
        ours.network, ours.plans_manager, ours.configuration_manager, None, ours.dataset_json,
        "ReseedTrainer", ours.allowed_mirroring_axes,
    )  # fmt: skip
    compute_gaussian.cache_clear()
    return peer


def case(*, seed):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(1, 21, 50, 44)).astype(np.float32))


def test_equal_to_nnunet(ensemble):
    """
    The same bits, of a case of many patches with mirroring.
    """
    data = case(seed=0)

    ours = ensemble._predictor.predict_sliding_window_return_logits(data)
    theirs = peer_of(ensemble).predict_sliding_window_return_logits(data)

    assert ensemble._predictor.allowed_mirroring_axes
    assert ours.dtype == theirs.dtype == torch.half
    assert torch.equal(ours, theirs)
    assert float(ours.float().std()) > 0


def test_memory_short_in_a_patch(ensemble):
    """
    The error arrives, and no thread stays with the case in its hands.
    """

    def fail(*_):
        raise RuntimeError(SHORT_OF_MEMORY)

    hook = ensemble._predictor.network.register_forward_hook(fail)
    before = threading.enumerate()
    try:
        with pytest.raises(UserError, match="out of memory: lower tile_voxels"):
            ensemble.probabilities(case(seed=1).numpy(), (1.0, 1.0, 1.0))
    finally:
        hook.remove()

    assert threading.enumerate() == before
