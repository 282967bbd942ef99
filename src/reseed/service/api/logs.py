"""
Routes of logs: what the programs of a run have printed.

Organisers see all of them. Owners see that of the trial case, under that name and not the case's, where
the phase shows it: logs can quote inputs.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi import Path as InPath
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from reseed.service.api.asking import AskerHere, InstallationHere
from reseed.service.api.problem import Removed, problems
from reseed.service.api.submissions import found_submission
from reseed.service.database.models import Run, RunCase
from reseed.service.domain.permissions import Action
from reseed.service.folders import DataFolder
from reseed.service.security.authorisation import Asker, NotAllowed, NotThere, may, owners_of

router = APIRouter(prefix="/submissions", tags=["submissions"])

TRIAL = "trial"
MAX_TAIL_BYTES = 4 << 20
SIZE_HEADER = "X-Log-Bytes"

NumberInPath = Annotated[int, InPath(ge=1, le=10_000, description="Of the run, from 1.")]
StepInPath = Annotated[
    str,
    InPath(
        max_length=140,
        description="preprocess, train-member-0, case-NAME, evaluate; or trial, of the case tried first.",
    ),
]


class LogShape(BaseModel):
    """A log, without its text."""

    step: str
    size_bytes: int
    modified: datetime
    api_url: str


@dataclass(frozen=True)
class Log:
    """A log that the person who asks may see."""

    step: str
    path: Path


@dataclass(frozen=True)
class Tail:
    """The end of a log; what is left out of it lies before."""

    text: str
    size_bytes: int
    left_out_bytes: int


def found_run(session: Session, asker: Asker, pk: UUID, number: int) -> Run:
    """The run of a submission whose logs concern the person; raises NotThere."""
    submission = found_submission(session, asker, pk, Action.VIEW_OWN_LOGS)
    run = session.scalar(select(Run).where(Run.submission_pk == submission.pk, Run.number == number))
    if run is None:
        raise NotThere(f"submission {pk} has no run {number}")
    return run


def sees_all_logs(session: Session, asker: Asker, run: Run) -> bool:
    """Whether the person sees every log of a run, and with them the names of the hidden cases."""
    submission = run.submission
    return may(
        session,
        asker,
        Action.VIEW_ALL_LOGS,
        challenge_pk=submission.phase.challenge_pk,
        owners=owners_of(session, submission),
    )


def visible_logs(session: Session, asker: Asker, folder: DataFolder, run: Run) -> list[Log]:
    """The logs of a run that are there and that the person may see; that of the trial case first."""
    if run.submission.outputs_removed_at is not None:
        return []
    if not sees_all_logs(session, asker, run):
        trial = _shown_trial(session, folder, run)
        return [] if trial is None else [trial]
    place = folder.log(run.submission_pk, run.number, TRIAL).parent
    kept = sorted(path for path in place.glob("*.log") if path.is_file())
    trial = _trial(folder, run, _trial_case(session, run))
    logs = [Log(path.stem, path) for path in kept]
    return logs if trial is None else [trial, *logs]


def found_log(session: Session, asker: Asker, folder: DataFolder, run: Run, step: str) -> Log:
    """
    One log of a run.

    Raises
    ------
    NotAllowed
        When it is not for the person, whether there is one or not.
    Removed
        When they were removed, long after the end of the submission.
    NotThere
        When there is none, or none yet.
    """
    if not sees_all_logs(session, asker, run):
        if step != TRIAL:
            raise NotAllowed(
                f"only organisers see it; yours is the log {TRIAL!r} of run 1, where the phase shows it"
            )
        if not run.submission.phase.shows_trial_log:
            raise NotAllowed("the phase does not show the log of its trial case")
    removed_at = run.submission.outputs_removed_at
    if removed_at is not None:
        raise Removed(f"the logs of submission {run.submission_pk} were removed on {removed_at:%Y-%m-%d}")
    # among those that are there: a step is never made a path of
    found = next((log for log in visible_logs(session, asker, folder, run) if log.step == step), None)
    if found is None:
        raise NotThere(f"run {run.number} has no log {step!r}, or none yet")
    return found


def _trial_case(session: Session, run: Run) -> str | None:
    return session.scalar(select(RunCase.name).where(RunCase.run_pk == run.pk, RunCase.is_trial.is_(True)))


def _shown_trial(session: Session, folder: DataFolder, run: Run) -> Log | None:
    """The log of the trial case for the owner: of no case but the one that the challenge's file names."""
    phase, name = run.submission.phase, _trial_case(session, run)
    if not phase.shows_trial_log or name is None or name != phase.trial_case:
        return None
    return _trial(folder, run, name)


def _trial(folder: DataFolder, run: Run, name: str | None) -> Log | None:
    if name is None:
        return None
    path = folder.log(run.submission_pk, run.number, f"case-{name}")
    return Log(TRIAL, path) if path.is_file() else None


def tail_of(log: Log, limit_bytes: int) -> Tail:
    """The end of a log, from the beginning of a line; raises NotThere when it has just been removed."""
    try:
        with log.path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - limit_bytes))
            end = stream.read(limit_bytes)
    except FileNotFoundError:
        raise NotThere(f"the log {log.step!r} is not kept any more") from None
    if len(end) < size:
        _, newline, whole_lines = end.partition(b"\n")
        end = whole_lines if newline and whole_lines else end
    return Tail(end.decode(errors="replace"), size, size - len(end))


@router.get("/{pk}/runs/{number}/logs/", responses=problems(), operation_id="list_logs")
def logs(pk: UUID, number: NumberInPath, installation: InstallationHere, asker: AskerHere) -> list[LogShape]:
    """The logs of a run that you may see: all of them for organisers, else at most that of the trial case."""
    base_url = f"{installation.settings.base_url}/api/v1/submissions/{pk}/runs/{number}/logs"
    with installation.database.read() as session:
        run = found_run(session, asker, pk, number)
        found = visible_logs(session, asker, installation.folder, run)
    shapes = []
    for log in found:
        state = log.path.stat()
        shapes.append(
            LogShape(
                step=log.step,
                size_bytes=state.st_size,
                modified=datetime.fromtimestamp(state.st_mtime, UTC),
                api_url=f"{base_url}/{quote(log.step, safe='')}/",
            )
        )
    return shapes


@router.get(
    "/{pk}/runs/{number}/logs/{step}/",
    responses={
        200: {"headers": {SIZE_HEADER: {"description": "Of the whole log.", "schema": {"type": "integer"}}}},
        **problems(410),
    },
    response_class=PlainTextResponse,
    operation_id="get_log",
)
def log(
    pk: UUID,
    number: NumberInPath,
    step: StepInPath,
    installation: InstallationHere,
    asker: AskerHere,
    tail_bytes: Annotated[int, Query(ge=1, le=MAX_TAIL_BYTES, description="At most so much of its end.")] = 1
    << 18,
) -> PlainTextResponse:
    """What a program printed, standard output and standard error; of a long one the end."""
    with installation.database.read() as session:
        run = found_run(session, asker, pk, number)
        found = found_log(session, asker, installation.folder, run, step)
    tail = tail_of(found, tail_bytes)
    return PlainTextResponse(tail.text, headers={SIZE_HEADER: str(tail.size_bytes)})
