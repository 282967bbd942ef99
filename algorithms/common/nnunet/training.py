"""One network's training, from its first weight to its last epoch, interrupted or not."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

from algorithms.common.arrays import ArrayFile
from algorithms.common.checkpoint import Checkpoint
from algorithms.common.initial_weights import InitialWeights
from algorithms.common.interruption import Interrupted
from algorithms.common.log import log_event
from algorithms.common.member import Member
from algorithms.common.nnunet.environment import EXTERNAL_TRAINERS
from algorithms.common.nnunet.memory import clear_memory_errors
from algorithms.common.nnunet.planning import PLANS
from algorithms.common.nnunet.resolved import resolved_training
from algorithms.common.nnunet.settings import TrainSettings
from algorithms.common.nnunet.weights import (
    Arrays,
    load_arrays,
    network_arrays,
    start_from,
)
from reseed.contracts.seeds import Seeds
from reseed.contracts.training_report import ResolvedTraining

TRAINER = "ReseedTrainer"
CHECKPOINT_EVERY_S = 1.0
CHECKPOINT_PART = 20
"""Writing checkpoints takes at most about one part in so many of the time."""

_LOGGED = {"lrs": "learning_rate", "train_losses": "training_loss", "val_losses": "validation_loss",
           "mean_fg_dice": "patch_dice", "ema_fg_dice": "smoothed_patch_dice"}  # fmt: skip


@dataclass(frozen=True)
class NetworkTask:
    """
    What one network is to be trained on.

    Attributes
    ----------
    dataset
        nnU-Net's name of the preprocessed dataset, below the folder in its environment.
    preprocessed
        That folder.
    training, validation
        Names of cases.
    initial
        A file of weights to start from.
    """

    dataset: str
    preprocessed: Path
    training: tuple[str, ...]
    validation: tuple[str, ...]
    initial: Path | None = None

    def plans(self) -> dict[str, Any]:
        """plans.json as `preprocess` made it."""
        return _json(self.preprocessed / self.dataset / f"{PLANS}.json")

    def dataset_json(self) -> dict[str, Any]:
        """dataset.json as `preprocess` made it."""
        return _json(self.preprocessed / self.dataset / "dataset.json")


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """Everything that inference needs of a trained network, and what a stranger wants to know."""

    plans: dict[str, Any]
    dataset_json: dict[str, Any]
    configuration: str
    mirror_axes: tuple[int, ...] | None
    precision: str
    weights: Mapping[str, Arrays]
    best_epoch: int
    curve: list[dict[str, float | int | None]]
    resolved: ResolvedTraining
    initial: InitialWeights | None = None


@dataclass
class _Saving:
    """Checkpoints of a training: when the last one was written, and how long that took."""

    checkpoint: Checkpoint
    trainer: Any
    last: float = field(default_factory=time.monotonic)
    took: float = 0.0

    def save(self) -> None:
        started = time.monotonic()
        self.checkpoint.save(_content(self.trainer))
        self.last, self.took = time.monotonic(), time.monotonic() - started

    def is_due(self) -> bool:
        return time.monotonic() - self.last > max(CHECKPOINT_EVERY_S, CHECKPOINT_PART * self.took)


def trained_network(
    task: NetworkTask,
    settings: TrainSettings,
    seeds: Seeds,
    *,
    member: Member,
    device: str,
    n_workers: int,
    checkpoint: Checkpoint,
    stop_requested: Callable[[], bool],
) -> TrainedNetwork:
    """
    Train a network to the last epoch, from a checkpoint when there is one.

    Must run inside `nnunet_environment`.

    Raises
    ------
    Interrupted
        When a stop was requested, with a checkpoint of the iteration at hand.
    UserError
        When the memory does not suffice, the loss is no longer finite, a checkpoint was left by
        another training, or the initial weights do not fit.
    """
    plans = planned_network(task.plans(), settings)
    (configuration,) = plans["configurations"]
    trainer = _new_trainer(plans, configuration, task.dataset_json(), device)
    saving = _Saving(checkpoint, trainer)

    def after_epoch() -> None:
        log_event("epoch", **curve_rows(trainer)[-1])
        if saving.is_due():
            saving.save()

    trainer.prepare(
        settings,
        seeds,
        split=(list(task.training), list(task.validation)),
        n_workers=n_workers,
        stop_requested=stop_requested,
        after_epoch=after_epoch,
    )
    with clear_memory_errors(_advice(trainer)):
        trainer.initialize()
        initial = None if task.initial is None else start_from(trainer.network, task.initial)
        saved = checkpoint.load()
        if saved is not None:
            _restore(trainer, saved)
            log_event("resumed", epoch=trainer.current_epoch, iteration=trainer.iteration)
        _run(trainer, saving)
    # a training that has ended, and whose next step is killed, need not be done again
    saving.save()
    return TrainedNetwork(
        plans=plans,
        dataset_json=task.dataset_json(),
        configuration=configuration,
        mirror_axes=_mirror_axes(trainer),
        precision=settings.precision,
        weights={"best": trainer.best.weights, "final": network_arrays(trainer.network)},
        best_epoch=trainer.best.epoch,
        curve=curve_rows(trainer),
        resolved=resolved_training(trainer, settings, member),
        initial=initial,
    )


def _run(trainer: Any, saving: _Saving) -> None:
    """Train to the last epoch, or to a checkpoint where a stop was requested; leaves no worker behind."""
    try:
        trainer.run_training()
    except Interrupted:
        saving.save()
        raise
    finally:
        # after the checkpoint: who asks for a stop may not wait for long
        trainer.stop_workers()


def _new_trainer(plans: dict[str, Any], configuration: str, dataset_json: dict[str, Any], device: str) -> Any:
    """nnU-Net's trainer with our seeds, found where nnU-Net looks for trainers of others."""
    found = recursive_find_python_class(
        str(EXTERNAL_TRAINERS), TRAINER, None, base_folder=str(EXTERNAL_TRAINERS)
    )
    # nnU-Net takes the key out again
    return found({**plans, "continue_training": False}, configuration, 0, dataset_json, torch.device(device))


