"""What nobody set: every choice that the code or torch made in a training, read off what trained."""

from __future__ import annotations

import inspect
from typing import Any

from pydantic import JsonValue
from torch import nn

from algorithms.common.adamw import AdamW
from algorithms.common.folds import FOLDS_OF_A_SINGLE_MODEL
from algorithms.common.member import Member
from algorithms.nodule_malignancy.augmentation import SHIFT_VOXELS
from algorithms.nodule_malignancy.network import NoduleNetwork
from algorithms.nodule_malignancy.patches import FULL_VALUE, PATCH_SHAPES, VOLUME_SPACING_MM
from algorithms.nodule_malignancy.training import WARM_UP, TrainingSettings
from reseed.contracts.training_report import Ingredient, ResolvedTraining

BEST_RULE = "lowest validation loss, the earlier of equals"

_LAYER_FACTS = (
    "in_channels", "out_channels", "kernel_size", "stride", "padding", "padding_mode", "dilation", "groups",
    "num_features", "eps", "momentum", "affine", "track_running_stats", "in_features", "out_features", "p",
)  # fmt: skip


def resolved_training(
    settings: TrainingSettings, network: NoduleNetwork, *, member: Member, n_training_cases: int
) -> ResolvedTraining:
    """
    The parts of a training with every parameter, defaults of torch included.

    Parameters
    ----------
    settings
        As resolved from the manifest.
    network
        The one that was trained.
    member, n_training_cases
        Which fold was held out, and how many cases were left.
    """
    return ResolvedTraining(
        network=Ingredient(
            name="three strided convolutions, mean over space, one linear layer",
            parameters={
                "layers": _layers(network),
                "n_parameters": sum(value.numel() for value in network.parameters()),
            },
            implementation="algorithms/nodule_malignancy/network.py",
        ),
        initialisation=Ingredient(
            name="torch's own: uniform He weights (a = √5), uniform biases of 1/√fan-in; norms 1 and 0",
            parameters={"drawn_on": "cpu"},
            implementation="reset_parameters of torch.nn",
        ),
        optimiser=_optimiser(settings),
        schedule=Ingredient(
            name="linear warm-up, then half a cosine to 0, a step at a time",
            parameters={"highest_learning_rate": settings.learning_rate, "warm_up_fraction": WARM_UP},
            implementation="algorithms/nodule_malignancy/training.py",
        ),
        loss=Ingredient(
            name="binary cross-entropy with logits",
            parameters={"reduction": "mean", "weight": None, "pos_weight": None, "label_smoothing": 0.0},
            implementation="torch.nn.functional.binary_cross_entropy_with_logits",
        ),
        sampling=Ingredient(
            name="every training case once an epoch, in a new order",
            parameters={
                "batch_size": settings.batch_size,
                "n_training_cases": n_training_cases,
                "drop_last": False,
                "balanced": False,
            },
        ),
        preprocessing=(_patches(settings),),
        augmentation=_augmentation(settings),
        regularisation=(
            Ingredient(name="dropout before the last layer", parameters={"p": settings.dropout}),
            Ingredient(name="decoupled weight decay", parameters={"weight_decay": settings.weight_decay}),
        ),
        stopping=Ingredient(name="after a fixed number of epochs", parameters={"epochs": settings.epochs}),
        selection=Ingredient(name=BEST_RULE, parameters={"looked_at": "every epoch"}),
        split=_split(member),
        inference=Ingredient(
            name="mean of the members' probabilities",
            parameters={"test_time_augmentation": False, "norm_statistics": "running"},
        ),
    )


def _layers(network: NoduleNetwork) -> dict[str, JsonValue]:
    """Every layer without layers of its own, by name, with what torch was told or took for itself."""
    found: dict[str, JsonValue] = {}
    for name, layer in network.named_modules():
        if next(layer.children(), None) is None:
            facts: dict[str, Any] = {"type": type(layer).__name__}
            facts |= {fact: _plain(getattr(layer, fact)) for fact in _LAYER_FACTS if hasattr(layer, fact)}
            if isinstance(layer, nn.Conv2d | nn.Conv3d | nn.Linear):
                facts["bias"] = layer.bias is not None
            found[name] = facts
    return found


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _optimiser(settings: TrainingSettings) -> Ingredient:
    defaults = inspect.signature(AdamW).parameters
    return Ingredient(
        name="AdamW",
        parameters={
            "weight_decay": settings.weight_decay,
            "betas": list(defaults["betas"].default),
            "epsilon": defaults["epsilon"].default,
            "amsgrad": False,
            "decays_norms_and_biases": True,
            "gradient_clipping": None,
        },
        implementation="algorithms/common/adamw.py",
    )


def _patches(settings: TrainingSettings) -> Ingredient:
    return Ingredient(
        name="three planes through the centre" if settings.dimension == 2 else "means of 2 × 2 × 2 voxels",
        parameters={
            "shape": list(PATCH_SHAPES[settings.dimension]),
            "spacing_mm": VOLUME_SPACING_MM if settings.dimension == 2 else 2 * VOLUME_SPACING_MM,
            "divided_by": FULL_VALUE,
        },
        implementation="algorithms/nodule_malignancy/patches.py",
    )


def _augmentation(settings: TrainingSettings) -> tuple[Ingredient, ...]:
    shared: dict[str, JsonValue] = {"probability": settings.augmentation, "joint": "all or none of a view"}
    return (
        Ingredient(name="axes exchanged", parameters={**shared, "orders": "all, equally likely"}),
        Ingredient(name="axes mirrored", parameters={**shared, "probability_by_axis": 0.5}),
        Ingredient(
            name="shifted by whole voxels",
            parameters={**shared, "largest_shift_voxels": SHIFT_VOXELS[settings.dimension], "fill": 0.0},
        ),
    )


def _split(member: Member) -> Ingredient:
    several = member.n_members > 1
    return Ingredient(
        name="folds by patient, of the same mixture",
        parameters={
            "n_folds": member.n_members if several else FOLDS_OF_A_SINGLE_MODEL,
            "held_out_fold": member.index,
        },
        implementation="algorithms/common/folds.py",
    )
