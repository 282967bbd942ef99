"""Whom a container runs as, and whose the folders are that it writes to."""

from __future__ import annotations

import os
import shutil
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
    """Let the container's user write where it must; only root can, and only root needs to."""
    if os.getuid() != 0:
        return
    name, _, group = user.partition(":")
    if not name.isdigit():
        raise UserError(f"{launch.job.name}: the image's USER must be a number, got {user!r}")
    for mount in launch.mounts:
        if mount.writable:
            for path in (mount.source, *mount.source.rglob("*")):
                shutil.chown(path, int(name), int(group) if group.isdigit() else int(name))
