"""Array files and checkpoints."""

from __future__ import annotations

import numpy as np
import pytest

from algorithms.common.arrays import ArrayFile, array_file_bytes, read_array_file
from algorithms.common.checkpoint import Checkpoint
from reseed.contracts.errors import InvalidDocument, UserError

CONTENT = ArrayFile({"b": np.arange(6.0).reshape(2, 3), "a.x": np.array(7)}, {"epoch": 3})


class TestArrayFile:
    def test_round_trip(self, tmp_path):
        """
        Arrays come back with shape and type, and the document with them.
        """
        path = tmp_path / "file.npz"
        path.write_bytes(array_file_bytes(CONTENT))

        content = read_array_file(path)

        assert content.document == {"epoch": 3}
        assert content.arrays["b"].dtype == np.float64
        assert (content.arrays["b"] == CONTENT.arrays["b"]).all()
        assert content.arrays["a.x"] == 7

    def test_same_contents_same_bytes(self):
        """
        The order in which arrays were named does not count; a value does.
        """
        turned = ArrayFile(dict(sorted(CONTENT.arrays.items(), reverse=True)), CONTENT.document)
        changed = ArrayFile({**CONTENT.arrays, "a.x": np.array(8)}, CONTENT.document)

        assert array_file_bytes(turned) == array_file_bytes(CONTENT)
        assert array_file_bytes(changed) != array_file_bytes(CONTENT)

    def test_numpy_opens_it(self, tmp_path):
        """
        Anyone with numpy can look at the weights.
        """
        path = tmp_path / "file.npz"
        path.write_bytes(array_file_bytes(CONTENT))

        with np.load(path) as arrays:
            assert (arrays["b"] == CONTENT.arrays["b"]).all()

    def test_damaged(self, tmp_path):
        """
        A file cut short is refused.
        """
        path = tmp_path / "file.npz"
        path.write_bytes(array_file_bytes(CONTENT)[:-40])

        with pytest.raises(InvalidDocument, match="not a readable array file"):
            read_array_file(path)


class TestCheckpoint:
    def test_nothing_saved(self, tmp_path):
        """
        An empty or absent folder means: start at the beginning.
        """
        assert Checkpoint(tmp_path / "absent", "me").load() is None

    def test_own(self, tmp_path):
        """
        The same training takes up what it left.
        """
        Checkpoint(tmp_path, "me").save(CONTENT)

        loaded = Checkpoint(tmp_path, "me").load()

        assert loaded is not None
        assert loaded.document["epoch"] == 3

    def test_another_trainings(self, tmp_path):
        """
        A checkpoint of other settings or seeds is refused: mixing two trainings makes neither.
        """
        Checkpoint(tmp_path, "me").save(CONTENT)

        with pytest.raises(
            UserError, match="left by a training with other settings, seeds, data or versions"
        ):
            Checkpoint(tmp_path, "you").load()

    def test_damaged(self, tmp_path):
        """
        A checkpoint that cannot be read is as good as none.
        """
        (tmp_path / "checkpoint.npz").write_bytes(b"half")

        assert Checkpoint(tmp_path, "me").load() is None
