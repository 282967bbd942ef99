"""One worker process, as the handlers of jobs know it."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from reseed.contracts.errors import ReseedError
from reseed.contracts.job import Attempt
from reseed.orchestration.executors.executor import Executor
from reseed.orchestration.executors.pinned import LabelledContainer, PinnedDockerExecutor
from reseed.orchestration.study_folder import AttemptFolder
from reseed.service.database.engine import Database
from reseed.service.folders import DataFolder
from reseed.service.installation import Installation
from reseed.service.settings import ServiceSettings

INSTALLATION_LABEL = "org.reseed.installation"
JOB_LABEL = "org.reseed.service.job"

_SLACK = timedelta(hours=6)
_SLACK_IN_A_QUEUE = timedelta(days=14)


class WorkerStops(ReseedError):
    """The worker was told to stop while it was at a job, which is anybody's again."""


class Images(Protocol):
    """Where images are found and loaded: what a job needs of an engine before it runs anything."""

    engine_id: str

    def digest_of(self, image: str) -> str:
        """The digest of an image, by any name."""

    def has_image(self, digest: str) -> bool:
        """Whether an image is there."""

    def load(self, tarball: Path, digest: str) -> None:
        """Load an image that is not."""


class Programs(Executor, Images, Protocol):
    """
    An executor of images by digest.

    One that `queues` may start a program much later than it is submitted, ends it at its time limit by
    itself, and needs no worker meanwhile.
    """

    queues: bool

    def errors(self, attempt: Attempt, folder: AttemptFolder) -> str:
        """What a program has printed to standard error."""

    def labelled(self, label: str) -> Iterator[LabelledContainer]:
        """Every program that it holds with a label (`name=value`)."""

    def end(self, identifier: str) -> None:
        """End a program that it holds, which may be gone already."""


@dataclass
class Worker:
    """
    What a handler works with.

    Parameters
    ----------
    settings, database, folders
        Of the installation.
    programs
        What runs containers.
    owner
        Name of this process in leases: host, process, a random part, and the engine that it uses.
    gpus
        Numbers of the GPUs that its jobs may have.
    stop
        Set when the worker is to stop: a running container is asked to checkpoint.
    lost
        Set when the job in hand is not this worker's any more.
    grace_s
        How long a container may take to stop.
    """

    settings: ServiceSettings
    database: Database
    folders: DataFolder
    programs: Programs
    owner: str
    gpus: tuple[int, ...] = ()
    stop: threading.Event = field(default_factory=threading.Event)
    lost: threading.Event = field(default_factory=threading.Event)
    grace_s: float = 30.0

    @classmethod
    def of(
        cls, here: Installation, *, gpus: tuple[int, ...] = (), programs: Programs | None = None
    ) -> Worker:
        """
        A worker of an installation, by default with the engine that the docker command would use.

        Raises
        ------
        InfrastructureError
            When no engine answers.
        """
        programs = programs or PinnedDockerExecutor.connected()
        host = f"{os.uname().nodename}.{os.getpid()}.{secrets.token_hex(4)}"
        return cls(
            settings=here.settings,
            database=here.database,
            folders=here.folder,
            programs=programs,
            owner=f"{host}@{programs.engine_id}",
            gpus=gpus,
        )

    @property
    def job_slack(self) -> timedelta:
        """What a job may take besides the time of its containers: a cluster's queue can be long."""
        return _SLACK_IN_A_QUEUE if self.programs.queues else _SLACK

    @property
    def lease_for(self) -> timedelta:
        """How long a job is this worker's without a heartbeat."""
        return timedelta(seconds=self.settings.lease_s)

    def labels(self, job: str) -> Mapping[str, str]:
        """By which a container is found again, as this installation's and as a job's."""
        return {INSTALLATION_LABEL: str(self.folders.root.resolve()), JOB_LABEL: job}
