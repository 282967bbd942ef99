"""Training channels that break their form are refused in one line that names what is wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import SimpleITK

from algorithms.common.nnunet.channel import checked_label_map, read_training_channel
from algorithms.common.nnunet.segmentation import preprocess_channel
from reseed.contracts.containers import TrainingPaths
from reseed.contracts.errors import UserError


@pytest.fixture
def channel(dataset, tmp_path) -> Path:
    """A copy of the phantoms' training channel."""
    return Path(shutil.copytree(dataset("hippocampus_segmentation") / "training", tmp_path / "training"))


def change(path: Path, **keys) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))


def test_whole_channel(channel):
    """
    Cases in the order of their names, with patients and files.
    """
    read = read_training_channel(channel)

    assert [each.case for each in read.cases] == [f"phantom-{index:03}" for index in range(6)]
    assert read.labels == {"background": 0, "anterior": 1, "posterior": 2}
    assert read.cases[0].files.images[0].name == "phantom-000_0000.nii.gz"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda folder: (folder / "patients.csv").unlink(), "the training channel needs a patients.csv"),
        (lambda folder: (folder / "patients.csv").write_text("case\na\n"), "missing patient"),
        (lambda folder: (folder / "patients.csv").write_text("case,patient\n"), "at least one case"),
        (
            lambda folder: (folder / "patients.csv").write_text("case,patient\na,b\na,b\n"),
            "case 'a' is given twice",
        ),
        (
            lambda folder: (folder / "labelsTr/phantom-003.nii.gz").unlink(),
            "case 'phantom-003': labelsTr/phantom-003.nii.gz is missing",
        ),
        (lambda folder: (folder / "dataset.json").write_text("{"), "not valid JSON"),
        (lambda folder: (folder / "dataset.json").write_text("{}"), "must have channel_names, labels"),
        (
            lambda folder: change(folder / "dataset.json", labels={"background": 0, "a": 2}),
            r"label values must be 0 to 1, got \[0, 2\]",
        ),
    ],
)
def test_refused(channel, broken, message):
    """
    Each mistake by its name.
    """
    broken(channel)

    with pytest.raises(UserError, match=message):
        read_training_channel(channel)


def test_unknown_label(channel):
    """
    A voxel of a label that dataset.json does not know is refused, with the case.
    """
    change(channel / "dataset.json", labels={"background": 0, "anterior": 1})
    read = read_training_channel(channel)

    with pytest.raises(UserError, match=r"case 'phantom-000': labels must be among \[0, 1\], got \[2\]"):
        checked_label_map(read.cases[0], read.labels)


def test_labels_on_another_grid(channel):
    """
    Labels must lie on the grid of the first image.
    """
    read = read_training_channel(channel)
    path = read.cases[0].files.label
    image = SimpleITK.ReadImage(str(path))
    SimpleITK.WriteImage(image[1:], str(path))

    with pytest.raises(UserError, match="case 'phantom-000': labels must lie on the grid"):
        checked_label_map(read.cases[0], read.labels)


def test_one_label_for_lesions(channel, tmp_path):
    """
    A detection algorithm with one lesion class refuses further labels instead of mixing them.
    """
    paths = TrainingPaths(tmp_path)
    paths.channel("training").parent.mkdir(parents=True)
    paths.channel("training").symlink_to(channel)

    with pytest.raises(UserError, match="must have one label beside the background, 1, got background 0"):
        preprocess_channel(paths, {}, n_processes=1, spread_label=1)
