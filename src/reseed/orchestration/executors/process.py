"""
Jobs as plain processes of this machine. Needs nothing but Python; for trusted programs only.

Each job is a process group of its own, started by a shell that writes the exit code to a file as
its last act. So a job outlives a killed orchestrator, and the next one reads how it ended.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from reseed.contracts.containers import ROOT_VARIABLE
from reseed.contracts.digests import digest_by_file, document_digest
from reseed.contracts.errors import InfrastructureError, NoSpaceLeft, UserError
from reseed.contracts.job import Attempt
from reseed.orchestration.disk import is_full
from reseed.orchestration.executors.cpu_time import CpuTimes
from reseed.orchestration.executors.executor import Handle, ProgramState, ProgramStatus
from reseed.orchestration.executors.exit_code import (
    SHELL_OF_A_GROUP,
    make_room_for_exit_code,
    noted_end,
)
from reseed.orchestration.executors.memory import MemorySamples
from reseed.orchestration.executors.reports import report_of
from reseed.orchestration.plan import COMPARISON, EVALUATION
from reseed.orchestration.project import Algorithm, Project
from reseed.orchestration.study_folder import AttemptFolder, StudyFolder
from reseed.orchestration.workspace import Launch, job_environment

_NOT_CODE = ("__pycache__", "README.md", ".DS_Store")
_LIBRARIES = ("numpy", "scipy", "pandas", "SimpleITK", "torch", "pydantic", "nnunetv2")
_START_TIME = 19  # field 22 of proc(5), counted after the name of the program
_EXIT_CODE_ARGUMENT = 3  # of the shell that starts a program
_TAIL_BYTES = 1 << 16
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")


class ProcessExecutor:
    """Runs the programs of a project folder with this Python."""

    name = "process"
    poll_interval_s = 0.01

    def __init__(self, project: Project, algorithms: dict[str, Algorithm]) -> None:
        self._project = project
        self._algorithms = algorithms
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._memory = MemorySamples()
        self._cpu_times = CpuTimes()

    def code_digest(self, role: str) -> str:
        """Digest over the role's source files and the versions of what they import."""
        return document_digest({"files": self._source_digests(role), "versions": library_versions()})

    def image(self, role: str) -> str | None:
        """None: there is no image."""
        return None

    def submit(self, launch: Launch) -> Handle:
        """
        Start a program with its root prefix.

        Raises
        ------
        InfrastructureError
            When the machine cannot start another process; NoSpaceLeft when its disk is full.
        """
        try:
            command, environment, folder = self.command_line(launch)
            child = started(launch.folder, command, environment=environment, cwd=folder)
        except OSError as error:
            launch.folder.log.unlink(missing_ok=True)
            refusal = NoSpaceLeft if is_full(error) else InfrastructureError
            raise refusal(f"{launch.job.name} cannot be started: {error}") from error
        self._children[child.pid] = child
        return {"pid": child.pid, "born": _born(child.pid)}

    def command_line(self, launch: Launch) -> tuple[list[str], dict[str, str], Path]:
        """Lay out the root prefix of an attempt; the command, environment and folder to start it with."""
        _link_mounts(launch)
        root = str(launch.folder.root)
        command, folder = self._command(launch)
        environment = {key: os.environ[key] for key in _KEPT_VARIABLES if key in os.environ}
        environment |= job_environment(launch, root=root)
        environment |= {ROOT_VARIABLE: root, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        # GPUs are counted as the driver counts them, whose energy counters go by that number
        environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(str(gpu) for gpu in launch.gpus)
        return command, environment, folder

    def poll(self, attempt: Attempt, folder: AttemptFolder) -> ProgramStatus:
        """The state of a child of ours, or of a program that was once found to run."""
        pid = int(attempt.handle.get("pid", 0))
        child = self._children.get(pid)
        if child is None:
            status = self.reconcile(attempt, folder)
            # what has run and is nowhere any more was killed, and is not one that was never started
            return ProgramStatus(ProgramState.LOST) if status.state is ProgramState.ABSENT else status
        if not self._cpu_times.has_ended(child):
            self._memory.sample(pid)
            return ProgramStatus(ProgramState.RUNNING)
        del self._children[pid]
        return _ended(attempt, folder, peak_memory_mib=self._memory.peak_mib(pid))

    def reconcile(self, attempt: Attempt, folder: AttemptFolder) -> ProgramStatus:
        """The state of a program that an earlier orchestrator started, or was about to start."""
        if _process(attempt, folder) is not None:
            return ProgramStatus(ProgramState.RUNNING)
        if "pid" not in attempt.handle and not folder.exit_code.is_file():
            return ProgramStatus(ProgramState.ABSENT)
        return _ended(attempt, folder)

    def cancel(self, attempt: Attempt, folder: AttemptFolder, *, force: bool = False) -> None:
        """Signal the program's group: SIGTERM to checkpoint and exit, or SIGKILL."""
        process = _process(attempt, folder)
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL if force else signal.SIGTERM)

    def logs(self, attempt: Attempt, folder: AttemptFolder) -> str:
        """What the program has printed so far."""
        return log_tail(folder.log)

    def release(self, attempt: Attempt, folder: AttemptFolder) -> None:
        """Nothing is left of a process once it is reaped."""

    def release_leftovers(
        self, study: StudyFolder, is_over: Callable[[AttemptFolder], bool], *, dry_run: bool = False
    ) -> int:
        """0: processes leave nothing."""
        return 0

    def cpu_seconds(self, attempt: Attempt, folder: AttemptFolder) -> float | None:
        """CPU time of the program's tree so far, or in all when it was a child of ours."""
        pid = int(attempt.handle.get("pid", 0))
        if pid in self._children or _process(attempt, folder) is not None or self._cpu_times.saw_end_of(pid):
            return self._cpu_times.seconds(pid)
        return None

    def report(self, role: str) -> dict[str, Any] | None:
        """What a training of the role would report of its surroundings; None when it has no such program."""
        root = self._algorithm(role).package_root
        package = self._algorithm(role).folder.parent.name
        if not (root / package / "common" / "report.py").is_file():
            return None
        environment = {key: os.environ[key] for key in _KEPT_VARIABLES if key in os.environ}
        done = subprocess.run(
            [sys.executable, "-m", f"{package}.common.report"],
            cwd=root, env={**environment, "PYTHONPATH": str(root)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return report_of(role, done.returncode, done.stdout, done.stderr)

    def _command(self, launch: Launch) -> tuple[list[str], Path]:
        role = launch.job.role
        if role == EVALUATION:
            return [sys.executable, str(self._project.evaluation_program)], self._project.root
        if role == COMPARISON:
            return [sys.executable, "-m", "reseed.orchestration.comparison"], self._project.root
        algorithm = self._algorithm(role)
        return [sys.executable, "-m", algorithm.module(launch.job.command)], algorithm.package_root

    def _source_digests(self, role: str) -> dict[str, str]:
        package = Path(__file__).parents[2]
        if role in (EVALUATION, COMPARISON):
            parts = [
                package / part for part in ("contracts", "documents", "metrics", "statistics", "scoring")
            ]
            own = {"evaluate.py": document_digest(self._project.evaluation_program.read_text())}
            if role == COMPARISON:
                own = {
                    "comparison.py": document_digest((package / "orchestration/comparison.py").read_text())
                }
        else:
            folder = self._algorithm(role).folder
            parts, own = [package / "contracts", folder, folder.parent / "common"], {}
        for part in parts:
            digests = digest_by_file(part, skip=_NOT_CODE)
            own |= {f"{part.name}/{path}": digest for path, digest in digests.items()}
        return own

    def _algorithm(self, role: str) -> Algorithm:
        if role not in self._algorithms:
            raise UserError(f"no algorithm {role!r} in this study")
        return self._algorithms[role]


def started(
    attempt: AttemptFolder, command: list[str], *, environment: dict[str, str], cwd: Path
) -> subprocess.Popen[bytes]:
    """Start a command as a group of its own: output to the attempt's log, exit code to its file."""
    make_room_for_exit_code(attempt.exit_code)
    with attempt.log.open("wb") as log:
        return subprocess.Popen(
            ["/bin/sh", "-c", SHELL_OF_A_GROUP, str(attempt.exit_code), *command],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that can change a result."""
    versions = {"python": platform.python_version(), "machine": platform.machine()}
    for library in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[library] = importlib.metadata.version(library)
    return versions


def log_tail(path: Path) -> str:
    """The last 64 KiB of a log file; empty when there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        stream.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
        return stream.read().decode(errors="replace")


def _link_mounts(launch: Launch) -> None:
    """Lay the mounts out below the root prefix; parents come before what lies below them."""
    shutil.rmtree(launch.folder.root, ignore_errors=True)
    for mount in launch.mounts:
        link = launch.folder.root / mount.target.lstrip("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(mount.source.resolve(), target_is_directory=True)


def _process(attempt: Attempt, folder: AttemptFolder) -> psutil.Process | None:
    """
    The attempt's process when it still runs.

    A pid alone may have been given to another process since; and an orchestrator killed between
    starting a job and noting its pid has left no pid: then the command line tells, which holds
    the path of the exit code file.
    """
    if "pid" in attempt.handle:
        try:
            pid = int(attempt.handle["pid"])
            process = psutil.Process(pid)
            same = _born(pid) == float(attempt.handle["born"]) and not _is_elsewhere(process, folder)
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except (psutil.Error, OSError):
            return None
    for process in psutil.process_iter(["cmdline"]):
        if str(folder.exit_code) in (process.info["cmdline"] or ())[: _EXIT_CODE_ARGUMENT + 1]:
            return process
    return None


def _is_elsewhere(process: psutil.Process, folder: AttemptFolder) -> bool:
    """
    Whether a process works for the attempt of another study, of which this one is a copy.

    A study that was moved is not one: then nothing is where it was.
    """
    with contextlib.suppress(psutil.Error, OSError, IndexError):
        return not Path(process.cmdline()[_EXIT_CODE_ARGUMENT]).parent.samefile(folder.path)
    return False


def _born(pid: int) -> float:
    """
    When a process was started, to tell it from a later one of the same number.

    In ticks since the machine was started where the kernel says it: what psutil makes of that moves
    when somebody sets the clock.
    """
    stat = Path(f"/proc/{pid}/stat")
    if not stat.is_file():
        return float(psutil.Process(pid).create_time())
    return float(stat.read_text().rpartition(")")[2].split()[_START_TIME])


def _ended(attempt: Attempt, folder: AttemptFolder, *, peak_memory_mib: float | None = None) -> ProgramStatus:
    status = noted_end(folder.exit_code, attempt) or ProgramStatus(ProgramState.LOST)
    return replace(status, peak_memory_mib=peak_memory_mib)
