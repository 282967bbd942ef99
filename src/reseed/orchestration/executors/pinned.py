"""Containers of images that somebody else made: by digest, started as the image says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors

from reseed.contracts.errors import InfrastructureError, UserError
from reseed.contracts.job import Attempt
from reseed.orchestration.executors.container_status import program_status
from reseed.orchestration.executors.container_user import container_user
from reseed.orchestration.executors.docker import DockerExecutor
from reseed.orchestration.executors.engine import ENGINE_ERRORS, asked, engine_complaint, printed, remove
from reseed.orchestration.executors.executor import ProgramState, ProgramStatus
from reseed.orchestration.executors.host_paths import HostPaths
from reseed.orchestration.packaging.untagged import untagged_stream
from reseed.orchestration.study_folder import AttemptFolder
from reseed.orchestration.workspace import Launch

LOADED_REPOSITORY = "reseed-submitted"


@dataclass(frozen=True)
class LabelledContainer:
    """A container of the engine, running or not, with the labels it was started with."""

    identifier: str
    labels: Mapping[str, str]


class PinnedDockerExecutor(DockerExecutor):
    """
    Runs jobs whose role is the digest of an image (sha256:…), as `docker run IMAGE [command]` would.

    The flags are those of every container (docs/contracts.md). The image needs no shell: how its
    program ended is what the engine says.
    """

    queues = False

    def __init__(self, client: docker.DockerClient, host_paths: HostPaths) -> None:
        super().__init__(client, host_paths)
        self.engine_id = str(asked(client.info, "the Docker engine does not answer").get("ID", ""))

    def close(self) -> None:
        """Give back the connections to the engine."""
        self._client.close()

    def poll(self, attempt: Attempt, folder: AttemptFolder) -> ProgramStatus:
        """The state of a container as the engine says: a file that the program wrote says nothing."""
        container = self._container(folder)
        if container is None:
            return ProgramStatus(ProgramState.LOST)
        return program_status(container.attrs["State"])

    def errors(self, attempt: Attempt, folder: AttemptFolder) -> str:
        """What a container has printed to standard error, its last 1000 lines."""
        container = self._container(folder)
        return ((container and printed(container, stdout=False)) or b"").decode(errors="replace")

    def digest_of(self, image: str) -> str:
        """
        The digest of an image that the engine has, by any name.

        Raises
        ------
        InfrastructureError
            When it has none.
        """
        found = self._found(image)
        if found is None:
            raise InfrastructureError(f"the engine has no image {image}")
        return str(found.id)

    def has_image(self, digest: str) -> bool:
        """Whether an image is there."""
        return self._found(digest) is not None

    def load(self, tarball: Path, digest: str) -> None:
        """
        Load the image of a tarball, without the names that it was saved under.

        Whoever made the tarball chose those names; they could be those of another image here.

        Raises
        ------
        UserError
            When the engine finds another image in it.
        InvalidPackage
            When it is no image.
        """
        with untagged_stream(tarball) as stream:
            asked(lambda: self._client.images.load(stream), f"{tarball.name} cannot be loaded")
        image = self._found(digest)
        if image is None:
            raise UserError(f"the tarball does not hold the image {digest}")
        # an image without a name is what `docker image prune` removes
        asked(
            lambda: image.tag(LOADED_REPOSITORY, tag=digest.removeprefix("sha256:")),
            f"{digest} cannot be named",
        )

    def labelled(self, label: str) -> Iterator[LabelledContainer]:
        """Every container with a label (`name=value`)."""
        found = asked(
            lambda: self._client.containers.list(all=True, filters={"label": label}, ignore_removed=True),
            "the Docker engine does not answer",
        )
        for container in found:
            yield LabelledContainer(str(container.id), dict(container.labels))

    def end(self, identifier: str) -> None:
        """Kill and remove a container, which may be gone already, or on its way."""
        try:
            container = self._client.containers.get(identifier)
        except docker.errors.NotFound:
            return
        except ENGINE_ERRORS as error:
            raise engine_complaint("the Docker engine does not answer", error) from error
        remove(container)

    def _start_of(self, config: Mapping[str, Any], launch: Launch) -> dict[str, list[str]]:
        return {"command": launch.job.command.split()} if launch.job.command else {}

    def _called(self, role: str) -> str:
        return role

    def _unless_it_has_run(self, container: Any, attempt: Attempt, folder: AttemptFolder) -> ProgramStatus:
        self.release(attempt, folder)  # no shell of ours is there to say that it has begun
        return ProgramStatus(ProgramState.ABSENT)

    def _moved_container(self, folder: AttemptFolder) -> Any | None:
        return None  # a data folder is not moved while it is at work

    def _image(self, role: str) -> Any:
        found = self._found(role)
        if found is None:
            raise InfrastructureError(f"the engine has no image {role}")
        container_user(found.attrs.get("Config") or {}, image=role)
        return found

    def _found(self, image: str) -> Any | None:
        try:
            return asked(lambda: self._client.images.get(image), "the Docker engine does not answer")
        except InfrastructureError as error:
            if isinstance(error.__cause__, docker.errors.ImageNotFound):
                return None
            raise
