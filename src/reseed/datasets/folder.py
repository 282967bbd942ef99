"""Dataset folders: read, checked, and made visible only when they are whole."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from reseed.contracts.dataset import DATASET_MANIFEST, DatasetManifest
from reseed.contracts.digests import file_digest
from reseed.contracts.errors import InvalidDataset, InvalidDocument
from reseed.contracts.files import sync_folder
from reseed.documents.reading import json_document, validation_lines

_SHOWN = 3


def read_dataset(folder: Path) -> DatasetManifest:
    """
    The manifest of a dataset folder, after a fast check that every file it names is there.

    Raises
    ------
    InvalidDataset
        When the folder is not a dataset, or files are missing.
    """
    path = folder / DATASET_MANIFEST
    if not folder.is_dir():
        raise InvalidDataset(f"{folder}: no such dataset folder")
    if not path.is_file():
        raise InvalidDataset(f"{folder}: is not a dataset folder: it has no {DATASET_MANIFEST}")
    try:
        manifest = DatasetManifest.model_validate(json_document(path))
    except ValidationError as error:
        raise InvalidDataset("\n".join(validation_lines(str(path), error))) from None
    except InvalidDocument as error:
        raise InvalidDataset(str(error)) from None
    missing = [name for name in manifest.files if not (folder / name).is_file()]
    if missing:
        raise InvalidDataset(
            f"{folder}: {len(missing)} of the {len(manifest.files)} files of dataset {manifest.dataset!r} "
            f"are missing: {_listed(missing)}"
        )
    return manifest


def check_dataset(folder: Path) -> DatasetManifest:
    """
    The manifest of a dataset folder, after reading every file and comparing its SHA-256.

    Raises
    ------
    InvalidDataset
        When a file is missing, changed, or not named in the manifest.
    """
    manifest = read_dataset(folder)
    changed = [name for name, sha256 in manifest.files.items() if file_digest(folder / name) != sha256]
    if changed:
        raise InvalidDataset(
            f"{folder}: {len(changed)} of the {len(manifest.files)} files of dataset {manifest.dataset!r} "
            f"differ from the manifest: {_listed(changed)}"
        )
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    unknown = sorted(present - manifest.files.keys() - {DATASET_MANIFEST})
    if unknown:
        raise InvalidDataset(
            f"{folder}: {len(unknown)} files are not part of dataset {manifest.dataset!r}: {_listed(unknown)}"
        )
    return manifest


def publish_dataset(folder: Path, build: Callable[[Path], None]) -> None:
    """
    Build a dataset beside its place and rename it there, so that nobody meets half of it.

    One process builds at a time; another that waited finds the folder there and leaves it alone.
    What an interrupted build left behind is removed by the next.

    Parameters
    ----------
    folder
        Where the dataset shall be.
    build
        Fills an empty folder; the manifest last.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.parent / f".{folder.name}.partial"
    with _exclusive(folder.parent / f".{folder.name}.lock"):
        if (folder / DATASET_MANIFEST).is_file():
            return
        if folder.is_dir():
            folder.rmdir()  # an empty one; anything else stops the build here
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            build(partial)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        os.sync()
        partial.rename(folder)
        sync_folder(folder.parent)


@contextmanager
def _exclusive(lock: Path) -> Iterator[None]:
    """Hold a lock that the system lets go of when the process ends, however it ends."""
    with lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown}, …"
