"""Tasks of the Medical Segmentation Decathlon that Reseed can get."""

from __future__ import annotations

import re
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from reseed.contracts.errors import InvalidDataset
from reseed.contracts.task import Task
from reseed.datasets.conversion import write_image_dataset
from reseed.datasets.convert_folder import is_image_folder, read_folder
from reseed.datasets.download import FileDigests, PublishedFile, check_digests, downloaded
from reseed.datasets.source_cases import DatasetDescription, LabelValues, check_names
from reseed.datasets.split import drawn_test_cases

Progress = Callable[[str], None]

TEST_FRACTION = 0.3
SPLIT_SEED = 0

LICENCE = "CC-BY-SA-4.0"
CITATION = """\
Antonelli M, Reinke A, Bakas S, et al. The Medical Segmentation Decathlon. Nature Communications
2022;13:4128. https://doi.org/10.1038/s41467-022-30695-9

Simpson AL, Antonelli M, Bakas S, et al. A large annotated medical image dataset for the development
and evaluation of segmentation algorithms. arXiv:1902.09063, 2019.
"""
LICENCE_TEXT = """\
The images and label maps in this folder are from the Medical Segmentation Decathlon
(http://medicaldecathlon.com), under the Creative Commons Attribution-ShareAlike 4.0 International
licence (CC BY-SA 4.0): https://creativecommons.org/licenses/by-sa/4.0/ . Whoever passes them on names
the source as in CITATION, and passes on what is made of them under the same licence.

Changes made: cases were divided into a training and a test part; images of the test part were written
as MetaImage; further changes, if any, are among the notes in dataset.json.
"""
NO_PATIENTS = (
    "the Decathlon names no patients: every case counts as another patient, and a person with two cases "
    "can be on both sides of the split"
)


@dataclass(frozen=True)
class DecathlonTask:
    """
    One task of the Decathlon as a dataset of Reseed.

    Parameters
    ----------
    name, title
        Of the dataset.
    task
        Whose sockets it fills.
    archive
        The mirror that its organisers keep for MONAI. MD5 as MONAI checks it; SHA-256 as the
        library torch-em lists it, None where it lists none.
    channels
        Channel of the images by the slug of the input socket.
    labels
        What values become; a value that is not named stays.
    notes
        What a reader must know of the data.
    """

    name: str
    title: str
    task: str
    archive: PublishedFile
    channels: Mapping[str, int]
    labels: LabelValues = field(default_factory=LabelValues)
    notes: tuple[str, ...] = ()


_MIRROR = "https://msd-for-monai.s3-us-west-2.amazonaws.com"

DECATHLON = (
    DecathlonTask(
        name="msd-hippocampus",
        title="Hippocampi in T1-weighted MRI with their anterior and posterior part (Decathlon, Task04)",
        task="hippocampus_segmentation",
        archive=PublishedFile(
            url=f"{_MIRROR}/Task04_Hippocampus.tar",
            name="Task04_Hippocampus.tar",
            md5="9d24dba78a72977dbd1d2e110310f31b",
            sha256="282d808a3e84e5a52f090d9dd4c0b0057b94a6bd51ad41569aef5ff303287771",
            n_bytes_about=28_400_000,
        ),
        channels={"t1-brain-mri": 0},
        labels=LabelValues(names={1: "anterior", 2: "posterior"}),
    ),
    DecathlonTask(
        name="msd-prostate",
        title="Prostates in T2-weighted MRI with peripheral and transition zone (Decathlon, Task05)",
        task="prostate_segmentation",
        archive=PublishedFile(
            url=f"{_MIRROR}/Task05_Prostate.tar",
            name="Task05_Prostate.tar",
            md5="35138f08b1efaef89d7424d2bcc928db",
            sha256="8cbbd7147691109b880ff8774eb6ab26704b1be0935482e7996a36a4ed31ec79",
            n_bytes_about=240_000_000,
        ),
        channels={"transverse-t2-prostate-mri": 0},
        labels=LabelValues(names={1: "peripheral_zone", 2: "transition_zone"}),
        notes=("channel 1 of the source, the ADC map, is left out",),
    ),
    DecathlonTask(
        name="msd-pancreas",
        title="Pancreases with tumours in portal-venous CT (Decathlon, Task07)",
        task="pancreas_segmentation",
        archive=PublishedFile(
            url=f"{_MIRROR}/Task07_Pancreas.tar",
            name="Task07_Pancreas.tar",
            md5="4f7080cfca169fa8066d17ce6eb061e4",
            sha256=None,
            n_bytes_about=12_300_000_000,
        ),
        channels={"venous-ct": 0},
        labels=LabelValues(mapping={2: 1}, names={1: "pancreas"}),
        notes=("label 2 of the source, tumour, counts as pancreas here",),
    ),
)
"""Sizes are those that others report, for a person to decide by."""


