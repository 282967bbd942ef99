"""Taking a backup, while web and workers run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Literal

from sqlalchemy.orm import Session

from reseed import __version__
from reseed.contracts.errors import UserError
from reseed.contracts.model import Contract
from reseed.service.database.migration import check_schema, revision_of
from reseed.service.installation import Installation
from reseed.service.operations.backup.archive import HEADER, ArchiveWriter, new_archive
from reseed.service.operations.backup.contents import Contents, StoredFolder, contents_of
from reseed.service.operations.backup.databases import FILE_NAMES, Kind, copied, kind_of

FORMAT = "reseed-backup-1"


class Header(Contract):
    """What a backup is of: its first file, backup.json."""

    format: Literal["reseed-backup-1"]
    created: datetime
    version: str
    revision: str
    database: Kind
    has_cases: bool
    counts: dict[str, int]


@dataclass(frozen=True)
class TakenBackup:
    """
    A backup that is whole and on the disk.

    Parameters
    ----------
    header
        What it is of.
    n_files, n_bytes, sha256
        Of the tarball.
    missing
        What rows need and the data folder does not have, in lines.
    """

    header: Header
    n_files: int
    n_bytes: int
    sha256: str
    missing: tuple[str, ...]


def take_backup(here: Installation, path: Path, *, with_cases: bool = False) -> TakenBackup:
    """
    Write a backup of one instant of an installation.

    Parameters
    ----------
    here
        Which may be at work.
    path
        The tarball; it is there when it is whole, and not before.
    with_cases
        Whether the hidden cases, reference and training folders of all phases are taken along.

    Raises
    ------
    UserError
        When there is such a file already, a phase's folder is missing that was asked for, or
        PostgreSQL's client.
    NoSpaceLeft
        When the disk is full.
    """
    check_schema(here.database)
    with new_archive(path) as (archive, copy):
        with copied(here.database, copy) as session:
            header = _header(here, session)
            contents = contents_of(session, here.folder, with_cases=with_cases)
        try:
            header = header.model_copy(update={"has_cases": with_cases, "counts": contents.counts})
            missing = _write(archive, header, copy, contents)
        finally:
            contents.close()
    return TakenBackup(header, archive.n_files, archive.n_bytes, archive.sha256, tuple(missing))


def _header(here: Installation, session: Session) -> Header:
    return Header(
        format=FORMAT,
        created=here.database.now(session),
        version=__version__,
        revision=revision_of(session),
        database=kind_of(here.database),
        has_cases=False,
        counts={},
    )


def _write(archive: ArchiveWriter, header: Header, copy: Path, contents: Contents) -> list[str]:
    archive.add_bytes(HEADER, header.model_dump_json(indent=1).encode())
    with copy.open("rb") as rows:
        archive.add_stream(FILE_NAMES[header.database], rows)
    missing = []
    for file in contents.files:
        try:
            stream: BinaryIO = file.held or file.path.open("rb")
        except FileNotFoundError:
            missing.append(f"{file.name} ({file.what})")
            continue
        with stream:
            archive.add_stream(file.name, stream, n_bytes=file.n_bytes)
    for folder in contents.folders:
        _write_folder(archive, folder)
    return missing


def _write_folder(archive: ArchiveWriter, folder: StoredFolder) -> None:
    if folder.follows_links and not folder.path.is_dir():
        raise UserError(f"{folder.path}: no such folder; the backup was to take along the phases' folders")
    for name, path in folder.files():
        try:
            stream: BinaryIO = path.open("rb")
        except FileNotFoundError:
            # outputs that were removed just now, because they are old
            continue
        with stream:
            archive.add_stream(name, stream)
