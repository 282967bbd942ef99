"""
Jobs as containers of a Docker engine: untrusted programs, one image each, no network.

A container's name is made of the place of its attempt's folder, so that an orchestrator that was
killed at any instant finds what the one before it had started, and never what another study has.
Containers are removed only after their exit code and out-of-memory flag have been recorded.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import docker
import docker.errors
import docker.types
import requests.exceptions

from reseed.contracts.errors import EngineSilent, InfrastructureError, NoSpaceLeft, UserError
from reseed.contracts.files import write_bytes_atomically
from reseed.contracts.job import Attempt
from reseed.contracts.manifest import AlgorithmManifest
from reseed.orchestration.disk import is_full
from reseed.orchestration.executors.container_status import program_status, told_by_the_engine_alone
from reseed.orchestration.executors.container_user import container_user, own_writable_folders
from reseed.orchestration.executors.executor import Handle, ProgramState, ProgramStatus
from reseed.orchestration.executors.exit_code import (
    SHELL_OF_A_CONTAINER,
    ended_unnoted,
    make_room_for_exit_code,
    noted_end,
)
from reseed.orchestration.executors.host_paths import HostPaths
from reseed.orchestration.executors.reports import REPORT_MODULE, report_of
from reseed.orchestration.study_folder import AttemptFolder
from reseed.orchestration.workspace import SCRATCH_TARGET, Launch, job_environment

LABEL = "org.reseed.job"
IMAGE_PREFIX = "reseed/"

_PIDS_LIMIT = 512
_LOG_LIMIT = {"max-size": "20m", "max-file": "1"}
_TMP_GIB = 4
_ENGINE_ERRORS = (docker.errors.DockerException, requests.exceptions.RequestException)


class DockerExecutor:
    """
    Runs jobs as containers with the flags of docs/contracts.md.

    Parameters
    ----------
    client
        A client of the engine.
    host_paths
        What the engine's host calls the folders that this process sees.

    Raises
    ------
    InfrastructureError
        From every verb, when the engine does not answer.
    """

    name = "docker"
    poll_interval_s = 0.05

    def __init__(self, client: docker.DockerClient, host_paths: HostPaths) -> None:
        self._client = client
        self._host_paths = host_paths
        self._images: dict[str, Any] = {}
        self._moved: dict[Path, str] = {}

    @classmethod
    def connected(cls) -> Self:
        """
        An executor on the engine that the docker command would use.

        Raises
        ------
        InfrastructureError
            When no engine answers.
        """
        client = asked(docker.from_env, "the Docker engine cannot be reached")
        asked(client.ping, "the Docker engine does not answer")
        return cls(client, HostPaths(_own_mounts(client)))

    def code_digest(self, role: str) -> str:
        """The image's digest, without its algorithm's prefix."""
        return str(self._image(role).id).removeprefix("sha256:")

    def image(self, role: str) -> str | None:
        """The image of a role, pinned by digest."""
        return f"{IMAGE_PREFIX}{role}@{self._image(role).id}"

    def submit(self, launch: Launch) -> Handle:
        """
        Create and start a container.

        Raises
        ------
        InfrastructureError
            When the engine refuses; EngineSilent or NoSpaceLeft when it is that.
        """
        image = self._image(launch.job.role)
        config = image.attrs.get("Config") or {}
        user = container_user(config, image=self._called(launch.job.role))
        start = self._start_of(config, launch)
        own_writable_folders(launch, user)
        name = self._container_name(launch.folder)
        arguments = container_arguments(launch, image=str(image.id), user=user, host_paths=self._host_paths)
        arguments |= start
        container = asked(
            lambda: self._client.containers.create(name=name, **arguments),
            f"{launch.job.name} cannot be created",
        )
        asked(container.start, f"{launch.job.name} cannot be started")
        return {"container": str(container.id)}

    def poll(self, attempt: Attempt, folder: AttemptFolder) -> ProgramStatus:
        """The state of a container; how it ended, from its own note if there is one, else from the engine."""
        container = self._container(folder)
        if container is None:
            return noted_end(folder.exit_code_of_container, attempt) or ProgramStatus(ProgramState.LOST)
        status = program_status(container.attrs["State"])
        if status.state is ProgramState.RUNNING:
            return status
        noted = noted_end(folder.exit_code_of_container, attempt)
        if noted is not None:
            return replace(noted, out_of_memory=status.out_of_memory)
        return told_by_the_engine_alone(status, ended_unnoted(folder.exit_code_of_container))

    def reconcile(self, attempt: Attempt, folder: AttemptFolder) -> ProgramStatus:
        """As poll; a container that was to be made, or was made and never started, is absent."""
        container = self._container(folder)
        if container is None and "container" not in attempt.handle:
            return ProgramStatus(ProgramState.ABSENT)
        if container is not None and container.attrs["State"]["Status"] == "created":
            self.release(attempt, folder)
            return ProgramStatus(ProgramState.ABSENT)
        return self.poll(attempt, folder)

    def cancel(self, attempt: Attempt, folder: AttemptFolder, *, force: bool = False) -> None:
        """SIGTERM to checkpoint and exit, or SIGKILL."""
        container = self._container(folder)
        if container is not None:
            try:
                container.kill("SIGKILL" if force else "SIGTERM")
            except docker.errors.APIError as error:
                if error.status_code not in (404, 409):  # gone, or not running any more
                    raise engine_complaint(
                        f"the Docker engine cannot stop {container.name}", error
                    ) from error
            except _ENGINE_ERRORS as error:
                raise engine_complaint(f"the Docker engine cannot stop {container.name}", error) from error

    def logs(self, attempt: Attempt, folder: AttemptFolder) -> str:
        """What the container has printed, its last 1000 lines; kept as the log, if there is room."""
        container = self._container(folder)
        if container is None:
            return folder.log.read_text(errors="replace") if folder.log.is_file() else ""
        printed = _printed(container)
        try:
            folder.log.write_bytes(printed)
        except OSError as error:
            if not is_full(error):
                raise
            folder.log.unlink(missing_ok=True)
        return printed.decode(errors="replace")

    def release(self, attempt: Attempt, folder: AttemptFolder) -> None:
        """Remove a container whose end has been recorded, and not before its log has been kept."""
        container = self._container(folder)
        if container is None:
            return
        if not folder.log.is_file() and folder.path.is_dir():
            write_bytes_atomically(folder.log, _printed(container))
        asked(lambda: container.remove(force=True), f"{container.name} cannot be removed")
        self._moved.pop(folder.path, None)

    def release_leftover(self, folder: AttemptFolder, *, dry_run: bool) -> bool:
        """Remove the container of an attempt unless it runs; whether there was one to remove."""
        container = self._container(folder)
        if container is None or program_status(container.attrs["State"]).state is ProgramState.RUNNING:
            return False
        if not dry_run:
            asked(lambda: container.remove(force=True), f"{container.name} cannot be removed")
        return True

    def report(self, role: str) -> dict[str, Any] | None:
        """What a training in the image of a role would report of its surroundings."""
        image = self._image(role)
        container = asked(
            lambda: self._client.containers.create(
                str(image.id),
                ["python", "-m", REPORT_MODULE],
                network_mode="none",
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                read_only=True,
                tmpfs={"/tmp": "rw,nosuid,nodev,mode=1777"},  # noqa: S108 (the container's)
            ),
            f"{role} cannot be asked what it runs in",
        )
        try:
            asked(container.start, f"{role} cannot be started")
            code = int(asked(container.wait, f"{role} does not end")["StatusCode"])
            printed = asked(lambda: container.logs(stderr=False), f"{role}: no log").decode()
            errors = asked(lambda: container.logs(stdout=False), f"{role}: no log").decode()
        finally:
            asked(lambda: container.remove(force=True), f"{container.name} cannot be removed")
        return report_of(role, code, printed, errors)

    def _container(self, folder: AttemptFolder) -> Any | None:
        """The container of an attempt: by its name, or by its labels when the study folder was moved."""
        try:
            return self._client.containers.get(self._moved.get(folder.path) or self._container_name(folder))
        except docker.errors.NotFound:
            return self._moved_container(folder)
        except _ENGINE_ERRORS as error:
            raise engine_complaint("the Docker engine does not answer", error) from error

    def _moved_container(self, folder: AttemptFolder) -> Any | None:
        """
        The container of an attempt that was started when its folder was elsewhere.

        It goes on writing into the folder, wherever that is now. A copy of a study is not a study
        that was moved: then the folder is still where it was.
        """
        key, number = folder.path.parent.parent.name, folder.path.name
        labels = [f"{LABEL}={key}", f"{LABEL}.attempt={number}"]
        found = asked(
            lambda: self._client.containers.list(all=True, filters={"label": labels}),
            "the Docker engine does not answer",
        )
        for container in found:
            place = self._host_paths.here(Path(container.labels.get(f"{LABEL}.place", "/")))
            if place is not None and not place.exists():
                self._moved[folder.path] = str(container.id)
                return container
        return None

    def _container_name(self, folder: AttemptFolder) -> str:
        """A name that only this attempt of this job in this study folder has, on the whole engine."""
        place = str(self._host_paths.on_host(folder.path))
        return f"reseed-{hashlib.sha256(place.encode()).hexdigest()[:32]}"

    def _start_of(self, config: Mapping[str, Any], launch: Launch) -> dict[str, list[str]]:
        """What a container starts: a shell of the image's, which notes how the program behind it ended."""
        make_room_for_exit_code(launch.folder.exit_code_of_container)
        return {
            "entrypoint": ["/bin/sh", "-c", SHELL_OF_A_CONTAINER, f"{SCRATCH_TARGET}/exit_code"],
            "command": [*(config.get("Entrypoint") or ()), launch.job.command],
        }

    def _called(self, role: str) -> str:
        """What a person calls the image of a role."""
        return f"{IMAGE_PREFIX}{role}"

    def _image(self, role: str) -> Any:
        if role not in self._images:
            try:
                self._images[role] = self._client.images.get(f"{IMAGE_PREFIX}{role}")
            except docker.errors.ImageNotFound:
                raise UserError(f"no image {IMAGE_PREFIX}{role}; build it: {build_command(role)}") from None
            except _ENGINE_ERRORS as error:
                raise engine_complaint("the Docker engine does not answer", error) from error
            self._refuse_unfit(role, self._images[role])
        return self._images[role]

    def _refuse_unfit(self, role: str, image: Any) -> None:
        """Refuse an image that cannot run here, before anything is started."""
        container_user(image.attrs.get("Config") or {}, image=self._called(role))
        version = asked(self._client.version, "the Docker engine does not answer")
        made_for, here = image.attrs.get("Architecture"), version.get("Arch")
        if made_for != here:
            raise UserError(
                f"image {IMAGE_PREFIX}{role} is made for {made_for}, this engine runs on {here}; "
                f"build it here: {build_command(role)}"
            )


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
    except _ENGINE_ERRORS as error:
        raise InfrastructureError(f"the Docker engine does not answer: {error}") from error

    def save(path: Path) -> None:
        with path.open("wb") as stream:
            for block in asked(lambda: image.save(named=tag), f"{tag} cannot be saved"):
                stream.write(block)

    return save


