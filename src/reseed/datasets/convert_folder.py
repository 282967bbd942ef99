"""Cases of a folder: the Decathlon's layout, nnU-Net's, or plain images/ and labels/."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reseed.contracts.errors import InvalidDataset
from reseed.datasets.images import SourceImage, image_channel, image_file, images_of, simpleitk
from reseed.datasets.source_cases import ImageCase
from reseed.documents.reading import json_document
from reseed.imaging.integrity import check_header
from reseed.imaging.metaimage import UnusableImage

DATASET_JSON = "dataset.json"

_TRAINING = (("imagesTr", "labelsTr"), ("images", "labels"))
_TEST = ("imagesTs", "labelsTs")


@dataclass(frozen=True)
class FolderSource:
    """
    What a folder holds.

    Parameters
    ----------
    cases
        With image and label map, in the order of their names; each its own patient until told otherwise.
    label_names
        By value, as dataset.json has them; empty without one.
    test
        The cases of imagesTs, when these have label maps: the source's own test set.
    unpaired
        Names of images without a label map, and of label maps without an image.
    """

    cases: tuple[ImageCase, ...]
    label_names: Mapping[int, str]
    test: frozenset[str]
    unpaired: tuple[str, ...]


def is_image_folder(folder: Path) -> bool:
    """Whether a folder has one of the layouts that `read_folder` knows."""
    return any((folder / images).is_dir() for images, _ in _TRAINING)


def read_folder(folder: Path, channels: Mapping[str, int], *, skip: Collection[str] = ()) -> FolderSource:
    """
    The cases of a folder, whose images are not read yet.

    Parameters
    ----------
    folder
        With imagesTr/ and labelsTr/ (and dataset.json), or with images/ and labels/.
    channels
        The source's channel by the slug of the socket that it fills.
    skip
        Cases to leave out.

    Raises
    ------
    InvalidDataset
        When the folder has no such layout, a channel is missing or dataset.json is not one.
    """
    layout = next((pair for pair in _TRAINING if (folder / pair[0]).is_dir()), None)
    if layout is None or not (folder / layout[1]).is_dir():
        raise InvalidDataset(
            f"{folder}: must hold imagesTr and labelsTr (Medical Segmentation Decathlon, nnU-Net), "
            "or images and labels"
        )
    document = _dataset_document(folder / DATASET_JSON)
    is_nnunet = "channel_names" in document
    found, unpaired = _pairs(folder, layout, channels, is_nnunet=is_nnunet, skip=skip)
    test: list[ImageCase] = []
    if (folder / _TEST[1]).is_dir():
        # images of a test set whose label maps are not published are no mistake
        test, _ = _pairs(folder, _TEST, channels, is_nnunet=is_nnunet, skip=skip)
    cases = sorted([*found, *test], key=lambda case: case.case)
    if not cases:
        raise InvalidDataset(f"{folder}: has no case with an image and a label map")
    return FolderSource(
        tuple(cases), _label_names(document), frozenset(case.case for case in test), tuple(unpaired)
    )


def _pairs(
    folder: Path,
    layout: tuple[str, str],
    channels: Mapping[str, int],
    *,
    is_nnunet: bool,
    skip: Collection[str],
) -> tuple[list[ImageCase], list[str]]:
    images, labels = images_of(folder / layout[0]), images_of(folder / layout[1])
    names = {name.rpartition("_")[0] for name in images} if is_nnunet else set(images)
    cases = [
        ImageCase(
            case,
            case,
            {
                slug: _channel(folder / layout[0], images, case, number, is_nnunet)
                for slug, number in channels.items()
            },
            image_file(labels[case]),
        )
        for case in sorted((names & labels.keys()) - set(skip))
    ]
    alone = [f"{layout[0]}/{name}" for name in sorted(names - labels.keys() - set(skip))]
    alone += [f"{layout[1]}/{name}" for name in sorted(labels.keys() - names - set(skip))]
    return cases, alone


def _channel(
    folder: Path, images: Mapping[str, Path], case: str, channel: int, is_nnunet: bool
) -> SourceImage:
    if is_nnunet:
        name = f"{case}_{channel:04d}"
        return image_file(images.get(name, folder / f"{name}.nii.gz"))
    if channel == 0 and not _has_channels(images[case]):
        return image_file(images[case])
    return image_channel(images[case], channel)


def _has_channels(path: Path) -> bool:
    """Whether a file has a fourth axis, by its header alone."""
    reader = simpleitk().ImageFileReader()
    reader.SetFileName(str(path))
    try:
        check_header(path)
        reader.ReadImageInformation()
    except (RuntimeError, UnusableImage):
        return False  # whoever reads it says what is wrong with it
    return int(reader.GetDimension()) == 4


def _dataset_document(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    document = json_document(path)
    if not isinstance(document, dict) or not isinstance(document.get("labels"), dict):
        raise InvalidDataset(f"{path}: must be the dataset.json of an MSD or nnU-Net dataset, with labels")
    return document


def _label_names(document: Mapping[str, Any]) -> dict[int, str]:
    """Decathlon: value to name; nnU-Net: name to value, or to the values of a region, which is no name."""
    names: dict[int, str] = {}
    for key, value in document.get("labels", {}).items():
        if isinstance(value, str) and key.isdecimal():
            names[int(key)] = value
        elif isinstance(value, int) and not isinstance(value, bool):
            names[value] = key
    return {value: name for value, name in names.items() if value != 0}
