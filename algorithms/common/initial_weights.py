"""The file of weights that a fine-tuning starts from, and what run.json says of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reseed.contracts.containers import TrainingPaths
from reseed.contracts.errors import UserError

CHANNEL = "initial_weights"


@dataclass(frozen=True)
class InitialWeights:
    """
    What a network started from instead of random weights.

    Attributes
    ----------
    file, sha256
        Name and digest of the file.
    n_taken
        How many arrays of it were taken.
    summed_over_channels
        First layers of which the sum over the colours was taken.
    left_random
        Layers that the file has in another shape, or not.
    """

    file: str
    sha256: str
    n_taken: int
    summed_over_channels: tuple[str, ...] = ()
    left_random: tuple[str, ...] = ()


def initial_weights_file(paths: TrainingPaths, name: str) -> Path | None:
    """
    The file that the setting `initial_weights` names; None when it is empty.

    Parameters
    ----------
    paths
        Of the training.
    name
        An absolute path, or a file in the channel `initial_weights`.

    Raises
    ------
    UserError
        When there is no such file.
    """
    if not name:
        return None
    path = paths.channel(CHANNEL) / name
    if not path.is_file():
        raise UserError(f"initial_weights: {path}: no such file")
    return path
