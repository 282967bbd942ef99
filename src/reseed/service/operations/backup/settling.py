"""What the rows of a backup mean when its instant is over: jobs are anybody's, and time has not passed."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from reseed.service.database.columns import now_utc
from reseed.service.database.models import (
    AlgorithmImage,
    AlgorithmModel,
    Evaluation,
    Event,
    Job,
    LoginSession,
    Phase,
    RateWindow,
    Run,
    RunCase,
    Submission,
    Token,
    Upload,
)
from reseed.service.database.transitions import transition
from reseed.service.domain.states import ArchiveState, JobState, UploadState
from reseed.service.folders import DataFolder
from reseed.service.images.keeping import archive_path
from reseed.service.operations.backup.contents import phase_folders

_TIMED: tuple[type[Any], ...] = (
    Submission,
    Run,
    RunCase,
    Evaluation,
    AlgorithmImage,
    AlgorithmModel,
    Upload,
    Job,
)
_NOT_THERE = "its bytes were not in the backup that this service was restored from"


def settle(session: Session, *, created: datetime, unpacked: DataFolder, folder: DataFolder) -> list[str]:
    """
    Make a copy of an earlier instant an installation that goes on.

    Deadlines are put off by the time that has passed since, so that nothing expires because of it; jobs
    that a worker had are anybody's again, uncounted; log-ins end; what the backup has no bytes of ends.

    Parameters
    ----------
    session
        A writing transaction of the restored database.
    created
        The instant of the backup.
    unpacked
        Where its files are now.
    folder
        Where they will be.

    Returns
    -------
    list of str
        What the person who restores should know, in lines.
    """
    _put_off(session, max(now_utc() - created, timedelta()))
    lines = _end_what_is_not_there(session, unpacked)
    lines += _free_jobs(session)
    session.execute(update(LoginSession).where(LoginSession.ended_at.is_(None)).values(ended_at=now_utc()))
    session.execute(delete(RateWindow))
    lines += _tokens(session, created)
    lines += _phases(session, unpacked, folder)
    session.add(
        Event(
            noun="installation",
            noun_pk=UUID(int=0),
            action="restored",
            reason=f"from a backup of {created.isoformat(timespec='seconds')}",
        )
    )
    return lines


def _put_off(session: Session, passed: timedelta) -> None:
    for table in _TIMED:
        for row in session.scalars(select(table).where(table.deadline.is_not(None))).unique():
            row.deadline += passed
    session.flush()


def _end_what_is_not_there(session: Session, unpacked: DataFolder) -> list[str]:
    lines = []
    waiting = select(Upload).where(Upload.state.in_([UploadState.OPEN, UploadState.FINISHED]))
    for upload in session.scalars(waiting).all():
        if upload.offset and not unpacked.upload(upload.pk).exists():
            transition(session, upload, UploadState.EXPIRED, reason=_NOT_THERE)
            lines.append(f"upload {upload.pk} of {upload.creator.username}: {_NOT_THERE}")
    ends = {
        ArchiveState.RECEIVED: ArchiveState.FAILED,
        ArchiveState.CHECKING: ArchiveState.FAILED,
        ArchiveState.READY: ArchiveState.REMOVED,
    }
    tables: tuple[tuple[str, type[Any]], ...] = (("image", AlgorithmImage), ("model", AlgorithmModel))
    for noun, table in tables:
        for row in session.scalars(select(table).where(table.state.in_(list(ends)))).all():
            if not archive_path(unpacked, row).exists():
                transition(session, row, ends[row.state], reason=_NOT_THERE)
                lines.append(f"{noun} {row.pk} of {row.algorithm.slug}: {_NOT_THERE}")
    return lines


def _free_jobs(session: Session) -> list[str]:
    jobs = session.scalars(select(Job).where(Job.state == JobState.LEASED)).all()
    for job in jobs:
        transition(
            session,
            job,
            JobState.QUEUED,
            reason="the service was restored from a backup",
            lease_owner=None,
            lease_until=None,
            attempts=max(0, job.attempts - 1),
        )
        job.available_at = job.state_since
    session.flush()
    n_open = session.scalar(select(func.count()).select_from(Job).where(Job.state == JobState.QUEUED)) or 0
    if not n_open:
        return []
    return [f"jobs that wait for a worker: {n_open}; one had taken {len(jobs)} of them"]


def _tokens(session: Session, created: datetime) -> list[str]:
    valid = (Token.revoked_at.is_(None), Token.expires_at > now_utc())
    n_tokens = session.scalar(select(func.count()).select_from(Token).where(*valid)) or 0
    if not n_tokens:
        return []
    return [
        f"tokens that are valid as they were at {created:%Y-%m-%d %H:%M} UTC: {n_tokens}; revoke those again "
        "that were revoked since (reseed service token revoke)"
    ]


def _phases(session: Session, unpacked: DataFolder, folder: DataFolder) -> list[str]:
    lines = []
    for phase in session.scalars(select(Phase)):
        for name, path in phase_folders(phase).items():
            if (unpacked.phase(phase.pk) / name).is_dir():
                setattr(phase, f"{name}_folder", str(folder.phase(phase.pk) / name))
            elif not Path(path).is_dir():
                where = f"{phase.challenge.slug}/{phase.slug}"
                lines.append(
                    f"phase {where}: its {name} folder is not here, and was not in the backup: {path}"
                )
    session.flush()
    return lines
