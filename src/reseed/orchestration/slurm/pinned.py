"""
Containers of images that somebody else made, as jobs of a Slurm cluster: one array of one element each.

What a node needs is written into the attempt's folder, which it shares; `pinned_step` does it there and notes
the end. So whoever has the folder finds the program again: by the array's id, or by its name when nobody has
noted one, as after a worker that was killed in the middle of sbatch.
"""

from __future__ import annotations

import hashlib
import math
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from reseed.contracts.errors import UserError
from reseed.contracts.files import write_json_atomically, write_text_atomically
from reseed.contracts.job import Attempt
from reseed.contracts.slurm import SlurmSettings
from reseed.documents.reading import read_json, read_yaml
from reseed.orchestration.executors.executor import Handle, ProgramState, ProgramStatus
from reseed.orchestration.executors.pinned import LabelledContainer
from reseed.orchestration.slurm.client import SlurmClient, Task, TaskId
from reseed.orchestration.slurm.containers import checked_template
from reseed.orchestration.slurm.images import ENGINES, pinned_image
from reseed.orchestration.slurm.node import NodeEnd, NodeFiles, NodeLaunch, NodeMount
from reseed.orchestration.study_folder import AttemptFolder, StudyFolder
from reseed.orchestration.workspace import Launch

STEP_MODULE = "reseed.orchestration.slurm.pinned_step"
_MARGIN_S = 600
"""For what is done around a program: its image loaded, and the time to checkpoint."""
_OWN_MEMORY_MIB = 512
_MAX_LOG_LINES = 1000


def slurm_programs(path: Path) -> PinnedSlurmExecutor:
    """
    An executor on the cluster that this machine has the commands of.

    Parameters
    ----------
    path
        The site's settings, as for a study.

    Raises
    ------
    UserError
        When there is no such file, or it cannot be used; InvalidDocument when it breaks the contract.
    InfrastructureError
        When Slurm does not answer.
    """
    return PinnedSlurmExecutor(SlurmClient(), read_yaml(path, SlurmSettings), folder=path.resolve().parent)


