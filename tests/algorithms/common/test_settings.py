"""Settings by the manifest."""

from __future__ import annotations

import json

import pytest

from algorithms.common.settings import algorithm_manifest, read_settings
from algorithms.nodule_malignancy.description import manifest
from reseed.contracts.errors import InvalidDocument

PREPROCESS = {"dimension": 2, "patch_voxels": 64}
"""What `preprocess` of nodule_malignancy reads, by default."""


@pytest.fixture
def given(tmp_path):
    def write(document):
        path = tmp_path / "hyperparameters.json"
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return path

    return write


class TestReadSettings:
    def test_defaults_are_explicit(self, given):
        """
        What is not given has the manifest's default; all arrive typed.
        """
        settings = read_settings(given({"dimension": "3", "learning_rate": "0.01"}), manifest(), "train")

        assert settings["dimension"] == 3
        assert settings["learning_rate"] == 0.01
        assert settings["epochs"] == manifest().hyperparameters["epochs"].default

    def test_other_stages_are_left_out(self, given):
        """
        preprocess takes a file with all settings and sees only its own.
        """
        assert read_settings(given({"epochs": "3"}), manifest(), "preprocess") == PREPROCESS

    def test_no_file(self, tmp_path):
        """
        Without a file all settings are defaults.
        """
        assert read_settings(tmp_path / "absent.json", manifest(), "preprocess") == PREPROCESS

    def test_unknown_setting(self, given):
        """
        A misspelt setting is refused in one line that names those there are.
        """
        with pytest.raises(
            InvalidDocument, match="has no setting 'epoch'; it has augmentation, batch_size"
        ) as error:
            read_settings(given({"epoch": "3"}), manifest(), "train")

        assert len(str(error.value).splitlines()) == 1

    @pytest.mark.parametrize(
        ("document", "message"),
        [
            ({"epochs": 3}, "setting 'epochs' must be a string, got 3"),
            ({"epochs": "0"}, "setting 'epochs' must be at least 1, got '0'"),
            ({"dimension": "4"}, "setting 'dimension' must be one of 2, 3, got '4'"),
            ([], "must be a JSON object, got list"),
            ("{", "not valid JSON"),
        ],
    )
    def test_refusals(self, given, document, message):
        """
        Whatever is wrong is said in words, with the file.
        """
        with pytest.raises(InvalidDocument, match=message):
            read_settings(given(document), manifest(), "train")


class TestAlgorithmManifest:
    def test_mistakes_have_their_key(self, tmp_path):
        """
        A manifest that breaks the contract names the keys.
        """
        (tmp_path / "manifest.yaml").write_text("algorithm: UPPER\n")

        with pytest.raises(InvalidDocument, match=r"manifest\.yaml: algorithm:"):
            algorithm_manifest(tmp_path)
