"""The ensemble of a run, as the settings of `inference` ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from algorithms.common.nnunet.prediction import Ensemble
from algorithms.common.nnunet.preprocessed import read_preparation
from algorithms.common.nnunet.stored import read_members
from reseed.contracts.containers import member_folder
from reseed.contracts.manifest import SettingValue


def member_preparation(model: Path) -> dict[str, SettingValue]:
    """How the cases of a run's training were prepared, from its first member."""
    return read_preparation(model / member_folder(0))


def run_ensemble(
    model: Path, settings: Mapping[str, SettingValue], *, device: str, network: str = "."
) -> Ensemble:
    """
    The members of a run, one of which at a time is in memory.

    Parameters
    ----------
    model
        /opt/ml/model.
    settings
        With `weights` and `tile_voxels`.
    device
        Where to compute.
    network
        Which of a member's networks.

    Raises
    ------
    UserError
        When the model is not whole.
    """
    return Ensemble(
        read_members(model, network),
        weights=str(settings["weights"]),
        device=device,
        tile_voxels=int(settings["tile_voxels"]),
    )
