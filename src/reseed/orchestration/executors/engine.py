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
