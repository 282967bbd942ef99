"""The datasets that Reseed can build, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from reseed.contracts.dataset import DatasetManifest
from reseed.contracts.errors import InvalidDataset, UserError
from reseed.datasets.folder import publish_dataset, read_dataset
from reseed.datasets.lidc import folder as lidc

Progress = Callable[[str], None]
Builder = Callable[[Path, Path | None, Progress], None]


@dataclass(frozen=True)
class KnownDataset:
    """A dataset that can be built anywhere, always with the same bytes."""

    name: str
    title: str
    published_digest: str
    build: Builder


KNOWN_DATASETS: Mapping[str, KnownDataset] = MappingProxyType(
    {lidc.NAME: KnownDataset(lidc.NAME, lidc.TITLE, lidc.PUBLISHED_DIGEST, lidc.build_lidc_nodules)}
)


def known_dataset(name: str) -> KnownDataset:
    """
    The dataset of that name.

    Raises
    ------
    UserError
        When there is none.
    """
    if name not in KNOWN_DATASETS:
        raise UserError(f"dataset {name!r} is not known; known datasets: {', '.join(KNOWN_DATASETS)}")
    return KNOWN_DATASETS[name]


def build_dataset(name: str, out: Path, *, source: Path | None, progress: Progress) -> DatasetManifest:
    """
    Build a known dataset at a place, unless it is there already.

    Parameters
    ----------
    name
        A known dataset.
    out
        The folder to make. A complete folder of this dataset is left alone; anything else that is
        there already is refused.
    source
        A file to build from instead of what would be looked for or downloaded.
    progress
        Told what is going on, one line at a time.

    Raises
    ------
    UserError
        When the name is not known, or something else is at that place.
    """
    known = known_dataset(name)
    if _holds_something(out):
        manifest = _own_manifest(known, out)
        progress(f"{out}: {_counts(manifest)}, already there and left alone")
        return manifest
    publish_dataset(out, lambda folder: known.build(folder, source, progress))
    manifest = _own_manifest(known, out)
    progress(f"{out}: {_counts(manifest)}")
    if manifest.digest() != known.published_digest:
        progress(
            f"{out}: this machine built other bytes than the published ones (digest {manifest.digest()}, "
            f"published {known.published_digest}); results can differ in the last digits"
        )
    return manifest


def dataset_folder(name_or_path: str | Path, *, root: Path, progress: Progress) -> Path:
    """
    The folder of a dataset that a study names, built on first use.

    Parameters
    ----------
    name_or_path
        The name of a known dataset, which then lives at root/<name>, or the path of a folder.
    root
        Where known datasets are kept.
    progress
        Told what is going on, one line at a time.

    Raises
    ------
    UserError
        When it is neither, or the folder is not a complete dataset.
    """
    name = str(name_or_path)
    if name in KNOWN_DATASETS:
        folder = root / name
        if not _holds_something(folder):
            build_dataset(name, folder, source=None, progress=progress)
        _own_manifest(KNOWN_DATASETS[name], folder)
        return folder
    folder = Path(name_or_path)
    if not folder.is_dir():
        known = ", ".join(KNOWN_DATASETS)
        raise InvalidDataset(f"dataset {name!r} is neither a known dataset ({known}) nor a folder")
    read_dataset(folder)
    return folder


def _holds_something(path: Path) -> bool:
    return path.exists() and (not path.is_dir() or any(path.iterdir()))


def _own_manifest(known: KnownDataset, folder: Path) -> DatasetManifest:
    """The manifest of a folder that must hold this dataset."""
    try:
        manifest = read_dataset(folder)
    except InvalidDataset as error:
        raise InvalidDataset(f"{error}; remove the folder or name another to build {known.name!r}") from None
    if manifest.dataset != known.name:
        raise InvalidDataset(f"{folder}: must hold dataset {known.name!r}, and holds {manifest.dataset!r}")
    return manifest


def _counts(manifest: DatasetManifest) -> str:
    return (
        f"{manifest.dataset} {manifest.version}, "
        f"{manifest.n_training_cases} cases of {manifest.n_training_patients} patients to train, "
        f"{manifest.n_test_cases} of {manifest.n_test_patients} to test"
    )
