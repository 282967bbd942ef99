"""The images of algorithms and of the evaluation: how they are called, built and saved."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import docker
import docker.errors

from reseed.contracts.errors import UserError
from reseed.contracts.manifest import AlgorithmManifest
from reseed.orchestration.executors.engine import ENGINE_ERRORS, asked, engine_complaint

IMAGE_PREFIX = "reseed/"


def build_command(role: str, manifest: AlgorithmManifest | None = None) -> str:
    """The command that builds the image of a role, labelled as an algorithm's manifest says."""
    if role == "evaluation":
        return f"docker build --target evaluation -t {IMAGE_PREFIX}evaluation ."
    arguments = [f"ALGORITHM={role}"]
    if manifest is not None:
        arguments.append(f"VERSION={manifest.version}")
        publication = manifest.publication
        address = publication and (publication.url or publication.doi)
        arguments += [f"PUBLICATION={address}"] if address else []
    words = " ".join(f"--build-arg {shlex.quote(argument)}" for argument in arguments)
    return f"docker build --target algorithm {words} -t {IMAGE_PREFIX}{role} ."


def image_saver(tag: str, command: str) -> Callable[[Path], None]:
    """
    A function that writes the tarball of an image, as the engine gives it, to a path.

    Parameters
    ----------
    tag
        Of the image, which is saved under this name alone.
    command
        What builds it, for a person who has not.

    Raises
    ------
    UserError
        When there is no such image.
    InfrastructureError
        When the engine does not answer.
    """
    client = asked(docker.from_env, "the Docker engine cannot be reached")
    try:
        image = client.images.get(tag)
    except docker.errors.ImageNotFound:
        raise UserError(f"no image {tag}; build it: {command}") from None
    except ENGINE_ERRORS as error:
        raise engine_complaint("the Docker engine does not answer", error) from error

    def save(path: Path) -> None:
        with path.open("wb") as stream:
            for block in asked(lambda: image.save(named=tag), f"{tag} cannot be saved"):
                stream.write(block)

    return save
