"""Mean class probabilities of an ensemble, one member in memory at a time, in slabs when a case is large."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from nnunetv2.inference.sliding_window_prediction import compute_gaussian
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from algorithms.common.nnunet.memory import clear_memory_errors
from algorithms.common.nnunet.network_grid import NetworkGrid
from algorithms.common.nnunet.precision import mixed_precision
from algorithms.common.nnunet.sliding_window import SlidingWindowPredictor
from algorithms.common.nnunet.stored import StoredNetwork
from algorithms.common.nnunet.trainer import ReseedTrainer
from algorithms.common.nnunet.weights import load_arrays
from reseed.contracts.errors import UserError

TILE_STEP = 0.5
"""Of nnU-Net's sliding window, in patches."""


_IMAGE_ADVICE = "a result has as many voxels as its image; give the job more memory"


@dataclass(frozen=True, eq=False)
class Probabilities:
    """
    Class probabilities of a case at the network's own resolution.

    Attributes
    ----------
    foreground
        (class from 1 on, *network grid); the background's is what they lack of 1.
    grid
        How that grid lies in the image.
    """

    foreground: npt.NDArray[np.float32]
    grid: NetworkGrid

    def labels(self) -> npt.NDArray[np.uint8]:
        """The most likely class of every voxel of the image, in (z, y, x) order."""

        def most_likely(block: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
            label = block.argmax(axis=0)
            highest = np.take_along_axis(block, label[None], axis=0)[0]
            return np.where(highest > 1 - block.sum(axis=0), label + 1, 0).astype(np.uint8)

        with clear_memory_errors(_IMAGE_ADVICE):
            return self.grid.on_image(self.foreground, most_likely, np.dtype(np.uint8))

    def of_classes(self, classes: Sequence[int]) -> npt.NDArray[np.float32]:
        """Summed probability of some foreground classes in every voxel of the image, (z, y, x)."""
        with clear_memory_errors(_IMAGE_ADVICE):
            chosen = self.foreground[[value - 1 for value in classes]].sum(axis=0, keepdims=True)
            return self.grid.on_image(chosen, lambda block: block[0], np.dtype(np.float32))


class Ensemble:
    """
    Networks of one plan, of which one at a time is in memory.

    Parameters
    ----------
    members
        As `train` left them; their plans must be the same.
    weights
        best or final.
    device
        Where to compute.
    tile_voxels
        A larger case is predicted in slabs of about so many voxels of the network's grid.
    """

    def __init__(
        self, members: Sequence[StoredNetwork], *, weights: str, device: str, tile_voxels: int
    ) -> None:
        self._members = tuple(members)
        self._weights = weights
        self._tile_voxels = tile_voxels
        self._device = torch.device(device)
        first = members[0]
        if any(member.plans != first.plans for member in members):
            raise UserError("the members of a run must share their plans, and do not")
        self.plans = PlansManager(first.plans)
        self.configuration = self.plans.get_configuration(first.configuration)
        self.dataset_json = first.dataset_json
        self.label_manager = self.plans.get_label_manager(self.dataset_json)
        self.n_channels = len(self.dataset_json["channel_names"])
        self._predictor = self._made_predictor(first)
        self._loaded: int | None = None

    @property
    def n_members(self) -> int:
        """Networks whose softmax is averaged."""
        return len(self._members)

    @property
    def labels(self) -> dict[str, int]:
        """Value by name of structure, background included."""
        return {str(name): int(value) for name, value in self.dataset_json["labels"].items()}

    def probabilities(
        self, channels: npt.NDArray[np.float32], spacing_zyx_mm: tuple[float, float, float]
    ) -> Probabilities:
        """
        The mean of the members' softmax.

        Parameters
        ----------
        channels
            (channel, z, y, x).
        spacing_zyx_mm
            Of the image.

        Raises
        ------
        UserError
            When the number of channels is not what the networks were trained on, or memory is short.
        """
        if len(channels) != self.n_channels:
            raise UserError(f"the model takes {self.n_channels} images a case, got {len(channels)}")
        with clear_memory_errors(f"lower tile_voxels, which is {self._tile_voxels}"):
            preprocessor = self.configuration.preprocessor_class(verbose=False)
            data, _, properties = preprocessor.run_case_npy(
                channels, None, {"spacing": list(spacing_zyx_mm)}, self.plans, self.configuration,
                self.dataset_json,
            )  # fmt: skip
            grid = NetworkGrid.of(properties, data.shape[1:], self.plans.transpose_forward)
            foreground = np.empty((self._n_classes - 1, *data.shape[1:]), dtype=np.float32)
            for slab in self._slabs(data.shape[1:]):
                mean = self._mean(torch.from_numpy(data[:, slab.seen]))
                foreground[:, slab.kept] = mean[1:, slab.inside]
        return Probabilities(foreground, grid)

    @property
    def _n_classes(self) -> int:
        return int(self.label_manager.num_segmentation_heads)

    def _mean(self, data: torch.Tensor) -> npt.NDArray[np.float32]:
        total: torch.Tensor | None = None
        for index in range(len(self._members)):
            self._load(index)
            with mixed_precision(self._members[index].precision):
                logits = self._predictor.predict_sliding_window_return_logits(data)
            probability = self.label_manager.apply_inference_nonlin(logits.float().cpu())
            del logits
            total = probability if total is None else total.add_(probability)
        if total is None:
            raise UserError("a run must have at least one member, got none")
        return total.div_(len(self._members)).numpy()

    def _load(self, index: int) -> None:
        if self._loaded != index:
            load_arrays(self._predictor.network, self._members[index].arrays(self._weights))
            self._loaded = index

    def _made_predictor(self, first: StoredNetwork) -> Any:
        network = ReseedTrainer.build_network_architecture(
            self.plans,
            self.configuration,
            determine_num_input_channels(self.plans, self.configuration, self.dataset_json),
            self._n_classes,
            enable_deep_supervision=False,
        )
        benchmark = torch.backends.cudnn.benchmark
        # it prints what it does not do on a CPU, and stdout is a log of JSON lines
        with contextlib.redirect_stdout(io.StringIO()):
            predictor = SlidingWindowPredictor(
                tile_step_size=TILE_STEP, use_gaussian=True, use_mirroring=first.mirror_axes is not None,
                perform_everything_on_device=self._device.type == "cuda", device=self._device,
                allow_tqdm=False,
            )  # fmt: skip
        # the predictor has switched it on, which may choose another algorithm each time
        torch.backends.cudnn.benchmark = benchmark
        predictor.manual_initialization(
            network,
            self.plans,
            self.configuration,
            None,
            self.dataset_json,
            "ReseedTrainer",
            first.mirror_axes,
        )
        compute_gaussian.cache_clear()
        return predictor

    def _slabs(self, shape: Sequence[int]) -> Iterator[_Slab]:
        """The whole when it is small enough, else slabs with half a patch of surroundings."""
        patch = self.configuration.patch_size
        n_rows, plane = int(shape[0]), int(np.prod(shape[1:]))
        margin = 0 if len(patch) == 2 else math.ceil(patch[0] / 2)
        n_kept = n_rows if n_rows * plane <= self._tile_voxels else self._tile_voxels // plane - 2 * margin
        # never thinner than what its surroundings cost
        n_kept = max(n_kept, 2 * margin, 1)
        for start in range(0, n_rows, n_kept):
            yield _Slab.of(start, min(start + n_kept, n_rows), margin, n_rows)


@dataclass(frozen=True)
class _Slab:
    """Rows that are predicted, and those of them that count."""

    seen: slice
    kept: slice
    inside: slice

    @classmethod
    def of(cls, start: int, stop: int, margin: int, n_rows: int) -> _Slab:
        low, high = max(0, start - margin), min(n_rows, stop + margin)
        return cls(slice(low, high), slice(start, stop), slice(start - low, stop - low))
