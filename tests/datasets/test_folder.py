"""Dataset folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reseed.contracts.dataset import DATASET_MANIFEST
from reseed.contracts.digests import digest_by_file
from reseed.contracts.errors import InvalidDataset
from reseed.datasets import check_dataset, read_dataset
from reseed.datasets.folder import publish_dataset


def fill(folder, **changes):
    """A tiny dataset of the user's own."""
    (folder / "training").mkdir(parents=True)
    (folder / "training/reference.csv").write_text("case\n")
    (folder / "LICENSE").write_text("free\n")
    manifest = {
        "dataset": "mine",
        "title": "Mine",
        "version": "1",
        "tasks": ["nodule_malignancy"],
        "licence": "CC0-1.0",
        "citation": "none",
        "source": "a test",
        "n_training_cases": 1,
        "n_training_patients": 1,
        "n_test_cases": 1,
        "n_test_patients": 1,
        "files": digest_by_file(folder),
    }
    (folder / DATASET_MANIFEST).write_text(json.dumps(manifest | changes))


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "mine"
    fill(folder)
    return folder


class TestReadDataset:
    def test_whole_folder(self, folder):
        """
        A folder with all its files gives its manifest, and passes the full check.
        """
        assert read_dataset(folder).dataset == "mine"
        assert check_dataset(folder) == read_dataset(folder)

    def test_no_folder(self, tmp_path):
        """
        A path that is not there is named.
        """
        with pytest.raises(InvalidDataset, match=r"nowhere: no such dataset folder"):
            read_dataset(tmp_path / "nowhere")

    def test_no_manifest(self, tmp_path):
        """
        A folder without a manifest is not a dataset.
        """
        with pytest.raises(InvalidDataset, match=r"is not a dataset folder: it has no dataset\.json"):
            read_dataset(tmp_path)

    def test_missing_file(self, folder):
        """
        A missing file is found without reading the others.
        """
        (folder / "LICENSE").unlink()

        with pytest.raises(InvalidDataset, match=r"1 of the 2 files of dataset 'mine' are missing: LICENSE"):
            read_dataset(folder)

    def test_unknown_key(self, tmp_path):
        """
        A manifest with a key that no one knows is refused, and the key named.
        """
        fill(tmp_path / "odd", colour="blue")

        with pytest.raises(InvalidDataset, match=r"colour: unknown key"):
            read_dataset(tmp_path / "odd")

    def test_no_json(self, folder):
        """
        A manifest cut short is refused.
        """
        (folder / DATASET_MANIFEST).write_text('{"dataset":')

        with pytest.raises(InvalidDataset, match="not valid JSON"):
            read_dataset(folder)


class TestCheckDataset:
    def test_changed_file(self, folder):
        """
        A file of the right name with other bytes is found by the full check.
        """
        (folder / "LICENSE").write_text("not free\n")

        with pytest.raises(InvalidDataset, match=r"1 of the 2 files .* differ from the manifest: LICENSE"):
            check_dataset(folder)

    def test_further_file(self, folder):
        """
        A file that the manifest does not name could reach an algorithm unnoticed: refused.
        """
        (folder / "training/extra.csv").write_text("")

        with pytest.raises(
            InvalidDataset, match=r"1 files are not part of dataset 'mine': training/extra\.csv"
        ):
            check_dataset(folder)


class TestPublishDataset:
    def test_failure_leaves_nothing(self, tmp_path):
        """
        A build that fails leaves neither the folder nor its beginnings.
        """

        def build(partial):
            (partial / "half").write_text("written")
            raise RuntimeError("disk full")

        with pytest.raises(RuntimeError, match="disk full"):
            publish_dataset(tmp_path / "mine", build)

        assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []

    def test_leftovers_of_a_killed_build(self, tmp_path):
        """
        What a killed build left is not taken up by the next.
        """
        (tmp_path / ".mine.partial/training").mkdir(parents=True)
        (tmp_path / ".mine.partial/stray").write_text("old")

        publish_dataset(tmp_path / "mine", fill)

        check_dataset(tmp_path / "mine")
        assert not (tmp_path / ".mine.partial").exists()

    def test_built_meanwhile(self, tmp_path):
        """
        Who waited for another's build leaves its result alone.
        """
        fill(tmp_path / "mine", title="The other's")
        built: list[Path] = []

        publish_dataset(tmp_path / "mine", built.append)

        assert built == []
        assert check_dataset(tmp_path / "mine").title == "The other's"
