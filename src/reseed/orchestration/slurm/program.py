"""The program of a job on a node: a container by the site's template, or a plain process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
import psutil

from reseed.contracts.errors import InfrastructureError, UserError
from reseed.contracts.files import write_text_atomically
from reseed.orchestration.ending import Ending, ending_of
from reseed.orchestration.executors.container_user import own_writable_folders
from reseed.orchestration.executors.memory import MemorySamples
from reseed.orchestration.executors.process import ProcessExecutor, log_tail, started
from reseed.orchestration.plan import COMPARISON
from reseed.orchestration.project import Project
from reseed.orchestration.slurm.batch import Batch
from reseed.orchestration.slurm.containers import (
    container_name,
    container_user_of,
    out_of_memory_mark,
    start_script,
)
from reseed.orchestration.slurm.images import ENGINES
from reseed.orchestration.slurm.place import Place
from reseed.orchestration.slurm.settling import exit_status
from reseed.orchestration.study_folder import JobFolder
from reseed.orchestration.workspace import Launch

_INTERVAL_S = 0.1


@dataclass(frozen=True)
class Stop:
    """Why a program is asked to end, and how long it may take; None for as long as it likes."""

    why: str
    kill_after_s: float | None = None


@dataclass
class NodeProgram:
    """Starts a prepared attempt, passes signals on, and says how it ended."""

    batch: Batch
    launch: Launch
    place: Place
    exit_code: int | None = None
    peak_memory_mib: float | None = None
    _child: subprocess.Popen[bytes] | None = None
    _memory: MemorySamples = field(default_factory=MemorySamples)

    @property
    def is_container(self) -> bool:
        """Whether it runs in a container: the comparison, which is our own code, never does."""
        return self.batch.document.settings.container != "none" and self.launch.job.role != COMPARISON

    def start(self) -> None:
        """
        Start it as a process group that writes its exit code to a file as its last act.

        Raises
        ------
        UserError
            When the template or the program is not what it was when the job was submitted.
        InfrastructureError
            When the node cannot start a process.
        """
        command, environment, folder = self._container() if self.is_container else self._process()
        try:
            self._child = started(self.launch.folder, command, environment=environment, cwd=folder)
        except OSError as error:
            raise InfrastructureError(f"cannot be started: {error}") from error

    def wait(self, stop_wanted: Callable[[], Stop | None], *, killed_with_us_s: float = 0.0) -> Stop | None:
        """
        Wait for its end; asks it to stop when that is wanted, and kills it when it takes too long.

        Slurm signals all processes of a job at once, in no order: a program that was ended by
        SIGTERM is given `killed_with_us_s` to turn out to have been asked to stop.
        """
        stop: Stop | None = None
        asked_at = 0.0
        child = self._started()
        while child.poll() is None:
            self._memory.sample(child.pid)
            if stop is None and (stop := stop_wanted()) is not None:
                asked_at = time.monotonic()
                self._signal(signal.SIGTERM)
            patience_s = None if stop is None else stop.kill_after_s
            if patience_s is not None and time.monotonic() - asked_at > patience_s:
                self.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_INTERVAL_S)
        self.peak_memory_mib = self._memory.peak_mib(child.pid)
        asked_by = time.monotonic() + killed_with_us_s
        ended_by_signal = exit_status(self.launch.folder).exit_code in (None, 128 + signal.SIGTERM)
        while stop is None and ended_by_signal and time.monotonic() < asked_by:
            stop = stop_wanted()
            time.sleep(_INTERVAL_S)
        return stop

    def ending(self, stop: Stop | None) -> Ending:
        """What its end means for the job."""
        folder = self.launch.folder
        status = exit_status(folder, out_of_memory=out_of_memory_mark(folder).exists())
        self.exit_code = status.exit_code
        log, why = log_tail(folder.log), stop.why if stop else None
        return ending_of(self.launch.job, status, folder, log=log, cancelled=why)

    def kill(self) -> None:
        """End it at once, and its container with it."""
        program = self.batch.document.settings.container
        if self.is_container and program in ENGINES:
            command = [program, "kill", container_name(self.launch.folder)]
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(command, capture_output=True, timeout=30, check=False)
        self._signal(signal.SIGKILL)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            raise InfrastructureError(f"{self.launch.job.name}: was never started")
        return self._child

    def _signal(self, number: signal.Signals) -> None:
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, number)

    def _process(self) -> tuple[list[str], dict[str, str], Path]:
        document = self.batch.document
        project = Project(Path(document.project))
        algorithms = {name: project.algorithm(folder) for name, folder in document.algorithms.items()}
        executor = ProcessExecutor(project, algorithms)
        if executor.code_digest(self.launch.job.role) != self.launch.job.code:
            raise UserError(
                f"the program of {self.launch.job.role!r} on this node is not what was submitted: it has "
                "been changed since, or this node has other libraries; type `reseed run` again"
            )
        command, environment, folder = executor.command_line(self.launch)
        return command, {**environment, "CUDA_VISIBLE_DEVICES": self.place.gpus.visible}, folder

    def _container(self) -> tuple[list[str], dict[str, str], Path]:
        document, folder = self.batch.document, self.launch.folder
        image = document.images[self.launch.job.role]
        if document.settings.container in ENGINES:
            own_writable_folders(self.launch, container_user_of(image))
        try:
            text = start_script(
                self.batch.template, self.launch, document.settings,
                image=image, gpus=self.place.gpus, slurm_job=str(self.place.task),
            )  # fmt: skip
        except jinja2.TemplateError as error:
            raise UserError(f"{self.batch.path}/container.sh.j2: {error}") from None
        script = folder.path / "start.sh"
        write_text_atomically(script, text)
        return ["/bin/bash", str(script)], dict(os.environ), folder.path


def end_stray_programs(folder: JobFolder) -> None:
    """
    Kill what earlier attempts of a job have left running on this node.

    A step can be killed alone. Its program's shell is told by its command line, which holds the
    path of the exit code file.
    """
    below = f"{folder.path / 'attempts'}/"
    for process in psutil.process_iter(["cmdline"]):
        words = (process.info["cmdline"] or [])[:4]
        if any(word.startswith(below) and word.endswith("/exit_code") for word in words):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
