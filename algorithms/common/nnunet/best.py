"""Which epoch is the best one, and its weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from algorithms.common.nnunet.weights import Arrays, network_arrays
from algorithms.common.validation import area_under_roc, average_precision

SMOOTHING = 0.9
"""Of an epoch's score with those before it, as nnU-Net does."""
LESION_NAMES = ("tumour", "tumor", "lesion", "cancer")
"""Names of the label of a lesion in a training channel, whichever it has."""


def lesion_values(labels: Mapping[str, int]) -> list[int]:
    """Values of the labels that are named as a lesion, ascending."""
    return sorted(labels[name] for name in LESION_NAMES if name in labels)


class BestEpoch:
    """
    The epoch of highest smoothed score, the earlier of equals.

    An epoch whose score is undefined (no foreground in any of its validation patches) neither counts
    nor becomes the best; until one is defined, the last epoch is kept.
    """

    def __init__(self) -> None:
        self.epoch = -1
        self.smoothed: float | None = None
        self.highest: float | None = None
        self.weights: Arrays = {}

    def add(self, epoch: int, score: float, network: torch.nn.Module) -> None:
        """Take the score of an epoch into account, and its weights when it is the best."""
        if not math.isfinite(score):
            if self.highest is None:
                self.epoch, self.weights = epoch, network_arrays(network)
            return
        self.smoothed = (
            score if self.smoothed is None else SMOOTHING * self.smoothed + (1 - SMOOTHING) * score
        )
        if self.highest is None or self.smoothed > self.highest:
            self.epoch, self.highest, self.weights = epoch, self.smoothed, network_arrays(network)

    def state(self) -> dict[str, Any]:
        """All but the weights."""
        return {"epoch": self.epoch, "smoothed": self.smoothed, "highest": self.highest}

    def restore(self, state: dict[str, Any], weights: Arrays) -> None:
        """Take up what `state` gave."""
        self.epoch, self.smoothed, self.highest = state["epoch"], state["smoothed"], state["highest"]
        self.weights = weights


class PatchDetections:
    """
    Validation patches of an epoch as detections: is there a lesion, and how sure is the network?

    A patch's score is its highest probability of a lesion. Whole scans would be the better judges and
    cost more than the training.

    Parameters
    ----------
    lesion
        Values of the labels that together are a lesion.
    """

    def __init__(self, lesion: Sequence[int]) -> None:
        self.lesion = list(lesion)
        self._output: torch.Tensor | None = None
        self._labels: list[int] = []
        self._scores: list[float] = []

    def remember(self, network: torch.nn.Module, inputs: Any, output: Any) -> None:
        """A forward hook: keep the output of a validation step until its target is known."""
        del inputs
        if not network.training:
            self._output = (output[0] if isinstance(output, list | tuple) else output).detach()

    def add(self, target: Any) -> None:
        """Judge the patches of the step whose output was kept."""
        if self._output is None:
            raise RuntimeError("no output was kept: the hook is not registered")
        labels = (target[0] if isinstance(target, list) else target)[:, 0]
        probability = torch.softmax(self._output.float(), dim=1)[:, self.lesion].sum(dim=1)
        is_lesion = torch.isin(labels, torch.tensor(self.lesion, dtype=labels.dtype, device=labels.device))
        self._labels += is_lesion.flatten(1).any(dim=1).int().tolist()
        self._scores += probability.flatten(1).amax(dim=1).cpu().tolist()
        self._output = None

    def score(self) -> float:
        """Mean of AUROC and average precision of the epoch, NaN when a class is missing; starts anew."""
        labels: npt.NDArray[np.int64] = np.array(self._labels, dtype=np.int64)
        scores = np.array(self._scores, dtype=np.float64)
        self._labels, self._scores = [], []
        return (area_under_roc(labels, scores) + average_precision(labels, scores)) / 2
