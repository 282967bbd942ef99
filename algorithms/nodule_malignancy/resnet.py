"""ResNet-50 over nine planes of a nodule; its parts are named as torchvision names them."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.functional import relu

from algorithms.nodule_malignancy.pooling import window_maximum

N_BLOCKS = (3, 4, 6, 3)
EXPANSION = 4


class Bottleneck(nn.Module):
    """
    1 × 1, 3 × 3 and 1 × 1 convolutions beside a shortcut (He et al. 2016, Figure 5 right).

    The stride is in the 3 × 3 convolution, as torchvision has it (ResNet v1.5).
    """

    def __init__(self, n_in: int, n_inner: int, stride: int) -> None:
        super().__init__()
        n_out = EXPANSION * n_inner
        self.conv1 = nn.Conv2d(n_in, n_inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_inner)
        self.conv2 = nn.Conv2d(n_inner, n_inner, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_inner)
        self.conv3 = nn.Conv2d(n_inner, n_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(n_out)
        self.downsample: nn.Module | None = None
        if stride != 1 or n_in != n_out:
            self.downsample = nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, stride=stride, bias=False), nn.BatchNorm2d(n_out)
            )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features of EXPANSION × `n_inner` channels."""
        shortcut = features if self.downsample is None else self.downsample(features)
        inner = relu(self.bn1(self.conv1(features)))
        inner = relu(self.bn2(self.conv2(inner)))
        return relu(self.bn3(self.conv3(inner)) + shortcut)


class ResNet50(nn.Module):
    """
    Fifty layers, from an image to logits.

    With 3 input channels, 1000 outputs and width 64 this is torchvision's resnet50.

    Parameters
    ----------
    n_channels, n_outputs
        Of the image, and logits.
    width
        Features of the first convolution; all others follow from it.
    dropout
        Chance that a feature is left out before the last layer.
    """

    def __init__(self, *, n_channels: int, n_outputs: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_channels, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        n_in, n_inner = width, width
        for index, n_blocks in enumerate(N_BLOCKS):
            blocks = []
            for block in range(n_blocks):
                stride = 2 if index > 0 and block == 0 else 1
                blocks.append(Bottleneck(n_in, n_inner, stride))
                n_in = EXPANSION * n_inner
            self.add_module(f"layer{index + 1}", nn.Sequential(*blocks))
            n_inner *= 2
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(n_in, n_outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Mean features over space, of images of shape (image, channel, row, column)."""
        inner = relu(self.bn1(self.conv1(images)))
        inner = window_maximum(inner, (3, 3), (2, 2), ((1, 1), (1, 1)), fill=-math.inf)
        for index in range(len(N_BLOCKS)):
            inner = self.get_submodule(f"layer{index + 1}")(inner)
        return inner.flatten(2).mean(2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of shape (image, output)."""
        logits: torch.Tensor = self.fc(self.dropout(self.features(images)))
        return logits


class PlanesResNet50(ResNet50):
    """
    A logit of nine planes through a nodule, all through the same weights, their features averaged.

    Parameters
    ----------
    width, dropout
        As of `ResNet50`, which has 64.
    """

    def __init__(self, *, width: int, dropout: float) -> None:
        super().__init__(n_channels=1, n_outputs=1, width=width, dropout=dropout)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Logits, one for each case, of patches of shape (case, plane, row, column)."""
        n_cases, n_planes = patches.shape[:2]
        features = self.features(patches.flatten(0, 1).unsqueeze(1))
        means = features.reshape(n_cases, n_planes, -1).mean(1)
        logits: torch.Tensor = self.fc(self.dropout(means)).squeeze(1)
        return logits
