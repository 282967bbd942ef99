"""Files that are whole or absent."""

import pytest

from reseed.contracts.files import write_json_atomically, write_text_atomically
from reseed.contracts.metrics import Aggregate


def names(folder):
    """What is in a folder."""
    return [path.name for path in folder.iterdir()]


class TestWriteAtomically:
    def test_makes_the_folder_and_replaces_the_file(self, tmp_path):
        """
        The last writer wins, and leaves nothing else behind.
        """
        path = tmp_path / "a" / "b" / "file.txt"
        write_text_atomically(path, "one")
        write_text_atomically(path, "zwö")

        assert path.read_text(encoding="utf-8") == "zwö"
        assert names(path.parent) == ["file.txt"]

    def test_the_old_file_survives_a_bad_document(self, tmp_path):
        """
        NaN is not JSON: nothing is written.
        """
        path = tmp_path / "file.json"
        write_json_atomically(path, {"a": 1})

        with pytest.raises(ValueError, match="not JSON compliant"):
            write_json_atomically(path, {"a": float("nan")})

        assert path.read_text() == '{\n "a": 1\n}\n'
        assert names(tmp_path) == ["file.json"]

    def test_the_temporary_file_goes_when_the_name_is_taken(self, tmp_path):
        """
        A failure at the last step leaves no litter.
        """
        (tmp_path / "file.txt").mkdir()

        with pytest.raises(IsADirectoryError):
            write_text_atomically(tmp_path / "file.txt", "text")

        assert names(tmp_path) == ["file.txt"]

    def test_a_model_as_json(self, tmp_path):
        """
        A contract writes its own document.
        """
        write_json_atomically(tmp_path / "a.json", Aggregate(value=0.1 + 0.2))

        assert '"value": 0.30000000000000004' in (tmp_path / "a.json").read_text()
