"""The file of weights that a fine-tuning starts from."""

from __future__ import annotations

import pytest

from algorithms.common.initial_weights import initial_weights_file
from reseed.contracts.containers import TrainingPaths
from reseed.contracts.errors import UserError


def test_file_of_the_channel(tmp_path):
    """
    A name is a file of the channel, an absolute path is itself, nothing is no file.
    """
    paths = TrainingPaths(tmp_path)
    inside, elsewhere = paths.channel("initial_weights") / "base.npz", tmp_path / "elsewhere.npz"
    for path in (inside, elsewhere):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"weights")

    assert initial_weights_file(paths, "base.npz") == inside
    assert initial_weights_file(paths, str(elsewhere)) == elsewhere
    assert initial_weights_file(paths, "") is None


def test_missing_file(tmp_path):
    """
    A file that is not there is named.
    """
    with pytest.raises(UserError, match=r"initial_weights: .*base\.npz: no such file"):
        initial_weights_file(TrainingPaths(tmp_path), "base.npz")
