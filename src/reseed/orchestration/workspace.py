"""The folder of an attempt: what a job finds when it starts, and what is kept when it has ended."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reseed.contracts.errors import JobFailed, RefusedOutput
from reseed.contracts.files import sync_folder, sync_tree
from reseed.contracts.job import InputFolder, Job
from reseed.orchestration.study_folder import AttemptFolder, JobFolder, StudyFolder

CONFIG_TARGET = "/opt/ml/input/config"
SCRATCH_TARGET = "/opt/ml/output"
CHECKPOINTS_TARGET = "/opt/ml/checkpoints"

OUTPUT_LIMIT_BYTES = 20 * 2**30
OUTPUT_LIMIT_FILES = 100_000


@dataclass(frozen=True)
class Mount:
    """A folder of this machine under the path at which a job sees it."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True)
class Launch:
    """A prepared attempt: all that an executor needs to start it; `labels` are for what it starts."""

    job: Job
    number: int
    folder: AttemptFolder
    mounts: tuple[Mount, ...]
    gpus: tuple[int, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


def prepared_launch(
    job: Job, *, study: StudyFolder, dataset: Path, number: int, gpus: tuple[int, ...] = ()
) -> Launch:
    """Make the folders and config files of an attempt, shortest mount target first."""
    folder = study.job(job.key)
    attempt = folder.attempt(number)
    for path in (attempt.config, attempt.scratch, attempt.output):
        path.mkdir(parents=True, exist_ok=True)
    write_config(job, attempt)
    mounts = [Mount(attempt.config, CONFIG_TARGET), Mount(attempt.scratch, SCRATCH_TARGET, writable=True)]
    for needed in job.inputs:
        mounts.append(Mount(_source(needed, study, dataset) / needed.path, needed.target))
    for made in job.outputs:
        path = attempt.output / made.name
        path.mkdir(exist_ok=True)
        mounts.append(Mount(path, made.target, writable=True))
    if job.has_checkpoints:
        folder.checkpoints.mkdir(exist_ok=True)
        mounts.append(Mount(folder.checkpoints, CHECKPOINTS_TARGET, writable=True))
    mounts.sort(key=lambda mount: mount.target)
    return Launch(job, number, attempt, tuple(mounts), gpus)


def _source(needed: InputFolder, study: StudyFolder, dataset: Path) -> Path:
    if needed.file is not None:
        return study.given_file(needed.file)
    return dataset if needed.job is None else study.job(needed.job).output


def job_environment(launch: Launch, *, root: str = "") -> dict[str, str]:
    """
    The variables of a job: seeds, resources, the training contract's, and one thread per core given.

    Parameters
    ----------
    launch
        The prepared attempt.
    root
        Prefix of every path, empty in a container.
    """
    job = launch.job
    threads = str(job.resources.cpus)
    environment = {
        **dict.fromkeys(_THREAD_VARIABLES, threads),
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "SM_MODEL_DIR": f"{root}/opt/ml/model",
        "SM_OUTPUT_DATA_DIR": f"{root}/opt/ml/output/data",
        "SM_NUM_CPUS": threads,
        "SM_NUM_GPUS": str(len(launch.gpus)),
        **job.environment,
    }
    for mount in launch.mounts:
        if mount.target.startswith("/opt/ml/input/data/"):
            channel = mount.target.removeprefix("/opt/ml/input/data/")
            environment[f"SM_CHANNEL_{channel.upper()}"] = f"{root}{mount.target}"
    if "task.yaml" in job.config:
        environment["RESEED_TASK"] = f"{root}{CONFIG_TARGET}/task.yaml"
    return environment


_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)


def write_config(job: Job, attempt: AttemptFolder) -> None:
    """Write what a program finds in /opt/ml/input/config."""
    channels = [
        folder.target.removeprefix("/opt/ml/input/data/")
        for folder in job.inputs
        if folder.target.startswith("/opt/ml/input/data/")
    ]
    files = {
        "hyperparameters.json": json.dumps(job.settings, indent=1),
        "inputdataconfig.json": json.dumps({channel: {"TrainingInputMode": "File"} for channel in channels}),
        "resourceconfig.json": json.dumps({"current_host": "algo-1", "hosts": ["algo-1"]}),
        **job.config,
    }
    for name, text in files.items():
        # not forced to disk: an attempt that a power cut takes is made anew
        (attempt.config / name).write_text(text, encoding="utf-8")


def publish(folder: JobFolder, attempt: AttemptFolder) -> int:
    """
    Make the output of a finished attempt the job's output, at once and as a whole; its size in bytes.

    What the program wrote is on the disk before it gets its name: a power cut leaves all of it or
    none. Idempotent: after a crash between the rename and what follows it, calling it again is right.

    Raises
    ------
    JobFailed
        When the output holds a link, a device, a socket or a name that is not UTF-8, or is too large.
    """
    if attempt.output.is_dir():
        refuse_unsafe_output(attempt.output)
        sync_tree(attempt.output)
        if folder.output.exists():
            shutil.rmtree(folder.output)
        attempt.output.rename(folder.output)
        sync_folder(folder.path)
    if not folder.output.is_dir():
        raise JobFailed(f"{folder.path}: the attempt's output has disappeared")
    return tree_bytes(folder.output)


def sweep(folder: Path) -> None:
    """Remove the halves of files that an orchestrator left which was killed while it wrote."""
    for half in folder.glob(".*.tmp"):
        half.unlink(missing_ok=True)


def discard(folder: JobFolder, attempt: AttemptFolder, *, keep_checkpoints: bool) -> None:
    """Remove what nobody needs once an attempt has ended; its log and config stay."""
    for path in (attempt.root, attempt.scratch, attempt.output):
        shutil.rmtree(path, ignore_errors=True)
    if not keep_checkpoints:
        shutil.rmtree(folder.checkpoints, ignore_errors=True)


def tree_bytes(*roots: Path) -> int:
    """What the files below some folders hold, in bytes; links and what vanishes meanwhile count nothing."""
    n_bytes = 0
    for root in roots:
        for path in root.rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                status = path.lstat()
                n_bytes += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return n_bytes


def refuse_unsafe_output(root: Path) -> None:
    """
    Check what a program left behind before anyone follows it.

    Raises
    ------
    RefusedOutput
        Naming the first symlink, device, socket or pipe, the first name that is not UTF-8, or the
        limit that was passed.
    """
    n_files = n_bytes = 0
    for path in root.rglob("*"):
        status = path.lstat()
        shown = path.relative_to(root)
        if not _is_utf8(str(shown)):
            escaped = os.fsencode(shown).decode(errors="backslashreplace")
            raise RefusedOutput(f"output {escaped}", "only names in UTF-8 are taken")
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            kind = _kind(status.st_mode)
            raise RefusedOutput(f"output {shown}", f"only files and folders are taken, this is a {kind}")
        n_files += 1
        n_bytes += status.st_size if stat.S_ISREG(status.st_mode) else 0
    if n_files > OUTPUT_LIMIT_FILES:
        raise RefusedOutput("output", f"at most {OUTPUT_LIMIT_FILES} files are taken, got {n_files}")
    if n_bytes > OUTPUT_LIMIT_BYTES:
        at_most, found = OUTPUT_LIMIT_BYTES >> 30, n_bytes / 2**30
        raise RefusedOutput("output", f"at most {at_most} GiB are taken, got {found:.1f}")


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "symbolic link"
    if stat.S_ISSOCK(mode):
        return "socket"
    return "pipe" if stat.S_ISFIFO(mode) else "device"
