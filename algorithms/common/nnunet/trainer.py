"""nnU-Net's trainer with named seeds, checkpoints of any iteration, and a choice of losses."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from nnunetv2.training.logging.nnunet_logger import MetaLogger
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from algorithms.common.interruption import Interrupted
from algorithms.common.nnunet.batches import (
    TRAINING,
    VALIDATION,
    Batch,
    SeededBatches,
    augmenter,
    stop_augmenter,
)
from algorithms.common.nnunet.best import BestEpoch, PatchDetections, lesion_values
from algorithms.common.nnunet.losses import VoxelCrossEntropy
from algorithms.common.nnunet.randomness import seed_of_place
from algorithms.common.nnunet.settings import TrainSettings
from reseed.contracts.errors import UserError
from reseed.contracts.seeds import Seeds

CPU = torch.device("cpu")


class _Curves(MetaLogger):  # type: ignore[misc]
    """nnU-Net's numbers without its picture, which takes longer to draw than a small epoch to train."""

    def log(self, key: str, value: Any, step: int) -> None:
        """In double precision, as a checkpoint keeps it: a smoothed score goes on with the same digits."""
        super().log(key, [float(each) for each in value] if isinstance(value, list) else float(value), step)

    def plot_progress_png(self, output_folder: str) -> None:
        """Draw nothing; the curve is written as a table."""


