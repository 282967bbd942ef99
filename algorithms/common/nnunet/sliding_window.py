"""nnU-Net's predictor, whose window slides within the calling thread."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.inference.sliding_window_prediction import compute_gaussian

Place = tuple[slice | int, ...]
"""Of a patch in (channel, z, y, x); a network of slices has its z as a number."""

_SIGMA_SCALE = 1 / 8
_WEIGHT_SCALE = 10
"""nnU-Net's: half precision holds the small weights at a patch's corners so."""


class SlidingWindowPredictor(nnUNetPredictor):  # type: ignore[misc]
    """
    The same numbers as nnU-Net's predictor, and its errors.

    nnU-Net cuts the patches in a thread of its own. When that runs out of memory, its caller waits for
    ever for the next patch; when the caller fails, the thread stays and keeps the case in memory.
    """

    @torch.inference_mode()
    def _internal_predict_sliding_window_return_logits(
        self, data: torch.Tensor, slicers: Sequence[Place], do_on_device: bool = True
    ) -> torch.Tensor:
        """
        Mean of the patches' logits, weighted by a Gaussian.

        Parameters
        ----------
        data
            (channel, z, y, x), no smaller than a patch.
        slicers
            Where each patch lies in `data`.
        do_on_device
            Whether sums are kept on the device too, not in the host's memory.

        Returns
        -------
        torch.Tensor
            (class, z, y, x) in half precision.

        Raises
        ------
        RuntimeError
            When a sum leaves the range of half precision, or memory is short.
        """
        results_device = self.device if do_on_device else torch.device("cpu")
        data = data.to(results_device)
        n_classes = self.label_manager.num_segmentation_heads
        logits = torch.zeros((n_classes, *data.shape[1:]), dtype=torch.half, device=results_device)
        weights = torch.zeros(data.shape[1:], dtype=torch.half, device=results_device)
        gaussian = compute_gaussian(
            tuple(self.configuration_manager.patch_size),
            sigma_scale=_SIGMA_SCALE,
            value_scaling_factor=_WEIGHT_SCALE,
            device=results_device,
        )
        for place in slicers:
            patch = data[place][None].contiguous().to(self.device)
            predicted = self._internal_maybe_mirror_and_predict(patch)[0].to(results_device)
            # in place: the product is rounded to the network's precision, as nnU-Net has it
            logits[place] += predicted.mul_(gaussian)
            weights[place[1:]] += gaussian
        logits /= weights
        if torch.isinf(logits).any():
            raise RuntimeError("the sum of a case's logits must stay within half precision, and is infinite")
        return logits
