"""What differs between training on outlines and on CT: network, batches, order, steps, the weights kept."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from algorithms.common.adamw import Adam, AdamW
from algorithms.nodule_malignancy.augmentation import augmented, padded
from algorithms.nodule_malignancy.scans import Cube
from algorithms.nodule_malignancy.settings import OUTLINES, PLANES, TrainingSettings, new_network
from algorithms.nodule_malignancy.views import drawn_motions, plane_points, sampled, volume_points

WARM_UP = 0.1
"""Part of all steps over which the learning rate rises, on outlines."""

_VALIDATION_BATCH = {OUTLINES: 256}
_VALIDATION_BATCH_CT = 16

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TrainingCases:
    """
    One side of a split.

    Parameters
    ----------
    patches
        As preprocessed; of CT a file mapped into memory, of which only what is used is read.
    labels
        0 or 1, one for each of the rows.
    rows
        Which of the patches are meant.
    """

    patches: npt.NDArray[np.float32] | Cube
    labels: Labels
    rows: npt.NDArray[np.int64]

    @classmethod
    def chosen(
        cls, patches: npt.NDArray[np.float32] | Cube, labels: Labels, chosen: npt.NDArray[np.bool_]
    ) -> TrainingCases:
        """The cases of a mask over all."""
        return cls(patches, labels[chosen], np.flatnonzero(chosen))


@dataclass(frozen=True)
class Epoch:
    """One row of the training curve."""

    epoch: int
    learning_rate: float
    training_loss: float
    validation_loss: float
    validation_auc: float


class Scheme(Protocol):
    """How one kind of network is trained."""

    architecture: str
    best_rule: str

    def optimiser(self, network: nn.Module) -> AdamW:
        """With its moments at 0."""

    def learning_rate(self, n_done: int, n_steps: int) -> float:
        """Of the step after `n_done` of `n_steps`."""

    def order(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Positions of the training cases in the order of an epoch, as many as there are cases."""

    def batch(self, positions: npt.NDArray[np.int64], rng: np.random.Generator) -> torch.Tensor:
        """What the network sees of training cases, augmented."""

    def validation_batches(self) -> Iterator[torch.Tensor]:
        """What the network sees of the validation cases, in their order."""

    def badness(self, row: Epoch) -> tuple[float, ...]:
        """The epoch of least badness has the weights that are kept, the earlier of equals."""


class OutlineScheme:
    """Of the small networks on outlines: AdamW, warm-up and cosine, lowest validation loss."""

    architecture = OUTLINES
    best_rule = "lowest validation loss, the earlier of equals"

    def __init__(
        self,
        settings: TrainingSettings,
        training: TrainingCases,
        validation: TrainingCases,
        device: torch.device,
    ) -> None:
        self._settings = settings
        self._device = device
        self._padded = padded(training.patches[training.rows], dimension=settings.dimension)  # type: ignore[arg-type]
        self._validation = validation.patches[validation.rows]

    def optimiser(self, network: nn.Module) -> AdamW:
        """AdamW over all parameters."""
        return AdamW(dict(network.named_parameters()), weight_decay=self._settings.weight_decay)

    def learning_rate(self, n_done: int, n_steps: int) -> float:
        """A linear rise over the first tenth, then half a cosine down to zero."""
        rise = min(1.0, (n_done + 1) / (WARM_UP * n_steps))
        return self._settings.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * (n_done / n_steps)))

    def order(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Every case once."""
        return rng.permutation(len(self._padded))

    def batch(self, positions: npt.NDArray[np.int64], rng: np.random.Generator) -> torch.Tensor:
        """Turned, mirrored and shifted by whole voxels."""
        patches = augmented(
            self._padded[positions],
            dimension=self._settings.dimension,
            strength=self._settings.augmentation,
            rng=rng,
        )
        return torch.from_numpy(patches).to(self._device)

    def validation_batches(self) -> Iterator[torch.Tensor]:
        """As preprocessed."""
        size = _VALIDATION_BATCH[OUTLINES]
        for start in range(0, len(self._validation), size):
            yield torch.from_numpy(self._validation[start : start + size]).to(self._device)

    def badness(self, row: Epoch) -> tuple[float, ...]:
        """The validation loss."""
        return (row.validation_loss, row.epoch)


class CtScheme:
    """Of the paper's networks on CT: Adam at one rate, balanced classes, highest validation AUC."""

    best_rule = "highest validation AUC, the earlier of equals"

    def __init__(
        self,
        settings: TrainingSettings,
        training: TrainingCases,
        validation: TrainingCases,
        device: torch.device,
        *,
        architecture: str,
    ) -> None:
        self.architecture = architecture
        self._settings = settings
        self._training = training
        self._validation = validation
        self._device = device
        self._points = view_points(architecture, settings.patch_voxels)

    def optimiser(self, network: nn.Module) -> AdamW:
        """Adam over all parameters, weight decay as a penalty on the loss."""
        return Adam(dict(network.named_parameters()), weight_decay=self._settings.weight_decay)

    def learning_rate(self, n_done: int, n_steps: int) -> float:  # noqa: ARG002 (one rate throughout)
        """Always the same."""
        return self._settings.learning_rate

    def order(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Drawn with replacement, either class with a chance of one half at each draw."""
        labels = self._training.labels
        chance = 0.5 / np.bincount(labels, minlength=2)[labels]
        return rng.choice(len(labels), size=len(labels), p=chance / chance.sum())

    def batch(self, positions: npt.NDArray[np.int64], rng: np.random.Generator) -> torch.Tensor:
        """Turned and shifted in three dimensions, then cut into planes or taken whole."""
        motions = drawn_motions(
            len(positions),
            strength=self._settings.augmentation,
            patch_voxels=self._settings.patch_voxels,
            rng=rng,
        )
        cubes = self._training.patches[self._training.rows[positions]]
        return sampled(cubes, self._points, motions, self._device)  # type: ignore[arg-type]

    def validation_batches(self) -> Iterator[torch.Tensor]:
        """Neither turned nor shifted."""
        for start in range(0, len(self._validation.rows), _VALIDATION_BATCH_CT):
            rows = self._validation.rows[start : start + _VALIDATION_BATCH_CT]
            yield sampled(self._validation.patches[rows], self._points, None, self._device)  # type: ignore[arg-type]

    def badness(self, row: Epoch) -> tuple[float, ...]:
        """The validation AUC, the other way round."""
        return (-row.validation_auc, row.epoch)


def scheme_of(
    settings: TrainingSettings,
    architecture: str,
    training: TrainingCases,
    validation: TrainingCases,
    *,
    device: str,
) -> Scheme:
    """How a network of that architecture is trained on these cases."""
    place = torch.device(device)
    if architecture == OUTLINES:
        return OutlineScheme(settings, training, validation, place)
    return CtScheme(settings, training, validation, place, architecture=architecture)


def view_points(architecture: str, patch_voxels: int) -> npt.NDArray[np.float64]:
    """Where a CT network looks, around the centre of a nodule."""
    return plane_points(patch_voxels) if architecture == PLANES else volume_points(patch_voxels)


def drawn_network(settings: TrainingSettings, architecture: str, *, seed: int) -> nn.Module:
    """A network with the weights of a seed; drawn on the CPU, so that it means the same everywhere."""
    torch.manual_seed(seed)
    return new_network(settings, architecture)