class ReseedTrainer(nnUNetTrainer):  # type: ignore[misc]
    """
    nnU-Net's trainer, found by nnU-Net through `nnUNet_extTrainer`.

    Weights are drawn from the stream `weights` on the CPU, so that a seed means the same weights on
    every device. Batches come from `order` and `augmentation` (see SeededBatches), and torch's
    generator serves dropout alone, seeded anew for each iteration. All seeds are those of places, so
    that a training which was interrupted anywhere goes on with the same draws.
    """

    def __init__(
        self, plans: dict[str, Any], configuration: str, fold: int, dataset_json: dict[str, Any],
        device: torch.device = CPU,
    ) -> None:  # fmt: skip
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.logger = _Curves(self.output_folder, resume=False)
        self.settings: TrainSettings | None = None
        self.best = BestEpoch()
        self.iteration = 0
        self.losses: list[float] = []

    def prepare(
        self,
        settings: TrainSettings,
        seeds: Seeds,
        *,
        split: tuple[list[str], list[str]],
        n_workers: int,
        stop_requested: Callable[[], bool],
        after_epoch: Callable[[], None],
    ) -> None:
        """
        Everything that nnU-Net's constructor has no place for; to be called before `initialize`.

        Parameters
        ----------
        settings, seeds
            Of this training.
        split
            Cases to train on, and cases to validate on.
        n_workers
            Processes that make batches.
        stop_requested
            Asked before each iteration.
        after_epoch
            Called when an epoch has ended.
        """
        self.settings, self.seeds, self.split = settings, seeds, split
        self.n_workers, self.stop_requested, self.after_epoch = n_workers, stop_requested, after_epoch
        self.num_epochs = settings.epochs
        self.num_iterations_per_epoch = settings.iterations
        self.num_val_iterations_per_epoch = settings.validation_iterations
        self.initial_lr = settings.learning_rate
        self.weight_decay = settings.weight_decay
        self.oversample_foreground_percent = settings.oversample_foreground
        if settings.best_by == "detection":
            # by its name; where none has such a name, the first label is what is looked for
            lesion = lesion_values(self.dataset_json["labels"]) or self.label_manager.foreground_labels[:1]
            self.detections: PatchDetections | None = PatchDetections(lesion)
        else:
            self.detections = None

    def initialize(self) -> None:
        """Build network, optimiser and loss; the weights are the stream's first and only draws."""
        torch.manual_seed(self.seeds.weights)
        super().initialize()
        if self.detections is not None:
            self.network.register_forward_hook(self.detections.remember)

    def configure_optimizers(self) -> tuple[Any, Any]:
        """nnU-Net's optimiser and schedule, with the momentum of the settings."""
        optimiser, schedule = super().configure_optimizers()
        for group in optimiser.param_groups:
            group["momentum"] = _given(self.settings).momentum
        return optimiser, schedule

    def _build_loss(self) -> torch.nn.Module:
        settings = _given(self.settings)
        voxelwise = VoxelCrossEntropy(
            ignore_label=self.label_manager.ignore_label,
            focal_part=0.5 if settings.loss == "focal_ce" else 0.0,
        )
        if settings.loss == "dice_ce":
            loss: Any = super()._build_loss()
            combined = loss.loss if isinstance(loss, DeepSupervisionWrapper) else loss
            if settings.deterministic and not self.label_manager.has_regions:
                combined.ce = voxelwise
            return loss  # type: ignore[no-any-return]
        if not self.enable_deep_supervision:
            return voxelwise
        # nnU-Net's weights: halved with each resolution, none for the coarsest
        weights = 0.5 ** np.arange(len(self._get_deep_supervision_scales()))
        weights[-1] = 0
        return DeepSupervisionWrapper(voxelwise, weights / weights.sum())  # type: ignore[no-any-return]

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> tuple[Any, Any, Any, Any]:  # noqa: N802
        """As nnU-Net decides, without mirroring when the setting says so."""
        rotation, dummy_2d, initial_patch, mirror_axes = (
            super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        )
        if not _given(self.settings).mirroring:
            mirror_axes = self.inference_allowed_mirroring_axes = None
        return rotation, dummy_2d, initial_patch, mirror_axes

    @staticmethod
    def get_training_transforms(*arguments: Any, **options: Any) -> Any:
        """nnU-Net's transforms; blurring does not choose its algorithm by a stopwatch."""
        transforms = nnUNetTrainer.get_training_transforms(*arguments, **options)
        for transform in transforms.transforms:
            inner = getattr(transform, "transform", transform)
            if isinstance(inner, GaussianBlurTransform):
                inner.benchmark = False
        return transforms

    def do_split(self) -> tuple[list[str], list[str]]:
        """The split by patient that `prepare` was given."""
        return self.split

    def get_dataloaders(self) -> tuple[Any, Any]:
        """nnU-Net's loaders, made repeatable, from the iteration that the training has reached."""
        made = super().get_dataloaders()
        firsts = (
            self.current_epoch * self.num_iterations_per_epoch + self.iteration,
            self.current_epoch * self.num_val_iterations_per_epoch,
        )
        self.transforms = list(made[0].data_loader.transforms.transforms)
        loaders = []
        for phase, single, first in zip((TRAINING, VALIDATION), made, firsts, strict=True):
            # fewer for validation, as nnU-Net has it
            n_workers = self.n_workers if phase == TRAINING else (self.n_workers + 1) // 2
            batches = SeededBatches(
                single.data_loader,
                order_seed=self.seeds.order,
                augmentation_seed=self.seeds.augmentation,
                phase=phase,
                first=first,
                n_workers=max(1, n_workers),
            )
            loaders.append(augmenter(batches, n_workers=n_workers, pin_memory=self.device.type == "cuda"))
        return loaders[0], loaders[1]

    def run_training(self) -> None:
        """
        Train to the last epoch from wherever the training is; whoever calls it calls `stop_workers` then.

        Raises
        ------
        Interrupted
            When a stop was requested: between two iterations, or where a stop ended the workers, too.
        UserError
            When the loss is no longer finite.
        """
        self.on_train_start()
        while self.current_epoch < self.num_epochs:
            if self.iteration == 0:
                self.on_epoch_start()
            self.on_train_epoch_start()
            while self.iteration < self.num_iterations_per_epoch:
                if self.stop_requested():
                    raise self._interrupted()
                self.losses.append(float(self.train_step(self._next_of(self.dataloader_train))["loss"]))
                self.iteration += 1
            self.on_train_epoch_end([{"loss": np.float32(loss)} for loss in self.losses])
            self._validate()
            self.on_epoch_end()
        self.on_train_end()

    def _validate(self) -> None:
        with torch.no_grad():
            self.on_validation_epoch_start()
            steps = range(self.num_val_iterations_per_epoch)
            self.on_validation_epoch_end(
                [self.validation_step(self._next_of(self.dataloader_val)) for _ in steps]
            )

    def _next_of(self, loader: Any) -> Batch:
        try:
            batch: Batch = next(loader)
        except RuntimeError:
            # a SIGTERM to all processes of a job has ended the workers before this one stopped
            if self.stop_requested():
                raise self._interrupted() from None
            raise
        return batch

    def _interrupted(self) -> Interrupted:
        return Interrupted(
            f"checkpoint in epoch {self.current_epoch} of {self.num_epochs}, iteration {self.iteration}"
        )

    def stop_workers(self) -> None:
        """End the processes that make batches, however the training ended; more than once does no harm."""
        for loader in (self.dataloader_train, self.dataloader_val):
            stop_augmenter(loader)

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """One step; what is random in it is dropout."""
        number = self.current_epoch * self.num_iterations_per_epoch + self.iteration
        torch.manual_seed(seed_of_place(self.seeds.dropout, number))
        result: dict[str, Any] = super().train_step(batch)
        loss = float(result["loss"])
        if not math.isfinite(loss):
            raise UserError(
                f"the loss must stay finite, got {loss} in epoch {self.current_epoch}; "
                f"lower learning_rate, which is {self.initial_lr:g}"
            )
        return result

    def validation_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """One step, in which patches are also judged as detections where the best epoch is chosen so."""
        result: dict[str, Any] = super().validation_step(batch)
        if self.detections is not None:
            self.detections.add(batch["target"])
        return result

    def on_epoch_end(self) -> None:
        """Close the epoch, and keep its weights when it is the best so far."""
        super().on_epoch_end()
        if self.detections is None:
            score = float(self.logger.get_value("mean_fg_dice", step=-1))
        else:
            score = self.detections.score()
        self.best.add(self.current_epoch - 1, score, self.network)
        self.iteration, self.losses = 0, []
        self.after_epoch()

    def save_checkpoint(self, filename: str) -> None:
        """Nothing: checkpoints are written by whoever runs the training, without pickles."""

    def plot_network_architecture(self) -> None:
        """Nothing: the drawing needs a package that is not installed."""

    def _save_debug_information(self) -> None:
        """Nothing: it holds the name of the machine; run.json has what matters."""

    def print_to_log_file(
        self, *words: Any, also_print_to_console: bool = True, add_timestamp: bool = True
    ) -> None:
        """To nnU-Net's own log only; stdout is a log of JSON lines."""
        del also_print_to_console
        super().print_to_log_file(*words, also_print_to_console=False, add_timestamp=add_timestamp)


def _given(settings: TrainSettings | None) -> TrainSettings:
    if settings is None:
        raise RuntimeError("prepare() must be called before initialize()")
    return settings
