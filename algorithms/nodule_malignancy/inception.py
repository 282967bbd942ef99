"""Inception-v1 in three dimensions (I3D); its parts are named as in torch's weights of Kinetics."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import pad, relu

from algorithms.nodule_malignancy.pooling import window_maximum

NORM_EPSILON = 1e-3
NORM_MOMENTUM = 0.01
"""Of the running statistics: a decay of .99, as I3D has it."""

MIXED = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
"""
Features of each module: 1 × 1; reduction and 3 × 3; reduction and second 3 × 3; after the pooling.

Szegedy et al. 2015, Table 1, with 3 × 3 for the 5 × 5 convolutions, as Carreira and Zisserman 2017 have it.
"""

_POOLING_BEFORE = {"Mixed_4b": ((3, 3, 3), (2, 2, 2)), "Mixed_5b": ((2, 2, 2), (2, 2, 2))}
_PLANAR_POOLING = ((1, 3, 3), (1, 2, 2))
FULL_WIDTH = 64


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after an axis so that its output has size / stride, rounded up, as TensorFlow pads."""
    total = max(kernel - stride, 0) if size % stride == 0 else max(kernel - size % stride, 0)
    return total // 2, total - total // 2


class Unit3D(nn.Module):
    """A convolution with padding to the same size, batch normalisation, ReLU."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self._kernel = kernel
        self._stride = stride
        self.conv3d = nn.Conv3d(n_in, n_out, kernel, stride=stride, bias=False)
        self.bn = nn.BatchNorm3d(n_out, eps=NORM_EPSILON, momentum=NORM_MOMENTUM)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features on a grid coarser by the stride."""
        if self._kernel > 1:
            sides = [same_padding(size, self._kernel, self._stride) for size in features.shape[2:]]
            features = pad(features, [side for pair in reversed(sides) for side in pair])
        return relu(self.bn(self.conv3d(features)))


class InceptionModule(nn.Module):
    """Four branches side by side, their features concatenated."""

    def __init__(self, n_in: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.b0 = Unit3D(n_in, sizes[0], 1)
        self.b1a = Unit3D(n_in, sizes[1], 1)
        self.b1b = Unit3D(sizes[1], sizes[2], 3)
        self.b2a = Unit3D(n_in, sizes[3], 1)
        self.b2b = Unit3D(sizes[3], sizes[4], 3)
        self.b3b = Unit3D(n_in, sizes[5], 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features on the same grid."""
        pooled = max_pooled(features, (3, 3, 3), (1, 1, 1))
        branches = (
            self.b0(features),
            self.b1b(self.b1a(features)),
            self.b2b(self.b2a(features)),
            self.b3b(pooled),
        )
        return torch.cat(branches, dim=1)


class _Logits(nn.Module):
    def __init__(self, n_in: int, n_outputs: int) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(n_in, n_outputs, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.conv3d(features)
        return logits


class InceptionI3D(nn.Module):
    """
    A logit of a volume (Carreira and Zisserman, CVPR 2017).

    Parameters
    ----------
    width
        Features of the first convolution; all others in proportion. The published network has 64.
    dropout
        Chance that a feature is left out before the last layer.
    n_channels, n_outputs
        Of the volume, and logits; 3 and 400 for the weights of Kinetics.
    """

    def __init__(self, *, width: int, dropout: float, n_channels: int = 1, n_outputs: int = 1) -> None:
        super().__init__()

        def scaled(n_features: int) -> int:
            return max(1, round(n_features * width / FULL_WIDTH))

        self.add_module("Conv3d_1a_7x7", Unit3D(n_channels, scaled(64), 7, stride=2))
        self.add_module("Conv3d_2b_1x1", Unit3D(scaled(64), scaled(64), 1))
        self.add_module("Conv3d_2c_3x3", Unit3D(scaled(64), scaled(192), 3))
        n_in = scaled(192)
        for name, sizes in MIXED.items():
            own = tuple(scaled(size) for size in sizes)
            self.add_module(name, InceptionModule(n_in, own))
            n_in = own[0] + own[2] + own[4] + own[5]
        self.dropout = nn.Dropout(dropout)
        self.logits = _Logits(n_in, n_outputs)

    def features(self, volumes: torch.Tensor) -> torch.Tensor:
        """Features on the coarsest grid, of volumes of shape (case, channel, z, y, x)."""
        inner: torch.Tensor = self.get_submodule("Conv3d_1a_7x7")(volumes)
        inner = max_pooled(inner, *_PLANAR_POOLING)
        inner = self.get_submodule("Conv3d_2c_3x3")(self.get_submodule("Conv3d_2b_1x1")(inner))
        inner = max_pooled(inner, *_PLANAR_POOLING)
        for name in MIXED:
            if name in _POOLING_BEFORE:
                inner = max_pooled(inner, *_POOLING_BEFORE[name])
            inner = self.get_submodule(name)(inner)
        return inner

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Logits, one for each case, of patches of shape (case, z, y, x)."""
        means = self.features(patches.unsqueeze(1)).mean((2, 3, 4), keepdim=True)
        logits: torch.Tensor = self.logits(self.dropout(means)).flatten()
        return logits


def max_pooled(features: torch.Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> torch.Tensor:
    """The maximum over windows, with zeros outside, to size / stride, rounded up."""
    sides = [
        same_padding(size, one, step)
        for size, one, step in zip(features.shape[2:], kernel, stride, strict=True)
    ]
    return window_maximum(features, kernel, stride, sides, fill=0.0)
