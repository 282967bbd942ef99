"""Digests: what counts as the same."""

import hashlib

from reseed.contracts.digests import digest_by_file, document_digest, file_digest, folder_digest


class TestDigests:
    def test_a_file(self, tmp_path):
        """
        SHA-256 of the bytes, also beyond one block.
        """
        content = b"x" * 3_000_001
        (tmp_path / "f").write_bytes(content)

        assert file_digest(tmp_path / "f") == hashlib.sha256(content).hexdigest()

    def test_a_document(self):
        """
        The order of keys means nothing; types do.
        """
        assert document_digest({"a": 1, "b": [True]}) == document_digest({"b": [True], "a": 1})
        assert document_digest({"a": 1}) != document_digest({"a": "1"})
        assert document_digest({"a": 1}) != document_digest({"a": True})

    def test_a_folder(self, tmp_path):
        """
        Names and contents of files count; empty folders and skipped names do not.
        """
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "x").write_text("1")
        (tmp_path / "__pycache__").mkdir()
        (tmp_path / "__pycache__" / "x").write_text("noise")
        before = folder_digest(tmp_path, skip=["__pycache__"])
        (tmp_path / "empty").mkdir()

        assert list(digest_by_file(tmp_path, skip=["__pycache__"])) == ["b/x"]
        assert folder_digest(tmp_path, skip=["__pycache__"]) == before

        (tmp_path / "b" / "x").rename(tmp_path / "b" / "y")
        assert folder_digest(tmp_path, skip=["__pycache__"]) != before
