"""Files that root writes into somebody's checkout, as a container does, belong to that somebody."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def hand_over(folder: Path, *, like: Path) -> None:
    """
    Give a folder and all below it to the owner of another; only root can, others need not.

    Parameters
    ----------
    folder
        What was written. Nothing happens when it is not there.
    like
        Whose owner and group it gets, usually the project folder.
    """
    owner = like.stat()
    if os.getuid() != 0 or owner.st_uid == 0 or not folder.exists():
        return
    for path in (folder, *folder.rglob("*")):
        with contextlib.suppress(FileNotFoundError):
            if path.lstat().st_uid != owner.st_uid:
                os.lchown(path, owner.st_uid, owner.st_gid)
