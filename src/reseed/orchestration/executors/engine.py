"""Asking a Docker engine, and what its errors mean."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests.exceptions

from reseed.contracts.errors import EngineSilent, InfrastructureError, NoSpaceLeft

ENGINE_ERRORS = (docker.errors.DockerException, requests.exceptions.RequestException)


def asked(question: Callable[[], Any], complaint: str) -> Any:
    """
    The engine's answer.

    Raises
    ------
    InfrastructureError
        With the complaint and what the engine said; EngineSilent or NoSpaceLeft when it is that.
    """
    try:
        return question()
    except ENGINE_ERRORS as error:
        raise engine_complaint(complaint, error) from error


def engine_complaint(what: str, error: Exception) -> InfrastructureError:
    """What an error of the SDK means: nobody there, no room, or a refusal."""
    line = f"{what}: {str(error).splitlines()[0]}"
    if not isinstance(error, docker.errors.APIError):
        return EngineSilent(line)
    return NoSpaceLeft(line) if "no space left on device" in str(error).lower() else InfrastructureError(line)


def printed(container: Any, **which: bool) -> bytes | None:
    """
    The last 1000 lines that a container has printed.

    None when its log is gone with it, or as good as: an engine that was stopped while it removed a
    container keeps it, dead, and shows its log to nobody.

    Raises
    ------
    InfrastructureError
        When the engine cannot say.
    """
    try:
        return bytes(
            asked(lambda: container.logs(tail=1000, **which), f"the log of {container.name} cannot be read")
        )
    except InfrastructureError as error:
        if _is_on_its_way_out(error):
            return None
        raise


def remove(container: Any) -> None:
    """
    Remove a container, which may be gone already, or on its way.

    Raises
    ------
    InfrastructureError
        When the engine cannot.
    """
    try:
        asked(lambda: container.remove(force=True), f"{container.name} cannot be removed")
    except InfrastructureError as error:
        if not _is_on_its_way_out(error):
            raise


def _is_on_its_way_out(error: InfrastructureError) -> bool:
    """Whether a container is not there any more (404), or its removal has begun (409)."""
    cause = error.__cause__
    return isinstance(cause, docker.errors.APIError) and cause.status_code in (404, 409)


def own_mounts(client: docker.DockerClient) -> list[tuple[Path, Path]]:
    """(here, on the host) of every mount of the container that this process runs in, if it does."""
    hostname = os.uname().nodename
    if not Path("/.dockerenv").exists():
        return []
    try:
        mounts = client.containers.get(hostname).attrs["Mounts"]
    except docker.errors.NotFound:
        return []
    return [(Path(mount["Destination"]), Path(mount["Source"])) for mount in mounts]
