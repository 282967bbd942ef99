"""Two small networks that differ in nothing but their dimension."""

from __future__ import annotations

import torch
from torch import nn

_FIRST_KERNEL = {2: 5, 3: 3}
_STRIDES = {2: (2, 2, 2), 3: (2, 2, 1)}
_CONVOLUTION: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
_NORM: dict[int, type[nn.BatchNorm2d] | type[nn.BatchNorm3d]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class NoduleNetwork(nn.Module):
    """
    Three convolutions, the mean over space and planes, one linear layer to a logit.

    Strides instead of pooling keep a step short on a CPU. Deep features lie on a grid of 10 mm
    either way.

    Parameters
    ----------
    dimension
        2: patches of shape (case, plane, row, column), every plane through the same weights.
        3: patches of shape (case, z, y, x).
    channels
        Features of the first convolution.
    dropout
        Chance that a feature is left out before the last layer.
    """

    def __init__(self, *, dimension: int, channels: int, dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_in, n_out = 1, channels
        for index, stride in enumerate(_STRIDES[dimension]):
            kernel = _FIRST_KERNEL[dimension] if index == 0 else 3
            layers += [
                _CONVOLUTION[dimension](n_in, n_out, kernel, stride=stride, padding=kernel // 2, bias=False),
                _NORM[dimension](n_out),
                nn.ReLU(),
            ]
            n_in, n_out = n_out, 2 * n_out
        self._dimension = dimension
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(n_in, 1)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Logits, one for each case."""
        n_cases = len(patches)
        views = patches.flatten(0, 1) if self._dimension == 2 else patches
        features = self.features(views.unsqueeze(1)).flatten(2).mean(2)
        # one row for each view; the mean over a case's views, which are one in three dimensions
        case_features = features.reshape(n_cases, -1, features.shape[1]).mean(1)
        logits: torch.Tensor = self.head(self.dropout(case_features)).squeeze(1)
        return logits
