"""What nobody set: every choice of nnU-Net's planner, trainer and transforms, read off what trained."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import numpy as np
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from pydantic import JsonValue

from algorithms.common.folds import FOLDS_OF_A_SINGLE_MODEL
from algorithms.common.member import Member
from algorithms.common.nnunet.best import SMOOTHING
from algorithms.common.nnunet.settings import TrainSettings
from algorithms.common.nnunet.weights import plain_network
from reseed.contracts.training_report import Ingredient, ResolvedTraining

_PACKAGES = (
    "nnunetv2",
    "dynamic-network-architectures",
    "batchgenerators",
    "batchgeneratorsv2",
    "acvl-utils",
    "blosc2",
)


def resolved_training(trainer: Any, settings: TrainSettings, member: Member) -> ResolvedTraining:
    """
    The parts of a training with every parameter, defaults of nnU-Net and torch included.

    Parameters
    ----------
    trainer
        A ReseedTrainer that has trained.
    settings
        As resolved from the manifest.
    member
        Which fold was held out.
    """
    plan = trainer.configuration_manager
    return ResolvedTraining(
        network=_network(trainer),
        initialisation=Ingredient(
            name="nnU-Net's: He weights of leaky ReLU .01, biases 0",
            parameters={"drawn_on": "cpu"},
            implementation="dynamic_network_architectures.initialization.weight_init.InitWeights_He",
        ),
        optimiser=_optimiser(trainer),
        schedule=Ingredient(
            name="(1 − epoch / epochs)^exponent, an epoch at a time",
            parameters={
                "highest_learning_rate": trainer.initial_lr,
                "exponent": trainer.lr_scheduler.exponent,
            },
            implementation="nnunetv2.training.lr_scheduler.polylr.PolyLRScheduler",
        ),
        loss=_loss(trainer, settings),
        sampling=_sampling(trainer),
        preprocessing=_preprocessing(plan),
        augmentation=tuple(_transform(each) for each in trainer.transforms),
        regularisation=(
            Ingredient(name="dropout after each convolution", parameters={"p": settings.dropout}),
            Ingredient(name="weight decay in gradients", parameters={"weight_decay": trainer.weight_decay}),
        ),
        stopping=Ingredient(name="after a fixed number of epochs", parameters={"epochs": trainer.num_epochs}),
        selection=Ingredient(
            name="final and best epoch both kept; inference chooses",
            parameters={"best_by": settings.best_by, "smoothing": SMOOTHING, "looked_at": "every epoch"},
        ),
        split=_split(member),
        inference=_inference(trainer),
        plans=as_json(trainer.plans_manager.plans),
        library_defaults={f"version of {name}": importlib.metadata.version(name) for name in _PACKAGES},
    )


def as_json(value: Any) -> Any:
    """A value as JSON takes it: tuples and arrays become lists, objects their own words."""
    if isinstance(value, dict):
        return {str(key): as_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [as_json(each) for each in value]
    if isinstance(value, np.ndarray | np.generic):
        return as_json(value.tolist())
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _network(trainer: Any) -> Ingredient:
    plan = trainer.configuration_manager
    network = plain_network(trainer.network)
    return Ingredient(
        name=plan.network_arch_class_name.rsplit(".", 1)[-1],
        parameters={
            "n_parameters": sum(value.numel() for value in network.parameters()),
            "layers": as_json(plan.network_arch_init_kwargs),
            "deep_supervision": bool(trainer.enable_deep_supervision),
            "compiled": trainer.network is not network,
        },
        implementation=plan.network_arch_class_name,
    )


def _optimiser(trainer: Any) -> Ingredient:
    (group,) = trainer.optimizer.param_groups
    told = {key: as_json(value) for key, value in group.items() if key not in ("params", "lr")}
    name = type(trainer.optimizer).__name__
    return Ingredient(
        name=name,
        parameters={**told, "gradient_norm_at_most": 12},
        implementation=f"torch.optim.{name}",
    )


def _sampling(trainer: Any) -> Ingredient:
    return Ingredient(
        name="cases with replacement, patches about foreground for part of a batch",
        parameters={
            "batch_size": int(trainer.batch_size),
            "oversample_foreground": trainer.oversample_foreground_percent,
            "iterations_per_epoch": trainer.num_iterations_per_epoch,
            "validation_iterations_per_epoch": trainer.num_val_iterations_per_epoch,
            "n_training_cases": len(trainer.split[0]),
        },
        implementation="nnunetv2.training.dataloading.data_loader.nnUNetDataLoader",
    )


def _split(member: Member) -> Ingredient:
    return Ingredient(
        name="folds by patient",
        parameters={
            "n_folds": member.n_members if member.n_members > 1 else FOLDS_OF_A_SINGLE_MODEL,
            "held_out_fold": member.index,
        },
        implementation="algorithms/common/folds.py",
    )


def _inference(trainer: Any) -> Ingredient:
    return Ingredient(
        name="mean of the members' softmax over a sliding window",
        parameters={
            "step_in_patches": 0.5,
            "window_weights": "gaussian, sigma patch / 8",
            "mirror_axes": as_json(trainer.inference_allowed_mirroring_axes),
            "to_image_grid": "linear",
        },
        implementation="algorithms/common/nnunet/prediction.py",
    )


def _loss(trainer: Any, settings: TrainSettings) -> Ingredient:
    wrapped = trainer.loss
    parameters: dict[str, JsonValue] = {
        "deep_supervision_weights": as_json(getattr(wrapped, "weight_factors", None))
    }
    inner = getattr(wrapped, "loss", wrapped)
    for name in ("weight_ce", "weight_dice", "ignore_label", "focal_part"):
        if hasattr(inner, name):
            parameters[name] = as_json(getattr(inner, name))
    if hasattr(inner, "dc"):
        dice = inner.dc
        parameters |= {key: as_json(getattr(dice, key)) for key in ("batch_dice", "do_bg", "smooth")}
        parameters["cross_entropy"] = type(inner.ce).__name__
    return Ingredient(
        name=settings.loss,
        parameters=parameters,
        implementation=f"{type(inner).__module__}.{type(inner).__name__}",
    )


def _preprocessing(plan: Any) -> tuple[Ingredient, ...]:
    chosen = plan.configuration
    return (
        Ingredient(name="cut to what is not zero", implementation="nnunetv2.preprocessing.cropping"),
        Ingredient(
            name="normalised",
            parameters={key: as_json(chosen[key]) for key in ("normalization_schemes", "use_mask_for_norm")},
        ),
        Ingredient(
            name="resampled",
            parameters={key: as_json(value) for key, value in chosen.items() if key.startswith("resampling")}
            | {"spacing": as_json(plan.spacing)},
        ),
    )


def _transform(transform: Any) -> Ingredient:
    probability: dict[str, JsonValue] = {}
    if isinstance(transform, RandomTransform):
        probability = {"probability": transform.apply_probability}
        transform = transform.transform
    own = {key: as_json(value) for key, value in vars(transform).items() if not key.startswith("_")}
    return Ingredient(
        name=type(transform).__name__,
        parameters={**probability, **{key: value for key, value in own.items() if "benchmark_" not in key}},
        implementation=f"{type(transform).__module__}.{type(transform).__name__}",
    )
