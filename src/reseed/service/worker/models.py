"""A brought model, unpacked to what a run sees as /opt/ml/model."""

from __future__ import annotations

import shutil
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

from reseed.contracts.errors import InfrastructureError, NoSpaceLeft
from reseed.contracts.files import make_folder, sync_folder
from reseed.orchestration.disk import is_full
from reseed.orchestration.packaging.archives import checked_tarball
from reseed.orchestration.packaging.model_rules import MODEL_LIMITS

# its size was checked when it came, by the limits of that day
_ANY_SIZE = replace(MODEL_LIMITS, packed_bytes=sys.maxsize, unpacked_bytes=sys.maxsize)


def unpack_model(tarball: Path, folder: Path) -> None:
    """
    Unpack a model, whole or not at all; nothing happens when it is there.

    Files and folders alone, inside; readable by any user of a container, and never executable.

    Raises
    ------
    InvalidPackage
        When the tarball breaks a rule of models.
    NoSpaceLeft, InfrastructureError
        When the disk is full, or fails.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    building = folder.with_name(f".{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    with checked_tarball(tarball, _ANY_SIZE, links=False) as archive:
        for member in archive.getmembers():
            _extract(archive, member, building)
    building.chmod(0o755)
    building.rename(folder)
    sync_folder(folder.parent)


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    try:
        archive.extract(_plain(member), folder, filter="data")
    except OSError as error:
        # a tarball that was read to its end when it came: the disk's fault, not the submission's
        kind = NoSpaceLeft if is_full(error) else InfrastructureError
        raise kind(f"a model cannot be unpacked: {error}") from error


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    mode = 0o755 if member.isdir() else 0o644
    return member.replace(mode=mode, uid=0, gid=0, uname="", gname="", deep=False)