def container_arguments(launch: Launch, *, image: str, user: str, host_paths: HostPaths) -> dict[str, Any]:
    """What `docker run` is told: the contract's sandbox, the job's folders, its seeds."""
    job = launch.job
    memory = int(job.resources.memory_gib * 2**30)
    return {
        "image": image,
        "environment": job_environment(launch),
        "user": user,
        "network_mode": "none",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "read_only": True,
        "init": True,
        "mem_limit": memory,
        "memswap_limit": memory,
        "shm_size": memory // 2,
        "nano_cpus": job.resources.cpus * 10**9,
        "pids_limit": _PIDS_LIMIT,
        "ulimits": [
            docker.types.Ulimit(name="nofile", soft=4096, hard=4096),
            docker.types.Ulimit(name="core", soft=0, hard=0),
        ],
        "tmpfs": {"/tmp": f"rw,nosuid,nodev,mode=1777,size={_TMP_GIB}g"},  # noqa: S108 (the container's)
        "mounts": [
            docker.types.Mount(
                target=mount.target,
                source=str(host_paths.on_host(mount.source)),
                type="bind",
                read_only=not mount.writable,
            )
            for mount in launch.mounts
        ],
        "device_requests": _device_requests(launch.gpus),
        "log_config": docker.types.LogConfig(type="json-file", config=_LOG_LIMIT),
        "labels": {
            LABEL: job.key,
            f"{LABEL}.name": job.name,
            f"{LABEL}.attempt": str(launch.number),
            f"{LABEL}.place": str(host_paths.on_host(launch.folder.path)),
            **launch.labels,
        },
        "working_dir": "/tmp",  # noqa: S108 (the container's)
    }


