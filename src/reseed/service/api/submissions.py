"""Routes of submissions: which there are, how one stands, and ending one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlalchemy import or_, select
from sqlalchemy.orm import Session, selectinload

from reseed.service.api.asking import AskerHere, InstallationHere
from reseed.service.api.found import found_row
from reseed.service.api.pagination import Page, PagingHere
from reseed.service.api.problem import Conflict, problems
from reseed.service.api.shapes import Person, PhaseReference, status_words
from reseed.service.database.columns import now_utc
from reseed.service.database.jobs import cancel_jobs
from reseed.service.database.locks import lock_submissions
from reseed.service.database.models import Job, Run, Submission
from reseed.service.database.results import end_parts
from reseed.service.database.transitions import transition
from reseed.service.domain.permissions import Action
from reseed.service.domain.roles import SubmissionKind
from reseed.service.domain.states import SubmissionState
from reseed.service.security.authorisation import (
    Asker,
    logged_in,
    own_submissions,
    owners_of,
    phases_organised,
    require,
)

router = APIRouter(prefix="/submissions", tags=["submissions"])


class RunShape(BaseModel):
    """One retraining, or one brought model."""

    pk: UUID
    number: int
    status: str
    reason: str
    algorithm_model: UUID | None

    @classmethod
    def of(cls, run: Run) -> RunShape:
        """The JSON shape of a row."""
        return cls(
            pk=run.pk,
            number=run.number,
            status=status_words(run.state),
            reason=run.reason,
            algorithm_model=run.algorithm_model_pk,
        )


class SubmissionShape(BaseModel):
    """A submission, and how it stands."""

    pk: UUID
    api_url: str
    url: str
    phase: PhaseReference
    created: datetime
    creator: Person
    team: str | None
    comment: str
    publication_url: str
    algorithm_image: UUID
    kind: SubmissionKind
    n_runs: int
    status: str
    is_over: bool = Field(description="Whether the status will not change any more.")
    reason: str = Field(description="Why it is in this status, in a sentence.")
    since: datetime
    deadline: datetime | None = Field(description="When this status ends at the latest.")
    outputs_removed_at: datetime | None = Field(
        description="When its outputs and logs were removed, long after its end; scores stay."
    )
    runs: list[RunShape]

    @classmethod
    def of(cls, submission: Submission, base_url: str) -> SubmissionShape:
        """The JSON shape of a row with its runs and team."""
        return cls(
            pk=submission.pk,
            api_url=f"{base_url}/api/v1/submissions/{submission.pk}/",
            url=f"{base_url}/submissions/{submission.pk}/",
            phase=PhaseReference.of(submission.phase),
            created=submission.created,
            creator=Person.of(submission.creator),
            team=None if submission.team is None else submission.team.name,
            comment=submission.comment,
            publication_url=submission.publication_url,
            algorithm_image=submission.algorithm_image_pk,
            kind=submission.kind,
            n_runs=submission.n_runs,
            status=status_words(submission.state),
            is_over=submission.state.is_terminal,
            reason=submission.reason,
            since=submission.state_since,
            deadline=submission.deadline,
            outputs_removed_at=submission.outputs_removed_at,
            runs=[RunShape.of(run) for run in submission.runs],
        )


def found_submission(session: Session, asker: Asker, pk: UUID, action: Action) -> Submission:
    """The submission, for a person who may do this with it; raises NotThere as if there were none."""
    logged_in(asker)
    submission = found_row(session, Submission, pk, "submission")
    require(
        session,
        asker,
        action,
        challenge_pk=submission.phase.challenge_pk,
        owners=owners_of(session, submission),
        hidden=f"there is no submission {pk}",
    )
    return submission


@router.get("/", responses=problems(), operation_id="list_submissions")
def submissions(
    installation: InstallationHere,
    asker: AskerHere,
    paging: PagingHere,
    phase: Annotated[UUID | None, Query(description="Only those to this phase.")] = None,
    status: Annotated[SubmissionState | None, Query()] = None,
) -> Page[SubmissionShape]:
    """Your submissions and your teams', and all to challenges that you organise; newest first."""
    user = logged_in(asker)
    base_url = installation.settings.base_url
    with installation.database.read() as session:
        require(session, asker, Action.VIEW_SUBMISSION, owners=[user.pk])
        statement = (
            select(Submission)
            .join(Submission.phase)
            .where(or_(own_submissions(asker), phases_organised(asker)))
            .options(selectinload(Submission.runs), selectinload(Submission.team))
            .order_by(Submission.created.desc(), Submission.pk)
        )
        if phase is not None:
            statement = statement.where(Submission.phase_pk == phase)
        if status is not None:
            statement = statement.where(Submission.state == status)
        return paging.page(session, statement, lambda row: SubmissionShape.of(row, base_url))


@router.get("/{pk}/", responses=problems(), operation_id="get_submission")
def submission(pk: UUID, installation: InstallationHere, asker: AskerHere) -> SubmissionShape:
    """One submission, and how it stands."""
    with installation.database.read() as session:
        found = found_submission(session, asker, pk, Action.VIEW_SUBMISSION)
        return SubmissionShape.of(found, installation.settings.base_url)


@router.post("/{pk}/cancel/", responses=problems(409), operation_id="cancel_submission")
def cancel(pk: UUID, installation: InstallationHere, asker: AskerHere) -> SubmissionShape:
    """End a submission that is not over; what runs of it is stopped."""
    with installation.database.write() as session:
        lock_submissions(session, Submission.pk == pk)
        found = found_submission(session, asker, pk, Action.CANCEL_SUBMISSION)
        if found.state.is_terminal:
            raise Conflict(f"the submission is over: {found.state}")
        reason = f"cancelled by {logged_in(asker).username}"
        transition(
            session,
            found,
            SubmissionState.CANCELLED,
            reason=reason,
            actor=asker.pk,
            cancel_asked_at=now_utc(),
        )
        end_parts(session, found, reason=reason, actor=asker.pk)
        cancel_jobs(session, Job.submission_pk == found.pk, reason=reason, actor=asker.pk)
        return SubmissionShape.of(found, installation.settings.base_url)
