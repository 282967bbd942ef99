"""The manifest's settings for `train`, as typed attributes, and which network they ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from algorithms.common.member import Member
from algorithms.nodule_malignancy.inception import InceptionI3D
from algorithms.nodule_malignancy.network import NoduleNetwork
from algorithms.nodule_malignancy.resnet import PlanesResNet50
from reseed.contracts.errors import UserError
from reseed.contracts.manifest import SettingValue

OUTLINES = "outlines"
PLANES = "resnet50_planes9"
VOLUME = "i3d"
BOTH = "resnet50_planes9_and_i3d"


@dataclass(frozen=True)
class TrainingSettings:
    """Of one training; what came after version 1.0 has the default that keeps older models readable."""

    dimension: int
    channels: int
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    dropout: float
    augmentation: float
    network: str = OUTLINES
    patch_voxels: int = 64
    width: int = 64
    precision: str = "float32"
    initial_weights: str = ""

    @classmethod
    def of(cls, settings: Mapping[str, SettingValue]) -> TrainingSettings:
        """From resolved settings, which the manifest has already checked."""
        return cls(**settings)  # type: ignore[arg-type]

    @property
    def sees_ct(self) -> bool:
        """Whether the network looks at CT; the other one looks at outlines."""
        return self.network != OUTLINES


def architecture_of(settings: TrainingSettings, member: Member) -> str:
    """
    Which network a member is: of a mixed ensemble the first half are planes, the second half volumes.

    Raises
    ------
    UserError
        When a mixed ensemble has no halves.
    """
    if settings.network != BOTH:
        return settings.network
    if member.n_members % 2:
        raise UserError(f"network {BOTH} needs an even number of members, got {member.n_members}")
    return PLANES if member.index < member.n_members // 2 else VOLUME


def fold_of(settings: TrainingSettings, member: Member) -> Member:
    """Which fold of how many a member holds out: each half of a mixed ensemble goes through all folds."""
    if settings.network != BOTH:
        return member
    n_folds = member.n_members // 2
    return Member(member.index % n_folds, n_folds)


def new_network(settings: TrainingSettings, architecture: str) -> nn.Module:
    """A network of that architecture, with weights drawn from torch's generator."""
    if architecture == PLANES:
        return PlanesResNet50(width=settings.width, dropout=settings.dropout)
    if architecture == VOLUME:
        return InceptionI3D(width=settings.width, dropout=settings.dropout)
    return NoduleNetwork(dimension=settings.dimension, channels=settings.channels, dropout=settings.dropout)
