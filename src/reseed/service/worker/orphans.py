"""Containers of jobs that are over, or that another engine's worker has: ended by their labels."""

from __future__ import annotations

import logging
from uuid import UUID

from reseed.service.database.engine import Database
from reseed.service.database.models import Job
from reseed.service.domain.states import JobState
from reseed.service.folders import DataFolder
from reseed.service.worker.worker import INSTALLATION_LABEL, JOB_LABEL, Programs

_log = logging.getLogger(__name__)


def end_orphans(database: Database, folders: DataFolder, engine: Programs) -> int:
    """
    End this engine's containers that nobody will ask for again; how many there were.

    The container of a job that is queued is left: the next worker here goes on with it. So is that
    of a job which a worker on this engine has.
    """
    n_ended = 0
    for container in list(engine.labelled(f"{INSTALLATION_LABEL}={folders.root.resolve()}")):
        with database.read() as session:
            job = session.get(Job, UUID(container.labels[JOB_LABEL]))
        if job is not None and job.state is JobState.QUEUED:
            continue
        is_leased = job is not None and job.state is JobState.LEASED
        if job is not None and is_leased and str(job.lease_owner).endswith(f"@{engine.engine_id}"):
            continue
        _log.info("container ended", extra={"job": container.labels[JOB_LABEL]})
        engine.end(container.identifier)
        n_ended += 1
    return n_ended