class PinnedSlurmExecutor:
    """
    Runs jobs whose role is the digest of an image (sha256:…) on a cluster, as `docker run` would.

    Time in the queue is not time of the program: the node ends a program at its limit, and `poll` says so.

    Parameters
    ----------
    client
        The cluster's commands.
    settings
        Of the site; `container` is podman or docker.
    folder
        Where relative paths in them start.

    Raises
    ------
    UserError
        When the settings cannot be used, or this machine has no Slurm commands.
    InfrastructureError
        From every verb, when Slurm does not answer.
    """

    name = "slurm"
    queues = True

    def __init__(self, client: SlurmClient, settings: SlurmSettings, *, folder: Path) -> None:
        if settings.container not in ENGINES:
            raise UserError(
                f"slurm.container must be {' or '.join(ENGINES)} where images are those of submissions, "
                f"is {settings.container}"
            )
        self._client = client
        self._settings = settings
        self._folder = folder
        self._template = checked_template(settings, folder=folder)
        self._tarballs: dict[str, Path | None] = {}
        self.poll_interval_s = settings.poll_s
        self.engine_id = f"slurm-{client.cluster_name()}"

    def code_digest(self, role: str) -> str:
        """The image's digest, without its algorithm's prefix."""
        return role.removeprefix("sha256:")

    def image(self, role: str) -> str | None:
        """The image, which is its own name."""
        return role

    def submit(self, launch: Launch) -> Handle:
        """Write down what the node needs, and put it into Slurm's queue; raises NoRoom when that is full."""
        files = NodeFiles(launch.folder)
        tarball = self._tarballs.get(launch.job.role)
        document = NodeLaunch(
            job=launch.job,
            number=launch.number,
            mounts=tuple(
                NodeMount(source=str(each.source.resolve()), target=each.target, writable=each.writable)
                for each in launch.mounts
            ),
            digest=launch.job.role,
            tarball=None if tarball is None else str(tarball.resolve()),
            settings=self._settings,
            template=self._template,
            timeout_s=self._timeout_s(launch),
        )
        write_json_atomically(files.launch, document)
        write_text_atomically(files.script, self._script(launch))
        array = self._client.submit(files.script)
        write_text_atomically(files.array, f"{array}\n")
        return {"slurm_job": f"{array}_0"}

    def poll(self, attempt: Attempt, folder: AttemptFolder) -> ProgramStatus:
        """How a program ended, by the node's note; else that Slurm holds it, or has lost it."""
        ended = _noted(folder)
        if ended is not None:
            return ended
        found = self._task(folder)
        if found is not None and found[1].state.is_held:
            return ProgramStatus(ProgramState.RUNNING)
        # the note may have been written between the two questions
        ended = _noted(folder)
        if ended is not None:
            return ended
        if found is None or found[1].state.ending is None:
            return ProgramStatus(ProgramState.LOST, why="Slurm knows it no more, and its node noted no end")
        said = found[1].state
        why = said.ending.reason if said.ending is not None else None
        return ProgramStatus(ProgramState.LOST, out_of_memory=said.name == "OUT_OF_MEMORY", why=why)

    def reconcile(self, attempt: Attempt, folder: AttemptFolder) -> ProgramStatus:
        """As poll; what Slurm does not hold and no node has begun is absent, and will never begin."""
        status = self.poll(attempt, folder)
        if status.state is ProgramState.LOST and NodeFiles(folder).claim():
            return ProgramStatus(ProgramState.ABSENT)
        return status

    def cancel(self, attempt: Attempt, folder: AttemptFolder, *, force: bool = False) -> None:
        """Take a program out of the queue; let its node ask it to checkpoint and exit, or end it."""
        if force:
            NodeFiles(folder).force.touch()
        found = self._task(folder)
        if found is not None:
            self._end(*found)

    def logs(self, attempt: Attempt, folder: AttemptFolder) -> str:
        """What a program has printed, its last 1000 lines."""
        return _last_lines(NodeFiles(folder).log)

    def errors(self, attempt: Attempt, folder: AttemptFolder) -> str:
        """What a program has printed to standard error, its last 1000 lines."""
        return _last_lines(NodeFiles(folder).errors)

    def release(self, attempt: Attempt, folder: AttemptFolder) -> None:
        """Nothing is left of a program that has ended: its node has removed the container."""

    def release_leftovers(
        self, study: StudyFolder, is_over: Callable[[AttemptFolder], bool], *, dry_run: bool = False
    ) -> int:
        """0: nodes remove their containers."""
        return 0

    def digest_of(self, image: str) -> str:
        """
        The digest of an image that the site names, or that this machine's engine has.

        Raises
        ------
        UserError
            When there is none.
        """
        settings = self._settings
        if "evaluation" not in settings.images or image != "reseed/evaluation":
            settings = settings.model_copy(update={"images": {"evaluation": image}})
        found = pinned_image(
            "evaluation", settings, folder=self._folder, remembered=self._folder / ".images.json"
        )
        digest = f"sha256:{found.digest}"
        self._tarballs[digest] = None if found.archive is None else Path(found.archive)
        return digest

    def has_image(self, digest: str) -> bool:
        """Whether it is known where nodes find an image."""
        return digest in self._tarballs

    def load(self, tarball: Path, digest: str) -> None:
        """Let nodes load an image from the stored tarball, where they do not have it."""
        self._tarballs[digest] = tarball

    def labelled(self, label: str) -> Iterator[LabelledContainer]:
        """Every program that Slurm holds with a label (`name=value`), as its array."""
        for array, comment in self._client.comments().items():
            labels = dict(parse_qsl(comment))
            name, _, value = label.partition("=")
            if labels.get(name) == value:
                yield LabelledContainer(str(array), labels)

    def end(self, identifier: str) -> None:
        """Take a program out of the queue, or let its node end it, after the time to checkpoint."""
        task = TaskId(int(identifier), 0)
        found = self._client.tasks().get(task)
        if found is not None and found.state.is_held:
            self._end(task, found)

    def _end(self, task: TaskId, said: Task) -> None:
        if said.state.is_running:
            # to the step alone, which passes it on: Slurm's own signals do not reach an engine's container
            self._client.cancel([task], signal="TERM")
        else:
            self._client.cancel([task], waiting_only=True)

    def _task(self, folder: AttemptFolder) -> tuple[TaskId, Task] | None:
        """What Slurm says of an attempt; None when it has never heard of it, or has forgotten it."""
        files = NodeFiles(folder)
        with suppress(FileNotFoundError, ValueError):
            task = TaskId(int(files.array.read_text()), 0)
            found = self._client.tasks().get(task) or self._client.accounted([task.array]).get(task)
            return None if found is None else (task, found)
        array = self._client.array_named(_name(folder))
        if array is None:
            return None
        write_text_atomically(files.array, f"{array}\n")
        return self._task(folder)

    def _timeout_s(self, launch: Launch) -> int:
        own = launch.job.resources.timeout_s
        longest_h = self._settings.time_h
        return own if longest_h is None else max(60, min(own, round(longest_h * 3600) - _MARGIN_S))

    def _script(self, launch: Launch) -> str:
        settings, resources = self._settings, launch.job.resources
        options = [
            f"--job-name={_name(launch.folder)}",
            "--array=0-0",
            f"--comment={urlencode(dict(launch.labels))}",
            f'--output="{str(launch.folder.path.resolve()).replace("%", "%%")}/slurm.log"',
            "--no-requeue",
            "--nodes=1",
            "--ntasks=1",
            f"--cpus-per-task={resources.cpus}",
            f"--mem={math.ceil(resources.memory_gib * 1024) + _OWN_MEMORY_MIB}M",
            f"--time={math.ceil((self._timeout_s(launch) + _MARGIN_S) / 60)}",
        ]
        if resources.gpus and settings.gres is not None:
            options.append(f"--gres={settings.gres}:{resources.gpus}")
        for name in ("partition", "account", "qos"):
            if (value := getattr(settings, name)) is not None:
                options.append(f"--{name}={value}")
        options += settings.sbatch
        command = shlex.join(
            [settings.python or sys.executable, "-m", STEP_MODULE, str(launch.folder.path.resolve())]
        )
        lines = ["#!/bin/bash", *(f"#SBATCH {option}" for option in options), "", *settings.setup]
        return "\n".join([*lines, f"exec {command}", ""])


def _name(folder: AttemptFolder) -> str:
    """A name that only this attempt has, on the whole cluster."""
    return f"reseed-{hashlib.sha256(str(folder.path.resolve()).encode()).hexdigest()[:32]}"


def _noted(folder: AttemptFolder) -> ProgramStatus | None:
    path = NodeFiles(folder).end
    if not path.is_file():
        return None
    end = read_json(path, NodeEnd)
    if end.exit_code is None:
        return ProgramStatus(ProgramState.LOST, ran_s=end.ran_s, why=end.why)
    return ProgramStatus(
        ProgramState.EXITED,
        exit_code=end.exit_code,
        ran_s=end.ran_s,
        out_of_memory=end.out_of_memory,
        timed_out=end.timed_out,
        why=end.why,
    )


def _last_lines(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace").splitlines(keepends=True)
    except FileNotFoundError:
        return ""
    return "".join(lines[-_MAX_LOG_LINES:])
