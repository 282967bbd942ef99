"""What nobody set: every choice that the code or torch made in a training, read off what trained."""

from __future__ import annotations

import inspect
from typing import Any

from pydantic import JsonValue
from torch import nn

from algorithms.common.adamw import Adam, AdamW
from algorithms.common.folds import FOLDS_OF_A_SINGLE_MODEL
from algorithms.common.initial_weights import InitialWeights
from algorithms.common.member import Member
from algorithms.nodule_malignancy.augmentation import SHIFT_VOXELS
from algorithms.nodule_malignancy.patches import FULL_VALUE, PATCH_SHAPES, VOLUME_SPACING_MM
from algorithms.nodule_malignancy.scans import MARGIN, PATCH_MM
from algorithms.nodule_malignancy.schemes import WARM_UP, Scheme
from algorithms.nodule_malignancy.settings import OUTLINES, PLANES, VOLUME, TrainingSettings
from algorithms.nodule_malignancy.views import HOUNSFIELD_RANGE, LARGEST_ANGLE_DEGREES, LARGEST_SHIFT_MM
from reseed.contracts.training_report import Ingredient, ResolvedTraining

_NETWORKS = {
    OUTLINES: ("three strided convolutions, mean over space, one linear layer", "network.py"),
    PLANES: ("ResNet-50 over nine planes, shared weights, mean of features, one linear layer", "resnet.py"),
    VOLUME: ("Inception-v1 I3D, mean over space, one linear layer", "inception.py"),
}
_TORCH_INITIALISATION = "torch's own: uniform He weights (a = √5), uniform biases of 1/√fan-in; norms 1 and 0"
_RESNET_INITIALISATION = (
    "normal He weights of convolutions (fan-out), torch's own for the last layer; norms 1 and 0"
)

_LAYER_FACTS = (
    "in_channels", "out_channels", "kernel_size", "stride", "padding", "padding_mode", "dilation", "groups",
    "num_features", "eps", "momentum", "affine", "track_running_stats", "in_features", "out_features", "p",
)  # fmt: skip


def resolved_training(
    settings: TrainingSettings,
    network: nn.Module,
    scheme: Scheme,
    *,
    member: Member,
    initial: InitialWeights | None,
) -> ResolvedTraining:
    """
    The parts of a training with every parameter, defaults of torch included.

    Parameters
    ----------
    settings
        As resolved from the manifest.
    network
        The one that was trained.
    scheme
        How it was trained.
    member
        Which fold was held out.
    initial
        The weights that it started from, if not random ones.
    """
    sees_ct = settings.sees_ct
    return ResolvedTraining(
        network=_network(scheme.architecture, network),
        initialisation=_initialisation(scheme.architecture, initial),
        optimiser=_optimiser(settings),
        schedule=_schedule(settings),
        loss=Ingredient(
            name="binary cross-entropy with logits",
            parameters={"reduction": "mean", "weight": None, "pos_weight": None, "label_smoothing": 0.0},
            implementation="torch.nn.functional.binary_cross_entropy_with_logits",
        ),
        sampling=_sampling(settings),
        preprocessing=_ct_patches(settings, scheme.architecture) if sees_ct else (_patches(settings),),
        augmentation=_ct_augmentation(settings) if sees_ct else _augmentation(settings),
        regularisation=_regularisation(settings),
        stopping=Ingredient(name="after a fixed number of epochs", parameters={"epochs": settings.epochs}),
        selection=Ingredient(name=scheme.best_rule, parameters={"looked_at": "every epoch"}),
        split=_split(member),
        inference=Ingredient(
            name="mean of the members' probabilities",
            parameters={"test_time_augmentation": False, "norm_statistics": "running"},
        ),
    )


def _network(architecture: str, network: nn.Module) -> Ingredient:
    name, module = _NETWORKS[architecture]
    return Ingredient(
        name=name,
        parameters={
            "layers": _layers(network),
            "n_parameters": sum(value.numel() for value in network.parameters()),
        },
        implementation=f"algorithms/nodule_malignancy/{module}",
    )


def _initialisation(architecture: str, initial: InitialWeights | None) -> Ingredient:
    if initial is not None:
        return Ingredient(
            name="weights of an earlier training; random where they have none",
            parameters={
                "file": initial.file,
                "sha256": initial.sha256,
                "n_taken": initial.n_taken,
                "summed_over_channels": list(initial.summed_over_channels),
                "left_random": list(initial.left_random),
            },
            implementation="algorithms/nodule_malignancy/initial.py",
        )
    is_resnet = architecture == PLANES
    return Ingredient(
        name=_RESNET_INITIALISATION if is_resnet else _TORCH_INITIALISATION,
        parameters={"drawn_on": "cpu"},
        implementation="torch.nn.init.kaiming_normal_" if is_resnet else "reset_parameters of torch.nn",
    )


def _schedule(settings: TrainingSettings) -> Ingredient:
    if settings.sees_ct:
        return Ingredient(name="constant", parameters={"learning_rate": settings.learning_rate})
    return Ingredient(
        name="linear warm-up, then half a cosine to 0, a step at a time",
        parameters={"highest_learning_rate": settings.learning_rate, "warm_up_fraction": WARM_UP},
        implementation="algorithms/nodule_malignancy/schemes.py",
    )


def _sampling(settings: TrainingSettings) -> Ingredient:
    return Ingredient(
        name="drawn with replacement, either class equally likely"
        if settings.sees_ct
        else "every training case once an epoch, in a new order",
        parameters={"batch_size": settings.batch_size, "drop_last": False, "balanced": settings.sees_ct},
    )


def _regularisation(settings: TrainingSettings) -> tuple[Ingredient, ...]:
    decay = "weight decay as a penalty on the loss" if settings.sees_ct else "decoupled weight decay"
    return (
        Ingredient(name="dropout before the last layer", parameters={"p": settings.dropout}),
        Ingredient(name=decay, parameters={"weight_decay": settings.weight_decay}),
    )


def _layers(network: nn.Module) -> dict[str, JsonValue]:
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
        name=Adam.__name__ if settings.sees_ct else AdamW.__name__,
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


def _ct_patches(settings: TrainingSettings, architecture: str) -> tuple[Ingredient, ...]:
    low, high = HOUNSFIELD_RANGE
    return (
        Ingredient(
            name="cube around the nodule by linear interpolation",
            parameters={
                "side_mm": PATCH_MM,
                "voxels": settings.patch_voxels,
                "margin": MARGIN,
                "outside_the_scan": "nearest voxel",
                "stored_as": "int16",
            },
            implementation="SimpleITK.ResampleImageFilter",
        ),
        Ingredient(
            name="nine planes: three orthogonal, six diagonal" if architecture == PLANES else "the volume",
            parameters={"interpolation": "trilinear", "outside_the_cube": "nearest voxel"},
            implementation="torch.nn.functional.grid_sample",
        ),
        Ingredient(
            name="clipped and scaled to 0 to 1", parameters={"hounsfield_low": low, "hounsfield_high": high}
        ),
    )


def _ct_augmentation(settings: TrainingSettings) -> tuple[Ingredient, ...]:
    shared: dict[str, JsonValue] = {"probability": settings.augmentation, "joint": "both or none of a case"}
    return (
        Ingredient(
            name="turned about z, y and x",
            parameters={**shared, "largest_angle_degrees": LARGEST_ANGLE_DEGREES, "drawn": "uniformly"},
        ),
        Ingredient(
            name="shifted",
            parameters={**shared, "largest_shift_mm": LARGEST_SHIFT_MM, "drawn": "uniformly in a ball"},
        ),
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
