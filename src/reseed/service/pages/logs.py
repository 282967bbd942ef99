"""The pages of logs: which a run has, and the end of one."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response

from reseed.service.api.asking import AskerHere, InstallationHere
from reseed.service.api.logs import (
    MAX_TAIL_BYTES,
    NumberInPath,
    StepInPath,
    found_log,
    found_run,
    tail_of,
    visible_logs,
)
from reseed.service.pages.places import submission_crumbs
from reseed.service.pages.rendering import page

router = APIRouter()

TAIL_BYTES = 64 << 10


@router.get("/submissions/{pk}/runs/{number}/logs/")
def logs(
    request: Request, pk: UUID, number: NumberInPath, installation: InstallationHere, asker: AskerHere
) -> Response:
    """The logs of a run that the person may see."""
    with installation.database.read() as session:
        run = found_run(session, asker, pk, number)
        found = visible_logs(session, asker, installation.folder, run)
        return page(
            request,
            "logs.html",
            asker,
            crumbs=submission_crumbs(run.submission),
            run=run,
            phase=run.submission.phase,
            logs=[(each.step, each.path.stat().st_size) for each in found],
        )


@router.get("/submissions/{pk}/runs/{number}/logs/{step}/")
def log(
    request: Request,
    pk: UUID,
    number: NumberInPath,
    step: StepInPath,
    installation: InstallationHere,
    asker: AskerHere,
) -> Response:
    """The end of a log."""
    with installation.database.read() as session:
        run = found_run(session, asker, pk, number)
        tail = tail_of(found_log(session, asker, installation.folder, run, step), TAIL_BYTES)
        return page(
            request,
            "log.html",
            asker,
            crumbs=submission_crumbs(run.submission),
            run=run,
            phase=run.submission.phase,
            step=step,
            # what no page can hold
            text="".join(each if each.isprintable() or each in "\n\t" else "\ufffd" for each in tail.text),
            size_bytes=tail.size_bytes,
            left_out_bytes=tail.left_out_bytes,
            plain_tail_bytes=MAX_TAIL_BYTES,
        )
