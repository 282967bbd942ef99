"""Whom a container runs as, and whose the folders are that it writes to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from reseed.contracts.errors import UserError
from reseed.orchestration.workspace import Launch


def container_user(config: Mapping[str, Any], *, image: str) -> str:
    """
    The user that a container runs as: this process's, or the image's when this process is root.

    Raises
    ------
    UserError
        When the image sets no user, or root.
    """
    user = str(config.get("User") or "")
    if user.partition(":")[0] in ("", "0", "root"):
        raise UserError(f"image {image} must set a USER that is not root, got {user or 'none'!r}")
    return user if os.getuid() == 0 else f"{os.getuid()}:{os.getgid()}"


def own_writable_folders(launch: Launch, user: str) -> None:
    """
    Let the container's user write where it must; only root can, and only root needs to.

    A user by name has a number inside the image alone: then the folders are open to everybody.
    Links, which an earlier attempt may have left among its checkpoints, are never followed.
    """
    if os.getuid() != 0:
        return
    name, _, group = user.partition(":")
    for mount in launch.mounts:
        for path in (mount.source, *mount.source.rglob("*")) if mount.writable else ():
            if name.isdigit():
                os.lchown(path, int(name), int(group) if group.isdigit() else int(name))
            elif not path.is_symlink():
                path.chmod(0o777 if path.is_dir() else 0o666)
