"""Settings of planning and of training, as typed attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from reseed.contracts.errors import UserError
from reseed.contracts.manifest import SettingValue

Settings = Mapping[str, SettingValue]


def sizes(text: str, *, name: str) -> tuple[float, ...] | None:
    """
    Numbers written as `20x160x160`; None for an empty text, which leaves the choice to nnU-Net.

    Raises
    ------
    UserError
        When there is something else than two or three positive numbers.
    """
    if not text:
        return None
    try:
        values = tuple(float(part) for part in text.split("x"))
    except ValueError:
        values = ()
    if len(values) not in (2, 3) or min(values) <= 0:
        raise UserError(f"setting {name!r} must be two or three positive numbers joined by x, got {text!r}")
    return values


@dataclass(frozen=True)
class PlanSettings:
    """
    What `preprocess` may set besides what nnU-Net's planner decides.

    Attributes
    ----------
    configuration
        nnU-Net's name: 2d, 3d_fullres or 3d_lowres.
    patch
        Voxels in nnU-Net's axis order, empty for the planner's choice.
    spacing
        Target spacing of 3d_fullres and of the plane of 2d in mm (z, y, x), empty for the planner's.
    features
        Of the first stage; each next one has twice as many, up to ten times this in 3D, sixteen in 2D.
    batch_size
        0 for the planner's choice.
    gpu_memory_gib
        What the planner fits patch and batch to.
    """

    configuration: str
    patch: tuple[int, ...] | None
    spacing: tuple[float, ...] | None
    features: int
    batch_size: int
    gpu_memory_gib: float

    @classmethod
    def of(cls, settings: Settings, *, prefix: str = "") -> PlanSettings:
        """From resolved settings; `prefix` chooses those of one of several networks."""
        patch = sizes(str(settings[f"{prefix}patch"]), name=f"{prefix}patch")
        if patch is not None and any(value != int(value) for value in patch):
            raise UserError(
                f"setting '{prefix}patch' must be whole numbers, got {settings[f'{prefix}patch']!r}"
            )
        return cls(
            configuration=str(settings[f"{prefix}configuration"]),
            patch=None if patch is None else tuple(int(value) for value in patch),
            spacing=sizes(str(settings[f"{prefix}spacing"]), name=f"{prefix}spacing"),
            features=int(settings["features"]),
            batch_size=int(settings["batch_size"]),
            gpu_memory_gib=float(settings["gpu_memory_gib"]),
        )


@dataclass(frozen=True)
class TrainSettings:
    """
    What `train` may set; defaults are nnU-Net's or the paper's and stand in the manifest.

    Attributes
    ----------
    epochs, iterations, validation_iterations
        Of the training; an epoch is so many batches, not a pass over the cases.
    learning_rate, momentum, weight_decay
        Of SGD with Nesterov's momentum; the rate falls as (1 − epoch / epochs)^0.9.
    loss
        dice_ce, ce or focal_ce (half focal, half plain).
    best_by
        What the best epoch is chosen by: dice (of validation patches, smoothed) or detection (mean of
        AUROC and average precision of the lesion over validation patches, smoothed).
    mirroring
        Whether patches are mirrored in training and in inference.
    dropout
        Chance that a feature map is left out after a convolution; nnU-Net has none.
    oversample_foreground
        Part of a batch that is centred on foreground.
    deterministic
        Only algorithms that give the same bits; an operation without one raises.
    precision
        float16, bfloat16 or float32; of a GPU's automatic mixed precision. A CPU computes in float32.
    compiled
        torch.compile, on a GPU.
    workers
        Processes that make batches; -1 for as many as there are cores beside this one on a GPU, none
        on a CPU. The batches are the same.
    initial_weights
        A file of weights to start from, empty for a random start.
    """

    epochs: int
    iterations: int
    validation_iterations: int
    learning_rate: float
    momentum: float
    weight_decay: float
    loss: str
    best_by: str
    mirroring: bool
    dropout: float
    oversample_foreground: float
    deterministic: bool
    precision: str
    compiled: bool
    workers: int
    initial_weights: str

    @classmethod
    def of(cls, settings: Settings) -> TrainSettings:
        """From resolved settings, which the manifest has checked; others in the mapping are not read."""
        return cls(**{field.name: settings[field.name] for field in fields(cls)})  # type: ignore[arg-type]