def build_decathlon(
    known: DecathlonTask,
    folder: Path,
    source: Path | None,
    progress: Progress,
    *,
    task: Task,
    downloads: Path,
) -> None:
    """
    Fill an empty folder with a task of the Decathlon.

    Parameters
    ----------
    known
        Which one.
    folder
        Empty.
    source
        The archive, or the folder that it unpacks to; None to download.
    progress
        Told what is going on.
    task
        Whose sockets are filled.
    downloads
        Where archives are kept while they are needed.

    Raises
    ------
    UserError, InfrastructureError
        When the archive is not the published one, or cannot be had.
    InvalidDataset
        When something in it is not as it should be.
    """
    if source is not None and source.is_dir():
        text = f"folder {source.name}, given by hand: not compared with the official archive"
        _convert(known, source, folder, progress, task=task, source_text=text)
        return
    archive = source or downloaded(known.archive, downloads, progress=progress)
    if not archive.is_file():
        raise InvalidDataset(f"{archive}: no such file or folder; give {known.archive.name} or its folder")
    digests = check_digests(known.archive, archive)
    downloads.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unpacked-", dir=downloads) as scratch:
        progress(f"unpacking {archive.name}")
        unpacked = unpacked_images(archive, Path(scratch))
        text = f"{known.archive.url}, {_trust(known.archive, digests)}"
        _convert(known, unpacked, folder, progress, task=task, source_text=text)


def forget_download(known: DecathlonTask, downloads: Path) -> None:
    """Remove an archive that is not needed any more; one given with --from is the person's own."""
    (downloads / known.archive.name).unlink(missing_ok=True)
    if downloads.is_dir() and not any(downloads.iterdir()):
        downloads.rmdir()


def unpacked_images(archive: Path, scratch: Path) -> Path:
    """
    The folder with the images of an archive, unpacked below a scratch folder.

    Only images and dataset.json are taken, and nothing that would lie outside.

    Raises
    ------
    InvalidDataset
        When it is no archive, or holds no such folder.
    """
    wanted = re.compile(r"(^|.*/)((images|labels)T[rs]/[^/.][^/]*\.nii\.gz|dataset\.json)$")
    try:
        with tarfile.open(archive) as stream:
            members = (member for member in stream if member.isfile() and wanted.match(member.name))
            stream.extractall(scratch, members=members, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InvalidDataset(f"{archive}: cannot be unpacked: {error}") from None
    found = next((path.parent for path in sorted(scratch.rglob("imagesTr"))), None)
    if found is None or not is_image_folder(found):
        raise InvalidDataset(f"{archive}: holds no folder with imagesTr and labelsTr")
    return found


def _convert(
    known: DecathlonTask, source: Path, folder: Path, progress: Progress, *, task: Task, source_text: str
) -> None:
    inside = source / known.archive.name.removesuffix(".tar")
    content = read_folder(inside if inside.is_dir() else source, known.channels)
    notes = [*known.notes, NO_PATIENTS]
    if content.unpaired:
        progress(f"left out, having no partner: {', '.join(content.unpaired)}")
        notes.append(f"left out, having no partner: {', '.join(content.unpaired)}")
    notes.append(
        f"{TEST_FRACTION:.0%} of the cases test, drawn by numpy's default generator with seed {SPLIT_SEED}"
    )
    check_names([case.case for case in content.cases], where=str(source))
    progress(f"converting {len(content.cases)} cases")
    test = drawn_test_cases(
        {case.case: case.patient for case in content.cases},
        fraction=TEST_FRACTION,
        rng=np.random.default_rng(SPLIT_SEED),
    )
    description = DatasetDescription(
        dataset=known.name,
        title=known.title,
        version="1.0",
        licence=LICENCE,
        citation=CITATION,
        source=source_text,
        notes=tuple(notes),
        licence_text=LICENCE_TEXT,
    )
    write_image_dataset(
        folder,
        content.cases,
        test=test,
        task=task,
        labels=known.labels,
        description=description,
        progress=progress,
    )


def _trust(archive: PublishedFile, found: FileDigests) -> str:
    """What was compared with what, in words."""
    sha256 = f"SHA-256 {found.sha256}"
    if archive.sha256 is not None:
        return f"{sha256} and MD5 {found.md5}, both as published"
    return f"MD5 {found.md5} as published; {sha256}, which nobody has published, as it arrived"
