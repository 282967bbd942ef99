"""
Jobs as containers of a Docker engine: untrusted programs, one image each, no network.

A container's name is made of the place of its attempt's folder, so that an orchestrator that was
killed at any instant finds what the one before it had started, and never what another study has.
Containers are removed only after their exit code and out-of-memory flag have been recorded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import docker
import docker.errors

from reseed.contracts.errors import UserError
from reseed.contracts.files import write_bytes_atomically
from reseed.contracts.job import Attempt
from reseed.orchestration.disk import is_full
from reseed.orchestration.executors.container import LABEL, container_arguments
from reseed.orchestration.executors.container_status import (
    has_never_run,
    program_status,
    told_by_the_engine_alone,
)
from reseed.orchestration.executors.container_user import container_user, own_writable_folders
from reseed.orchestration.executors.engine import (
    ENGINE_ERRORS,
    asked,
    engine_complaint,
    own_mounts,
    printed,
    remove,
)
from reseed.orchestration.executors.executor import Handle, ProgramState, ProgramStatus
from reseed.orchestration.executors.exit_code import (
    SHELL_OF_A_CONTAINER,
    ended_unnoted,
    has_begun,
    lay_down_sign,
    make_room_for_exit_code,
    noted_end,
)
from reseed.orchestration.executors.host_paths import HostPaths
from reseed.orchestration.executors.images import IMAGE_PREFIX, build_command
from reseed.orchestration.executors.reports import REPORT_MODULE, report_of
from reseed.orchestration.study_folder import AttemptFolder, StudyFolder
from reseed.orchestration.workspace import SCRATCH_TARGET, Launch


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
        return cls(client, HostPaths(own_mounts(client)))

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
        """As poll; a container that was to be made, or was made and has never been started, is absent."""
        container = self._container(folder)
        if container is None and "container" not in attempt.handle:
            return ProgramStatus(ProgramState.ABSENT)
        if container is not None and has_never_run(container.attrs["State"]):
            return self._unless_it_has_run(container, attempt, folder)
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
            except ENGINE_ERRORS as error:
                raise engine_complaint(f"the Docker engine cannot stop {container.name}", error) from error

    def logs(self, attempt: Attempt, folder: AttemptFolder) -> str:
        """What the container has printed, its last 1000 lines; kept as the log, if there is room."""
        container = self._container(folder)
        log = None if container is None else printed(container)
        if log is None:
            return folder.log.read_text(errors="replace") if folder.log.is_file() else ""
        try:
            folder.log.write_bytes(log)
        except OSError as error:
            if not is_full(error):
                raise
            folder.log.unlink(missing_ok=True)
        return log.decode(errors="replace")

    def release(self, attempt: Attempt, folder: AttemptFolder) -> None:
        """Remove a container whose end has been recorded, and not before its log has been kept."""
        container = self._container(folder)
        if container is None:
            return
        _remove(container, folder)
        self._moved.pop(folder.path, None)

    def release_leftovers(
        self, study: StudyFolder, is_over: Callable[[AttemptFolder], bool], *, dry_run: bool = False
    ) -> int:
        """Remove containers that do not run, of attempts that are over; how many there were."""
        n_released = 0
        for container in self._listed({"label": [LABEL], "status": ["created", "exited", "dead"]}):
            folder = self._attempt_of(container, study)
            if folder is None or not is_over(folder):
                continue
            n_released += 1
            if not dry_run:
                _remove(container, folder)
        return n_released

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
            said = asked(lambda: container.logs(stderr=False), f"{role}: no log").decode()
            errors = asked(lambda: container.logs(stdout=False), f"{role}: no log").decode()
        finally:
            remove(container)
        return report_of(role, code, said, errors)

    def _unless_it_has_run(self, container: Any, attempt: Attempt, folder: AttemptFolder) -> ProgramStatus:
        """
        A container that was made and, for all the engine knows, not started: it is removed, and absent.

        An engine that was killed while it started one has forgotten that. What runs there would outlive
        the removal of the container; when the container is started again, the engine ends it first.
        """
        noted = noted_end(folder.exit_code_of_container, attempt)
        if noted is not None:
            return noted
        if container.status == "created" and has_begun(folder.exit_code_of_container):
            asked(container.start, f"what runs in {container.name} cannot be ended")
        self.release(attempt, folder)
        return ProgramStatus(ProgramState.ABSENT)

    def _container(self, folder: AttemptFolder) -> Any | None:
        """The container of an attempt: by its name, or by its labels when the study folder was moved."""
        try:
            return self._client.containers.get(self._moved.get(folder.path) or self._container_name(folder))
        except docker.errors.NotFound:
            return self._moved_container(folder)
        except ENGINE_ERRORS as error:
            raise engine_complaint("the Docker engine does not answer", error) from error

    def _moved_container(self, folder: AttemptFolder) -> Any | None:
        """
        The container of an attempt that was started when its folder was elsewhere.

        It goes on writing into the folder, wherever that is now. A copy of a study is not a study
        that was moved: then the folder is still where it was.
        """
        key, number = folder.path.parent.parent.name, folder.path.name
        labels = [f"{LABEL}={key}", f"{LABEL}.attempt={number}"]
        for container in self._listed({"label": labels}):
            place = self._place(container)
            if place is not None and not place.exists():
                self._moved[folder.path] = str(container.id)
                return container
        return None

    def _attempt_of(self, container: Any, study: StudyFolder) -> AttemptFolder | None:
        """The attempt of a study that a container was started for; None when it is another study's."""
        labels, place = container.labels, self._place(container)
        if place is None or not labels.get(f"{LABEL}.attempt", "").isdecimal():
            return None
        folder = study.job(labels[LABEL]).attempt(int(labels[f"{LABEL}.attempt"]))
        is_ours = place == folder.path.resolve() or (folder.path.exists() and not place.exists())
        return folder if is_ours else None

    def _place(self, container: Any) -> Path | None:
        """The folder of a container's attempt when it was started; None when it cannot be seen from here."""
        return self._host_paths.here(Path(container.labels.get(f"{LABEL}.place", "/")))

    def _listed(self, filters: dict[str, Any]) -> list[Any]:
        found = asked(
            lambda: self._client.containers.list(all=True, filters=filters, ignore_removed=True),
            "the Docker engine does not answer",
        )
        return list(found)

    def _container_name(self, folder: AttemptFolder) -> str:
        """A name that only this attempt of this job in this study folder has, on the whole engine."""
        place = str(self._host_paths.on_host(folder.path))
        return f"reseed-{hashlib.sha256(place.encode()).hexdigest()[:32]}"

    def _start_of(self, config: Mapping[str, Any], launch: Launch) -> dict[str, list[str]]:
        """What a container starts: a shell of the image's, which notes how the program behind it ended."""
        make_room_for_exit_code(launch.folder.exit_code_of_container)
        lay_down_sign(launch.folder.exit_code_of_container)
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
            except ENGINE_ERRORS as error:
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


def _remove(container: Any, folder: AttemptFolder) -> None:
    """Remove a container, and not before its log has been kept."""
    if not folder.log.is_file() and folder.path.is_dir():
        write_bytes_atomically(folder.log, printed(container) or b"")
    remove(container)
