"""A brought model, unpacked to what a run sees as /opt/ml/model."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

from reseed.contracts.files import make_folder, sync_folder
from reseed.orchestration.packaging.archives import checked_tarball
from reseed.orchestration.packaging.model_rules import MODEL_LIMITS


def unpack_model(tarball: Path, folder: Path) -> None:
    """
    Unpack a model, whole or not at all; nothing happens when it is there.

    Files and folders alone, inside; readable by any user of a container, and never executable.

    Raises
    ------
    InvalidPackage
        When the tarball breaks a rule of models.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    building = folder.with_name(f".{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    with checked_tarball(tarball, MODEL_LIMITS, links=False) as archive:
        for member in archive.getmembers():
            archive.extract(_plain(member), building, filter="data")
    building.chmod(0o755)
    building.rename(folder)
    sync_folder(folder.parent)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    mode = 0o755 if member.isdir() else 0o644
    return member.replace(mode=mode, uid=0, gid=0, uname="", gname="", deep=False)
