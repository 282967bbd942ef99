"""One training, from its first weight to its last epoch, interrupted or not."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from algorithms.common.adamw import AdamW
from algorithms.common.arrays import ArrayFile
from algorithms.common.checkpoint import Checkpoint
from algorithms.common.interruption import Interrupted
from algorithms.common.log import log_event
from algorithms.common.validation import area_under_roc
from algorithms.nodule_malignancy.augmentation import augmented, padded
from algorithms.nodule_malignancy.network import NoduleNetwork
from reseed.contracts.errors import UserError
from reseed.contracts.manifest import SettingValue
from reseed.contracts.seeds import Seeds

WARM_UP = 0.1
"""Part of all steps over which the learning rate rises."""

CHECKPOINT_EVERY_S = 1.0
_VALIDATION_BATCH = 256

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class TrainingSettings:
    """The manifest's settings for `train`, as typed attributes."""

    dimension: int
    channels: int
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    dropout: float
    augmentation: float

    @classmethod
    def of(cls, settings: Mapping[str, SettingValue]) -> TrainingSettings:
        """From resolved settings, which the manifest has already checked."""
        return cls(**settings)  # type: ignore[arg-type]

    def network(self) -> NoduleNetwork:
        """A network with weights drawn from torch's generator."""
        return NoduleNetwork(dimension=self.dimension, channels=self.channels, dropout=self.dropout)


@dataclass(frozen=True, eq=False)
class TrainingCases:
    """Patches and labels of one side of a split."""

    patches: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Epoch:
    """One row of the training curve."""

    epoch: int
    learning_rate: float
    training_loss: float
    validation_loss: float
    validation_auc: float


@dataclass
class _Position:
    """How far a training has come: what a checkpoint holds besides arrays and generators."""

    epoch: int = 0
    n_done_cases: int = 0
    loss_sum: float = 0.0
    curve: list[Epoch] = field(default_factory=list)

    @property
    def best(self) -> Epoch | None:
        """The epoch of lowest validation loss, the earlier of equals."""
        return min(self.curve, key=lambda row: (row.validation_loss, row.epoch), default=None)


