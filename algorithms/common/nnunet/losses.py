"""Voxel-wise losses in a form that a GPU can compute deterministically."""

from __future__ import annotations

import torch
from torch import nn

FOCUS = 2.0
"""γ of the focal loss (Lin et al. 2017)."""


class VoxelCrossEntropy(nn.Module):
    """
    Cross-entropy, mean over voxels.

    It picks the label's log-probability by `gather`, whose gradient CUDA can compute
    deterministically; that of torch's own cross-entropy over images it cannot.

    Parameters
    ----------
    ignore_label
        Voxels of this label do not count.
    focal_part
        Weight of the focal loss (1 − p)^γ · CE beside the plain one, 0 to 1.
    """

    def __init__(self, *, ignore_label: int | None = None, focal_part: float = 0.0) -> None:
        super().__init__()
        self.ignore_label = ignore_label
        self.focal_part = focal_part

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """
        The loss of a batch.

        Parameters
        ----------
        logits
            (batch, class, *space).
        target
            Labels, (batch, 1, *space) or (batch, *space).
        """
        labels = (target[:, 0] if target.ndim == logits.ndim else target).long()
        counted = None if self.ignore_label is None else labels != self.ignore_label
        if counted is not None:
            labels = torch.where(counted, labels, 0)
        log_probability = torch.log_softmax(logits, dim=1).gather(1, labels[:, None])[:, 0]
        loss = -log_probability
        if self.focal_part > 0:
            focal = (1 - log_probability.exp()) ** FOCUS * loss
            loss = self.focal_part * focal + (1 - self.focal_part) * loss
        if counted is None:
            return loss.mean()
        return (loss * counted).sum() / counted.sum().clamp(min=1)
