"""The datasets that Reseed can build, by name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from reseed.contracts.dataset import DATASET_MANIFEST, DatasetManifest
from reseed.contracts.errors import InvalidDataset, UserError
from reseed.contracts.task import Task
from reseed.datasets.decathlon import DECATHLON, DecathlonTask, build_decathlon, forget_download
from reseed.datasets.folder import publish_dataset, read_dataset
from reseed.datasets.lidc import folder as lidc
from reseed.datasets.phantom_folder import PHANTOMS, PhantomDataset, build_phantoms
from reseed.documents.reading import read_yaml

Progress = Callable[[str], None]

DOWNLOADS = ".downloads"
"""Folder beside the datasets where archives are kept until a dataset has been made of them."""


@dataclass(frozen=True)
class Build:
    """
    What a dataset is built with.

    Parameters
    ----------
    folder
        Empty; what is left in it becomes the dataset.
    source
        A file or folder to build from instead of what would be looked for or downloaded.
    progress
        Told what is going on, one line at a time.
    tasks
        The folder of task files, whose sockets the cases fill.
    downloads
        Where archives are kept.
    """

    folder: Path
    source: Path | None
    progress: Progress
    tasks: Path | None
    downloads: Path

    def task(self, name: str) -> Task:
        """
        A task by its name.

        Raises
        ------
        UserError
            When there is no folder of tasks.
        """
        if self.tasks is None:
            raise UserError(f"task {name!r} is needed and no folder of tasks was found; work in a checkout")
        return read_yaml(self.tasks / f"{name}.yaml", Task)


@dataclass(frozen=True)
class KnownDataset:
    """A dataset that can be built anywhere."""

    name: str
    title: str
    task: str
    build: Callable[[Build], None]
    published_digest: str | None = None
    """Where every build gives the same bytes and they are known."""
    forget: Callable[[Path], None] | None = None
    """Removes from the folder of downloads what is not needed once the dataset is there."""
    takes_source: bool = True
    """Whether it can be built from a file or folder that is given."""


def _lidc() -> KnownDataset:
    return KnownDataset(
        lidc.NAME,
        lidc.TITLE,
        lidc.TASK,
        lambda build: lidc.build_lidc_nodules(build.folder, build.source, build.progress),
        lidc.PUBLISHED_DIGEST,
    )


def _decathlon(known: DecathlonTask) -> KnownDataset:
    def build(asked: Build) -> None:
        task = asked.task(known.task)
        build_decathlon(
            known, asked.folder, asked.source, asked.progress, task=task, downloads=asked.downloads
        )

    return KnownDataset(
        known.name, known.title, known.task, build, forget=functools.partial(forget_download, known)
    )


def _phantoms(known: PhantomDataset) -> KnownDataset:
    def build(asked: Build) -> None:
        build_phantoms(known, asked.folder, asked.progress, task=asked.task(known.task))

    return KnownDataset(known.name, known.title, known.task, build, takes_source=False)


KNOWN_DATASETS: Mapping[str, KnownDataset] = MappingProxyType(
    {known.name: known for known in (_lidc(), *map(_decathlon, DECATHLON), *map(_phantoms, PHANTOMS))}
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


def build_dataset(
    name: str, out: Path, *, source: Path | None, progress: Progress, tasks: Path | None = None
) -> DatasetManifest:
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
        A file or folder to build from instead of what would be looked for or downloaded.
    progress
        Told what is going on, one line at a time.
    tasks
        The folder of task files, which some datasets are laid out by.

    Raises
    ------
    UserError
        When the name is not known, something else is at that place, or a source is given for a
        dataset that is made without any.
    """
    known = known_dataset(name)
    if source is not None and not known.takes_source:
        raise UserError(f"dataset {name!r} is made from random numbers: it takes no --from, got {source}")
    if _holds_something(out):
        manifest = _own_manifest(known, out)
        progress(f"{out}: {counts_line(manifest)}, already there and left alone")
        return manifest
    downloads = out.parent / DOWNLOADS
    publish_dataset(out, lambda folder: known.build(Build(folder, source, progress, tasks, downloads)))
    if known.forget is not None:
        known.forget(downloads)
    manifest = _own_manifest(known, out)
    progress(f"{out}: {counts_line(manifest)}")
    if known.published_digest is not None and manifest.digest() != known.published_digest:
        progress(
            f"{out}: this machine built other bytes than the published ones (digest {manifest.digest()}, "
            f"published {known.published_digest}); results can differ in the last digits"
        )
    return manifest


def dataset_folder(
    name_or_path: str | Path, *, root: Path, progress: Progress, tasks: Path | None = None
) -> Path:
    """
    The folder of a dataset that a study names; a known one is built on first use.

    Parameters
    ----------
    name_or_path
        The name of a dataset, which then lives at root/<name>, or the path of a folder.
    root
        Where datasets are kept.
    progress
        Told what is going on, one line at a time.
    tasks
        The folder of task files, which some datasets are laid out by.

    Raises
    ------
    UserError
        When it is neither, or the folder is not a complete dataset.
    """
    folder = kept_dataset(name_or_path, root=root)
    if folder is not None:
        return folder
    name = str(name_or_path)
    if name not in KNOWN_DATASETS:
        known = ", ".join(KNOWN_DATASETS)
        raise InvalidDataset(
            f"dataset {name!r} is neither a known dataset ({known}) nor a folder, here or in {root}; "
            "make one with `reseed data convert`"
        )
    build_dataset(name, root / name, source=None, progress=progress, tasks=tasks)
    return root / name


def kept_dataset(name_or_path: str | Path, *, root: Path) -> Path | None:
    """
    The folder of a dataset that a study names, if it is here; nothing is built.

    Raises
    ------
    UserError
        When something is at its place that is not a complete dataset, or another known one.
    """
    name = str(name_or_path)
    kept = root / name
    if name in KNOWN_DATASETS:
        if not _holds_something(kept):
            return None
        _own_manifest(KNOWN_DATASETS[name], kept)
        return kept
    folder = kept if (kept / DATASET_MANIFEST).is_file() else Path(name_or_path)
    if not folder.is_dir():
        return None
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


def counts_line(manifest: DatasetManifest) -> str:
    """A dataset in one line: its name and how much there is of it."""
    return (
        f"{manifest.dataset} {manifest.version}, "
        f"{manifest.n_training_cases} cases of {manifest.n_training_patients} patients to train, "
        f"{manifest.n_test_cases} of {manifest.n_test_patients} to test"
    )
