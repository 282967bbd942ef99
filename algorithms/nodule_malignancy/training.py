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
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from algorithms.common.arrays import ArrayFile
from algorithms.common.checkpoint import Checkpoint
from algorithms.common.interruption import Interrupted
from algorithms.common.log import log_event
from algorithms.common.validation import area_under_roc
from algorithms.nodule_malignancy.schemes import Epoch, Scheme, TrainingCases
from algorithms.nodule_malignancy.settings import TrainingSettings
from reseed.contracts.errors import UserError
from reseed.contracts.seeds import Seeds

CHECKPOINT_EVERY_S = 1.0
_AUTOCAST = {"float32": None, "bfloat16": torch.bfloat16}

Arrays = dict[str, npt.NDArray[Any]]


@dataclass
class _Position:
    """How far a training has come: what a checkpoint holds besides arrays and generators."""

    epoch: int = 0
    n_done_cases: int = 0
    loss_sum: float = 0.0
    curve: list[Epoch] = field(default_factory=list)


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
    network
        With its first weights.
    scheme
        How this kind of network is trained, on which cases.
    training, validation
        The two sides, of which the labels are needed here.
    device
        Where to compute.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        seeds: Seeds,
        *,
        network: nn.Module,
        scheme: Scheme,
        training: TrainingCases,
        validation: TrainingCases,
        device: str,
    ) -> None:
        self._settings = settings
        self._device = torch.device(device)
        self._scheme = scheme
        self._labels = training.labels
        self._validation_labels = validation.labels
        self.network = network.to(self._device)
        torch.manual_seed(seeds.dropout)
        self._order_rng = np.random.default_rng(seeds.order)
        self._augmentation_rng = np.random.default_rng(seeds.augmentation)
        self._optimiser = scheme.optimiser(self.network)
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
        return min(self._position.curve, key=self._scheme.badness, default=None)

    @property
    def best_rule(self) -> str:
        """How the weights that are kept were chosen."""
        return self._scheme.best_rule

    def run(self, checkpoint: Checkpoint, stop_requested: Callable[[], bool]) -> None:
        """
        Train to the last epoch, from a checkpoint when there is one.

        Raises
        ------
        Interrupted
            When a stop was requested: after the step at hand, with a checkpoint of it.
        UserError
            When the loss is no longer finite, or the memory of the GPU is not enough.
        """
        saved = checkpoint.load()
        if saved is not None:
            self._restore(saved)
            log_event("resumed", epoch=self._position.epoch, n_done_cases=self._position.n_done_cases)
        last_saved = time.monotonic()
        n_cases, position = len(self._labels), self._position
        while position.epoch < self._settings.epochs:
            if len(self._order) == 0:
                self._order = self._scheme.order(self._order_rng)
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
        inputs = self._scheme.batch(chosen, self._augmentation_rng)
        targets = torch.from_numpy(self._labels[chosen].astype(np.float32)).to(self._device)
        self.network.train()
        try:
            with self._autocast():
                logits = self.network(inputs)
            loss = binary_cross_entropy_with_logits(logits.float(), targets)
            loss.backward()  # type: ignore[no-untyped-call]
        except torch.OutOfMemoryError:
            raise UserError(f"the GPU's memory is not enough for batch_size {size}; lower it") from None
        self._optimiser.step(self._learning_rate())
        if not math.isfinite(loss.item()):
            raise UserError(
                f"the loss must stay finite, got {loss.item()} in epoch {position.epoch}; "
                f"lower learning_rate, which is {self._settings.learning_rate:g}"
            )
        position.loss_sum += loss.item() * len(chosen)
        position.n_done_cases += len(chosen)

    def _autocast(self) -> torch.autocast:
        dtype = autocast_type(self._settings, self._device.type)
        return torch.autocast(self._device.type, dtype or torch.bfloat16, enabled=dtype is not None)

    def _learning_rate(self) -> float:
        """Of the next step."""
        n_steps = math.ceil(len(self._labels) / self._settings.batch_size) * self._settings.epochs
        return self._scheme.learning_rate(self._optimiser.n_steps, n_steps)

    @torch.no_grad()
    def _end_epoch(self) -> None:
        position = self._position
        self.network.eval()
        batches = self._scheme.validation_batches()
        logits = np.concatenate([self.network(batch).double().cpu().numpy() for batch in batches])
        labels = self._validation_labels
        row = Epoch(
            epoch=position.epoch,
            learning_rate=self._learning_rate(),
            training_loss=position.loss_sum / len(self._labels),
            # log(1 + exp(logit)) − label × logit, without overflow
            validation_loss=float(np.mean(np.logaddexp(0, logits) - labels * logits)),
            validation_auc=area_under_roc(labels, logits),
        )
        position.curve.append(row)
        if self.best_epoch is row:
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


def autocast_type(settings: TrainingSettings, device: str) -> torch.dtype | None:
    """What autocast computes in; None for no autocast, and always None on a CPU."""
    return None if device == "cpu" else _AUTOCAST[settings.precision]


def network_arrays(network: nn.Module) -> Arrays:
    """Weights and running statistics by name, copied."""
    return {name: value.detach().cpu().numpy().copy() for name, value in network.state_dict().items()}


def load_network_arrays(network: nn.Module, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Put weights and running statistics into a network of the same shape."""
    network.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()})


def _part(arrays: Mapping[str, npt.NDArray[Any]], part: str) -> Arrays:
    prefix = f"{part}."
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
