"""A container to run: what it is, its folders and mounts, how it ended."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from reseed.contracts.digests import document_digest
from reseed.contracts.errors import UserError
from reseed.contracts.files import write_json_atomically
from reseed.contracts.job import Job, JobKind, OutputFolder
from reseed.contracts.manifest import Resources
from reseed.orchestration.study_folder import AttemptFolder, JobFolder
from reseed.orchestration.workspace import (
    CHECKPOINTS_TARGET,
    CONFIG_TARGET,
    SCRATCH_TARGET,
    Launch,
    Mount,
    write_config,
)

_MAX_LINE = 500
_CHANNELS = "/opt/ml/input/data/"


@dataclass(frozen=True)
class Program:
    """
    One container to run.

    Parameters
    ----------
    name
        As people read it.
    kind
        What it does.
    image
        Its digest, sha256:…
    step
        The folder in which its attempts work.
    result
        The folder that its output becomes, at once and as a whole.
    log
        The file that what it printed is kept in.
    outputs
        What of the result is mounted where, writable.
    resources
        At most.
    command
        After the image's entry point; empty for the image's own.
    inputs
        Mounted, read-only.
    config, settings, environment
        Files in /opt/ml/input/config, hyperparameters.json, and variables. Without `has_config`, as
        in inference, there is no such folder.
    has_checkpoints
        Whether it finds what an earlier attempt left in /opt/ml/checkpoints.
    quotes
        Whether the reason of its failure may quote what it said: that can be what it read.
    """

    name: str
    kind: JobKind
    image: str
    step: Path
    result: Path
    log: Path
    outputs: tuple[OutputFolder, ...]
    resources: Resources
    command: str = ""
    inputs: tuple[Mount, ...] = ()
    config: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    has_config: bool = True
    has_checkpoints: bool = False
    quotes: bool = False


@dataclass(frozen=True)
class Finished:
    """When a program that has its result was started, how long it ran, and its last words on stderr."""

    started: datetime
    seconds: float
    last_error_line: str = ""


class ProgramFailed(UserError):
    """
    A submission's program ended without a result, by its own doing.

    Parameters
    ----------
    reason
        In words, with the last line of its standard error where that may be shown.
    exit_code
        When it exited.
    finished
        When it was started, how long it ran, and the last line of its standard error.
    """

    def __init__(self, reason: str, *, exit_code: int | None, finished: Finished) -> None:
        super().__init__(reason)
        self.reason = reason
        self.exit_code = exit_code
        self.finished = finished


def job_of(program: Program) -> Job:
    """A program as executors know it."""
    return Job(
        key=document_digest(str(program.step)),
        name=program.name,
        kind=program.kind,
        role=program.image,
        command=program.command,
        code=program.image.removeprefix("sha256:"),
        settings=dict(program.settings),
        environment=dict(program.environment),
        config=dict(program.config),
        outputs=program.outputs,
        has_checkpoints=program.has_checkpoints,
        resources=program.resources,
    )


def prepared(program: Program, number: int, *, gpus: tuple[int, ...], labels: Mapping[str, str]) -> Launch:
    """Make the folders and config files of an attempt anew; all that an executor needs to start it."""
    folder = JobFolder(program.step)
    attempt = folder.attempt(number)
    shutil.rmtree(attempt.path, ignore_errors=True)
    for path in (attempt.scratch, attempt.output):
        path.mkdir(parents=True)
    job = job_of(program)
    mounts = [*program.inputs]
    if program.has_config:
        attempt.config.mkdir()
        write_config(job, attempt)
        _add_channels(attempt, program.inputs)
        mounts += [
            Mount(attempt.config, CONFIG_TARGET),
            Mount(attempt.scratch, SCRATCH_TARGET, writable=True),
        ]
    for made in program.outputs:
        path = attempt.output / made.name
        path.mkdir(exist_ok=True)
        mounts.append(Mount(path, made.target, writable=True))
    if program.has_checkpoints:
        folder.checkpoints.mkdir(exist_ok=True)
        mounts.append(Mount(folder.checkpoints, CHECKPOINTS_TARGET, writable=True))
    mounts.sort(key=lambda mount: mount.target)
    given = gpus[: program.resources.gpus]
    return Launch(job, number, attempt, tuple(mounts), given, labels)


def _add_channels(attempt: AttemptFolder, inputs: tuple[Mount, ...]) -> None:
    """inputdataconfig.json, for mounts that are no other job's output."""
    channels = [
        mount.target.removeprefix(_CHANNELS) for mount in inputs if mount.target.startswith(_CHANNELS)
    ]
    document = {channel: {"TrainingInputMode": "File"} for channel in channels}
    write_json_atomically(attempt.config / "inputdataconfig.json", document)


def last_line(text: str) -> str:
    """The last line that is not empty, as `plain` has it."""
    lines = [line for line in text.splitlines() if line.strip()]
    return plain(lines[-1]) if lines else ""


def plain(line: str) -> str:
    """A line without what no page or database shows, cut to a length that fits."""
    return "".join(each for each in line if each.isprintable()).strip()[:_MAX_LINE]