def _device_requests(gpus: tuple[int, ...]) -> list[Any]:
    if not gpus:
        return []
    return [docker.types.DeviceRequest(device_ids=[str(gpu) for gpu in gpus], capabilities=[["gpu"]])]


def _own_mounts(client: docker.DockerClient) -> list[tuple[Path, Path]]:
    """(here, on the host) of every mount of the container that this process runs in, if it does."""
    hostname = os.uname().nodename
    if not Path("/.dockerenv").exists():
        return []
    try:
        mounts = client.containers.get(hostname).attrs["Mounts"]
    except docker.errors.NotFound:
        return []
    return [(Path(mount["Destination"]), Path(mount["Source"])) for mount in mounts]


def _printed(container: Any) -> bytes:
    printed = asked(lambda: container.logs(tail=1000), f"the log of {container.name} cannot be read")
    return bytes(printed)


def asked(question: Callable[[], Any], complaint: str) -> Any:
    try:
        return question()
    except _ENGINE_ERRORS as error:
        raise engine_complaint(complaint, error) from error


def engine_complaint(what: str, error: Exception) -> InfrastructureError:
    """What an error of the SDK means: nobody there, no room, or a refusal."""
    line = f"{what}: {str(error).splitlines()[0]}"
    if not isinstance(error, docker.errors.APIError):
        return EngineSilent(line)
    return NoSpaceLeft(line) if "no space left on device" in str(error).lower() else InfrastructureError(line)