class Training:
    """
    The training of one ensemble member.

    Every random choice comes from the generator of its own seed stream: `weights` is used up when
    the first weights are drawn, `order` and `augmentation` are numpy generators, and torch's own
    generator serves dropout alone. All of them are part of a checkpoint, so that a training that
    was interrupted anywhere ends with the same bits as one that was not.

    Parameters
    ----------
    settings
        Resolved settings.
    seeds
        By stream; `split` has already decided which cases are where.
    training, validation
        The two sides.
    device
        Where to compute.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        seeds: Seeds,
        *,
        training: TrainingCases,
        validation: TrainingCases,
        device: str,
    ) -> None:
        self._settings = settings
        self._device = torch.device(device)
        self._padded = padded(training.patches, dimension=settings.dimension)
        self._labels = training.labels
        self._validation = validation
        # drawn on the CPU whatever the device, so that a seed means the same weights everywhere
        torch.manual_seed(seeds.weights)
        self.network = settings.network().to(self._device)
        torch.manual_seed(seeds.dropout)
        self._order_rng = np.random.default_rng(seeds.order)
        self._augmentation_rng = np.random.default_rng(seeds.augmentation)
        self._optimiser = AdamW(dict(self.network.named_parameters()), weight_decay=settings.weight_decay)
        self._position = _Position()
        self._order = np.zeros(0, dtype=np.int64)  # empty until an epoch has drawn its own
        self.best_weights = network_arrays(self.network)

    @property
    def curve(self) -> list[Epoch]:
        """The epochs so far."""
        return list(self._position.curve)

    @property
    def best_epoch(self) -> Epoch | None:
        """The epoch whose weights `best_weights` holds; None before the first has ended."""
        return self._position.best

    def run(self, checkpoint: Checkpoint, stop_requested: Callable[[], bool]) -> None:
        """
        Train to the last epoch, from a checkpoint when there is one.

        Raises
        ------
        Interrupted
            When a stop was requested: after the step at hand, with a checkpoint of it.
        """
        saved = checkpoint.load()
        if saved is not None:
            self._restore(saved)
            log_event("resumed", epoch=self._position.epoch, n_done_cases=self._position.n_done_cases)
        last_saved = time.monotonic()
        n_cases, position = len(self._labels), self._position
        while position.epoch < self._settings.epochs:
            if len(self._order) == 0:
                self._order = self._order_rng.permutation(n_cases)
            while position.n_done_cases < n_cases:
                if stop_requested():
                    checkpoint.save(self._content())
                    raise Interrupted(f"checkpoint in epoch {position.epoch} of {self._settings.epochs}")
                self._step()
            self._end_epoch()
            if time.monotonic() - last_saved > CHECKPOINT_EVERY_S:
                checkpoint.save(self._content())
                last_saved = time.monotonic()

    def _step(self) -> None:
        position, size = self._position, self._settings.batch_size
        chosen = self._order[position.n_done_cases : position.n_done_cases + size]
        patches = augmented(
            self._padded[chosen],
            dimension=self._settings.dimension,
            strength=self._settings.augmentation,
            rng=self._augmentation_rng,
        )
        targets = torch.from_numpy(self._labels[chosen].astype(np.float32)).to(self._device)
        self.network.train()
        loss = binary_cross_entropy_with_logits(
            self.network(torch.from_numpy(patches).to(self._device)), targets
        )
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step(self._learning_rate())
        if not math.isfinite(loss.item()):
            raise UserError(
                f"the loss must stay finite, got {loss.item()} in epoch {position.epoch}; "
                f"lower learning_rate, which is {self._settings.learning_rate:g}"
            )
        position.loss_sum += loss.item() * len(chosen)
        position.n_done_cases += len(chosen)

    def _learning_rate(self) -> float:
        """Of the next step: a linear rise over the first tenth, then half a cosine down to zero."""
        n_steps = math.ceil(len(self._labels) / self._settings.batch_size) * self._settings.epochs
        done = self._optimiser.n_steps / n_steps
        rise = min(1.0, (self._optimiser.n_steps + 1) / (WARM_UP * n_steps))
        return self._settings.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * done))

    def _end_epoch(self) -> None:
        position = self._position
        logits = network_logits(self.network, self._validation.patches, self._device)
        labels = self._validation.labels
        row = Epoch(
            epoch=position.epoch,
            learning_rate=self._learning_rate(),
            training_loss=position.loss_sum / len(self._labels),
            # log(1 + exp(logit)) − label × logit, without overflow
            validation_loss=float(np.mean(np.logaddexp(0, logits) - labels * logits)),
            validation_auc=area_under_roc(labels, logits),
        )
        position.curve.append(row)
        if position.best is row:
            self.best_weights = network_arrays(self.network)
        log_event("epoch", **asdict(row))
        position.epoch, position.n_done_cases, position.loss_sum = position.epoch + 1, 0, 0.0
        self._order = self._order[:0]

    def _content(self) -> ArrayFile:
        arrays: Arrays = {"order": self._order, "torch": torch.get_rng_state().numpy()}
        if self._device.type == "cuda":
            arrays["cuda"] = torch.cuda.get_rng_state().numpy()
        parts = {"network": network_arrays(self.network), "best": self.best_weights}
        parts["optimiser"] = {name: value.cpu().numpy() for name, value in self._optimiser.state().items()}
        for part, named in parts.items():
            arrays |= {f"{part}.{name}": array for name, array in named.items()}
        document = {
            "position": asdict(self._position),
            "n_steps": self._optimiser.n_steps,
            # as text: the state's integers are longer than other JSON readers hold
            "order_rng": json.dumps(self._order_rng.bit_generator.state),
            "augmentation_rng": json.dumps(self._augmentation_rng.bit_generator.state),
        }
        return ArrayFile(arrays, document)

    def _restore(self, saved: ArrayFile) -> None:
        position = dict(saved.document["position"])
        position["curve"] = [Epoch(**row) for row in position["curve"]]
        self._position = _Position(**position)
        self._order = saved.arrays["order"]
        self._order_rng.bit_generator.state = json.loads(saved.document["order_rng"])
        self._augmentation_rng.bit_generator.state = json.loads(saved.document["augmentation_rng"])
        load_network_arrays(self.network, _part(saved.arrays, "network"))
        self.best_weights = _part(saved.arrays, "best")
        moments = {name: torch.from_numpy(value) for name, value in _part(saved.arrays, "optimiser").items()}
        self._optimiser.restore(moments, int(saved.document["n_steps"]))
        torch.set_rng_state(torch.from_numpy(saved.arrays["torch"]))
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(torch.from_numpy(saved.arrays["cuda"]))


def network_arrays(network: NoduleNetwork) -> Arrays:
    """Weights and running statistics by name, copied."""
    return {name: value.detach().cpu().numpy().copy() for name, value in network.state_dict().items()}


def load_network_arrays(network: NoduleNetwork, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Put weights and running statistics into a network of the same shape."""
    network.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()})


@torch.no_grad()
def network_logits(
    network: NoduleNetwork, patches: npt.NDArray[np.float32], device: torch.device
) -> npt.NDArray[np.float64]:
    """Logits of patches, with the running statistics and without dropout."""
    network.eval()
    starts = range(0, len(patches), _VALIDATION_BATCH)
    batches = (torch.from_numpy(patches[start : start + _VALIDATION_BATCH]) for start in starts)
    return np.concatenate([network(batch.to(device)).double().cpu().numpy() for batch in batches])


def _part(arrays: Mapping[str, npt.NDArray[Any]], part: str) -> Arrays:
    prefix = f"{part}."
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