def planned_network(plans: dict[str, Any], settings: TrainSettings) -> dict[str, Any]:
    """Plans with the dropout of the settings: they are where nnU-Net reads a network's layers from."""
    (configuration,) = plans["configurations"].values()
    if settings.dropout > 0:
        layers = configuration["architecture"]["arch_kwargs"]
        dimension = len(configuration["patch_size"])
        layers["dropout_op"] = f"torch.nn.modules.dropout.Dropout{dimension}d"
        layers["dropout_op_kwargs"] = {"p": settings.dropout}
    return plans


def curve_rows(trainer: Any) -> list[dict[str, float | int | None]]:
    """One row for each epoch that has ended; None where a number is undefined."""
    logged = trainer.logger.get_checkpoint()
    n_epochs = len(logged["epoch_end_timestamps"])
    return [
        {"epoch": epoch} | {name: _number(logged[key][epoch]) for key, name in _LOGGED.items()}
        for epoch in range(n_epochs)
    ]


def _content(trainer: Any) -> ArrayFile:
    """The whole state of a training between two iterations; its draws follow from its place."""
    momentum = trainer.optimizer.state_dict()["state"]
    parts: dict[str, Arrays] = {
        "network": network_arrays(trainer.network),
        "best": trainer.best.weights,
        "momentum": {
            str(index): values["momentum_buffer"].cpu().numpy()
            for index, values in momentum.items()
            if values.get("momentum_buffer") is not None
        },
    }
    arrays = {f"{part}.{name}": array for part, named in parts.items() for name, array in named.items()}
    document = {
        "epoch": trainer.current_epoch,
        "iteration": trainer.iteration,
        "losses": trainer.losses,
        "best": trainer.best.state(),
        "logged": {key: _plain(values) for key, values in trainer.logger.get_checkpoint().items()},
        "scaler": None if trainer.grad_scaler is None else trainer.grad_scaler.state_dict(),
    }
    return ArrayFile(arrays, document)


def _restore(trainer: Any, saved: ArrayFile) -> None:
    document = saved.document
    load_arrays(trainer.network, _part(saved.arrays, "network"))
    trainer.best.restore(document["best"], _part(saved.arrays, "best"))
    momentum = {
        int(index): {"momentum_buffer": torch.from_numpy(value)}
        for index, value in _part(saved.arrays, "momentum").items()
    }
    groups = trainer.optimizer.state_dict()["param_groups"]
    trainer.optimizer.load_state_dict({"state": momentum, "param_groups": groups})
    if trainer.grad_scaler is not None and document["scaler"]:
        trainer.grad_scaler.load_state_dict(document["scaler"])
    trainer.logger.load_checkpoint({key: _undo_plain(values) for key, values in document["logged"].items()})
    trainer.current_epoch, trainer.iteration = int(document["epoch"]), int(document["iteration"])
    trainer.losses = list(document["losses"])


def _mirror_axes(trainer: Any) -> tuple[int, ...] | None:
    axes = trainer.inference_allowed_mirroring_axes
    return None if axes is None else tuple(int(axis) for axis in axes)


def _advice(trainer: Any) -> str:
    plan = trainer.configuration_manager
    patch = "x".join(str(value) for value in plan.patch_size)
    return f"lower batch_size (now {plan.batch_size}), patch (now {patch}) or features" + (
        "" if trainer.device.type == "cpu" else ", or let fewer runs share the GPU"
    )


def _part(arrays: Mapping[str, npt.NDArray[Any]], part: str) -> Arrays:
    prefix = f"{part}."
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def _number(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def _plain(values: Any) -> Any:
    """Lists of numbers as JSON takes them: NaN becomes None."""
    return [_plain(value) for value in values] if isinstance(values, list) else _number(values)


def _undo_plain(values: Any) -> Any:
    if isinstance(values, list):
        return [_undo_plain(value) for value in values]
    return np.nan if values is None else values


def _json(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document
