"""What nnU-Net finds through `nnUNet_extTrainer`: it looks for a class of that name in this folder."""

from algorithms.common.nnunet.trainer import ReseedTrainer

__all__ = ["ReseedTrainer"]
