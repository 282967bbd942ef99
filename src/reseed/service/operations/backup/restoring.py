"""Restoring a backup into an installation that is empty, all of it or nothing."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from reseed.contracts.errors import UserError
from reseed.contracts.files import make_folder, sync_folder, sync_tree, write_text_atomically
from reseed.service.database.engine import Database
from reseed.service.database.migration import knows_revision, migrate
from reseed.service.folders import DataFolder
from reseed.service.installation import Installation
from reseed.service.operations.backup.archive import HEADER, InvalidBackup, read_header, unpack
from reseed.service.operations.backup.databases import (
    FILE_NAMES,
    check_client,
    fill,
    is_empty,
    kind_of,
    remove_tables,
    sqlite_path,
)
from reseed.service.operations.backup.settling import settle
from reseed.service.operations.backup.taking import Header

_FOLDERS = ("uploads", "images", "models", "submissions", "phases")
_FILES = "files"
_MARK = "database"
# What a file system, or `reseed serve` on an empty installation, may have put there.
_HARMLESS = ("lost+found", "leaderboards", ".housekeeping.lock")


@dataclass(frozen=True)
class Restored:
    """What was restored, and what the person who did it should know."""

    header: Header
    n_files: int
    notes: tuple[str, ...]


def restore_backup(here: Installation, path: Path) -> Restored:
    """
    Restore a backup; its tables are brought to this version.

    Until the last step, which removes the folder `.restore` of the data folder, no command of the service
    works here; when it was interrupted, the same command begins again.

    Parameters
    ----------
    here
        With an empty data folder and an empty database; no web process or worker may run.
    path
        The backup.

    Raises
    ------
    InvalidBackup
        When it is not whole, or was changed: nothing is restored then.
    UserError
        When the installation is not empty, or this version or this kind of database is not the backup's.
    NoSpaceLeft
        When the disk is full.
    """
    header = _header(path)
    _check_fits(header, here.database, path)
    check_client(here.database)
    with _begun(here) as folder:
        files = DataFolder(folder / _FILES)
        n_files = unpack(path, lambda name: _place(path, files.root, header, name))
        sync_tree(files.root)
        notes = _restore_database(here, header, files)
        _put_in_place(here, files.root)
    return Restored(header, n_files, tuple(notes))


def refuse_unfinished_restore(folder: DataFolder) -> None:
    """
    Go on only where no restore was begun and not finished.

    Raises
    ------
    UserError
    """
    if folder.unfinished_restore.exists():
        raise UserError(
            f"{folder.root}: a backup is being restored here, or was not restored to its end: "
            "run `reseed service restore FILE` again"
        )


def _header(path: Path) -> Header:
    try:
        return Header.model_validate_json(read_header(path))
    except ValidationError as error:
        rule = error.errors()[0]
        place = ".".join(str(part) for part in rule["loc"])
        raise InvalidBackup(f"{path}: {HEADER}: {place}: {rule['msg']}") from None


def _check_fits(header: Header, database: Database, path: Path) -> None:
    if not knows_revision(header.revision):
        raise UserError(
            f"{path}: is of a newer version: Reseed {header.version} with the tables of revision "
            f"{header.revision}, which this version does not know"
        )
    if header.database != kind_of(database):
        raise UserError(
            f"{path}: is of a database of the kind {header.database}, and RESEED_DATABASE_URL names one of "
            f"the kind {kind_of(database)}"
        )


def _place(path: Path, root: Path, header: Header, name: str) -> Path:
    """Where a file of the backup is unpacked to; only what a backup can hold has a place."""
    top = PurePosixPath(name).parts[0]
    if name not in (HEADER, FILE_NAMES[header.database]) and top not in _FOLDERS:
        raise InvalidBackup(f"{path}: {name!r} does not belong there; the backup was changed")
    return root / name


@contextmanager
def _begun(here: Installation) -> Iterator[Path]:
    """The folder to unpack to, in an installation that is empty; it is gone when the block has ended."""
    root, folder = here.folder.root, here.folder.unfinished_restore
    make_folder(root)
    with closing(_Lock(root / ".restore.lock")):
        _refuse_unless_empty(here)
        _undo(here)
        folder.mkdir(mode=0o700)
        write_text_atomically(folder / _MARK, _digest_of(here.database))
        before = os.umask(0o022)
        try:
            yield folder
        except BaseException:
            _undo(here)
            raise
        finally:
            os.umask(before)
        shutil.rmtree(folder)
        sync_folder(root)


class _Lock:
    """One restore at a time; it goes with the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise UserError(f"{path.parent}: another process is restoring a backup here") from None

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def _refuse_unless_empty(here: Installation) -> None:
    root = here.folder.root
    is_ours = here.folder.unfinished_restore.exists()
    if not (is_ours and _is_marked(here)) and not is_empty(here.database):
        where = here.database.url.render_as_string(hide_password=True)
        raise UserError(f"{where}: has users already, and a backup is restored into an empty database only")
    allowed = {*_HARMLESS, ".restore", ".restore.lock"}
    if here.database.is_sqlite:
        path = sqlite_path(here.database)
        allowed |= {path.name + end for end in ("", "-wal", "-shm")}
    if is_ours:
        allowed |= set(_FOLDERS)
    there = sorted(
        each.name
        for each in root.iterdir()
        if each.name not in allowed and not (each.name in _FOLDERS and not any(each.iterdir()))
    )
    if there:
        raise UserError(
            f"{root}: has {', '.join(there[:5])} already, and a backup is restored into an empty folder only"
        )


def _is_marked(here: Installation) -> bool:
    """Whether what is in this database comes from a restore that was not finished."""
    with suppress(FileNotFoundError):
        return (here.folder.unfinished_restore / _MARK).read_text() == _digest_of(here.database)
    return False


def _digest_of(database: Database) -> str:
    return hashlib.sha256(database.url.render_as_string(hide_password=True).encode()).hexdigest()


def _undo(here: Installation) -> None:
    """Remove what an unfinished restore has left, and the tables of an empty installation."""
    remove_tables(here.database)
    if not here.folder.unfinished_restore.exists():
        return
    for name in _FOLDERS:
        shutil.rmtree(here.folder.root / name, ignore_errors=True)
    # last: until then it says that the rest is of no use
    shutil.rmtree(here.folder.unfinished_restore)
    sync_folder(here.folder.root)


def _restore_database(here: Installation, header: Header, files: DataFolder) -> list[str]:
    """Bring the database to this version and instant: PostgreSQL's in its place, SQLite's beside it."""
    copy = files.root / FILE_NAMES[header.database]
    if here.database.is_sqlite:
        database = Database(f"sqlite:///{copy}")
    else:
        fill(here.database, copy)
        database = here.database
    try:
        migrate(database)
        with database.write() as session:
            notes = settle(session, created=header.created, unpacked=files, folder=here.folder)
        database.checkpoint()
    finally:
        database.close()
    return notes


def _put_in_place(here: Installation, files: Path) -> None:
    """Give everything its name, the database last."""
    root = here.folder.root
    for name in _FOLDERS:
        with suppress(FileNotFoundError):
            (files / name).rename(root / name)
    sync_folder(root)
    if not here.database.is_sqlite:
        return
    copy, path = files / FILE_NAMES["sqlite"], sqlite_path(here.database)
    make_folder(path.parent)
    if path.parent.resolve() != root.resolve():
        # perhaps on another file system
        beside = path.with_name(f".{path.name}.restored")
        shutil.copyfile(copy, beside)
        copy = beside
    with copy.open("rb") as stream:
        os.fsync(stream.fileno())
    copy.rename(path)
    sync_folder(path.parent)
