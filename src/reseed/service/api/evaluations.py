"""Routes of evaluations, and of evaluators outside the service that claim and update them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, ValidationError, model_validator
from sqlalchemy import or_, select
from sqlalchemy.orm import Session, undefer

from reseed.contracts.metrics import Metrics
from reseed.documents.reading import validation_lines
from reseed.service.api.asking import AskerHere, InstallationHere
from reseed.service.api.found import found_row
from reseed.service.api.pagination import Page, PagingHere
from reseed.service.api.problem import Conflict, Unacceptable, problems
from reseed.service.api.shapes import Person, PhaseReference, status_words
from reseed.service.database.columns import now_utc
from reseed.service.database.locks import lock_submissions
from reseed.service.database.models import Evaluation, Submission, User
from reseed.service.database.results import record_failure, record_success
from reseed.service.database.transitions import transition
from reseed.service.domain.permissions import Action
from reseed.service.domain.states import EvaluationState
from reseed.service.security.authorisation import (
    Asker,
    NotAllowed,
    logged_in,
    may,
    own_submissions,
    owners_of,
    phases_organised,
    require,
)

router = APIRouter(prefix="/evaluations", tags=["evaluations"])
METRICS_SOCKET = {
    "slug": "metrics-json-file",
    "title": "Metrics JSON File",
    "kind": "Anything",
    "super_kind": "Value",
    "relative_path": "metrics.json",
}


class SubmissionReference(BaseModel):
    """A submission, named in its evaluation."""

    pk: UUID
    phase: PhaseReference
    created: datetime
    creator: Person
    comment: str
    publication_url: str
    algorithm_image: UUID

    @classmethod
    def of(cls, submission: Submission) -> SubmissionReference:
        """The JSON shape of a row."""
        return cls(
            pk=submission.pk,
            phase=PhaseReference.of(submission.phase),
            created=submission.created,
            creator=Person.of(submission.creator),
            comment=submission.comment,
            publication_url=submission.publication_url,
            algorithm_image=submission.algorithm_image_pk,
        )


class EvaluationShape(BaseModel):
    """
    The evaluation of one run.

    `metrics` and `outputs` are null and empty until the person who asks may see them: organisers
    always, participants their own after the release, without the results by case.
    """

    pk: UUID
    api_url: str
    submission: SubmissionReference
    run: int
    created: datetime
    published: bool
    status: str
    error_message: str
    deadline: datetime | None
    metrics: dict[str, Any] | None
    outputs: list[dict[str, Any]]


class ExternalEvaluationShape(EvaluationShape):
    """An evaluation for an evaluator outside the service: with what is to be run."""

    algorithm_image_digest: str | None
    algorithm_model: UUID | None
    claimed_by: Person | None


class ExternalUpdate(BaseModel):
    """How an external evaluation ended."""

    status: Literal["Succeeded", "Failed"]
    metrics: dict[str, Any] | None = Field(default=None, description="metrics.json; with Succeeded.")
    error_message: Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")] = Field(
        default="", description="Why; with Failed."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.status == "Succeeded" and self.metrics is None:
            raise ValueError("metrics are required when the evaluation succeeded")
        if self.status == "Failed" and not self.error_message.strip():
            raise ValueError("an error_message is required when the evaluation failed")
        return self


def visible_metrics(session: Session, asker: Asker, evaluation: Evaluation) -> dict[str, Any] | None:
    """
    What of metrics.json the person may see: nothing, the aggregates, or all of it.

    The rows of the cases are the organisers': they name the hidden cases. After the release the
    owner sees the aggregates.
    """
    if evaluation.metrics is None:
        return None
    phase = evaluation.submission.phase
    owners = owners_of(session, evaluation.submission)

    def allowed(action: Action) -> bool:
        return may(session, asker, action, challenge_pk=phase.challenge_pk, owners=owners)

    is_released = phase.released_at is not None and phase.released_at <= now_utc()
    if not allowed(Action.VIEW_UNRELEASED_METRICS) and not (
        is_released and allowed(Action.VIEW_RELEASED_METRICS)
    ):
        return None
    if allowed(Action.VIEW_CASE_RESULTS):
        return evaluation.metrics
    hidden = {"results", "comparisons"}
    return {key: value for key, value in evaluation.metrics.items() if key not in hidden}


def _shape(session: Session, asker: Asker, base_url: str) -> Callable[[Evaluation], EvaluationShape]:
    return lambda evaluation: EvaluationShape(**_fields(session, asker, base_url, evaluation))


def _fields(session: Session, asker: Asker, base_url: str, evaluation: Evaluation) -> dict[str, Any]:
    metrics = visible_metrics(session, asker, evaluation)
    outputs: list[dict[str, Any]] = []
    if metrics is not None:
        outputs = [{"socket": METRICS_SOCKET, "interface": METRICS_SOCKET, "value": metrics}]
    return {
        "pk": evaluation.pk,
        "api_url": f"{base_url}/api/v1/evaluations/{evaluation.pk}/",
        "submission": SubmissionReference.of(evaluation.submission),
        "run": evaluation.run.number,
        "created": evaluation.created,
        "published": evaluation.published,
        "status": status_words(evaluation.state),
        "error_message": evaluation.reason if evaluation.state is EvaluationState.FAILED else "",
        "deadline": evaluation.deadline,
        "metrics": metrics,
        "outputs": outputs,
    }


def _external_shape(
    session: Session, asker: Asker, base_url: str, evaluation: Evaluation
) -> ExternalEvaluationShape:
    claimed_by = None
    if evaluation.claimed_by_pk is not None:
        claimed_by = Person.of(session.get_one(User, evaluation.claimed_by_pk))
    return ExternalEvaluationShape(
        **_fields(session, asker, base_url, evaluation),
        algorithm_image_digest=evaluation.submission.algorithm_image.digest,
        algorithm_model=evaluation.run.algorithm_model_pk,
        claimed_by=claimed_by,
    )


@router.get("/", responses=problems(), operation_id="list_evaluations")
def evaluations(
    installation: InstallationHere,
    asker: AskerHere,
    paging: PagingHere,
    submission__phase: Annotated[UUID | None, Query()] = None,
    submission: Annotated[UUID | None, Query()] = None,
) -> Page[EvaluationShape]:
    """Evaluations of your submissions and of challenges that you organise; newest first."""
    user = logged_in(asker)
    with installation.database.read() as session:
        require(session, asker, Action.VIEW_EVALUATION, owners=[user.pk])
        statement = (
            select(Evaluation)
            .join(Evaluation.submission)
            .join(Submission.phase)
            .where(or_(own_submissions(asker), phases_organised(asker)))
            .options(undefer(Evaluation.metrics))
            .order_by(Evaluation.created.desc(), Evaluation.pk)
        )
        if submission__phase is not None:
            statement = statement.where(Submission.phase_pk == submission__phase)
        if submission is not None:
            statement = statement.where(Evaluation.submission_pk == submission)
        return paging.page(session, statement, _shape(session, asker, installation.settings.base_url))


@router.get("/claimable_evaluations/", responses=problems(), operation_id="list_claimable_evaluations")
def claimable_evaluations(
    installation: InstallationHere,
    asker: AskerHere,
    submission__phase: Annotated[UUID | None, Query()] = None,
) -> list[ExternalEvaluationShape]:
    """External evaluations that nobody has claimed, oldest first; for organisers."""
    user = logged_in(asker)
    base_url = installation.settings.base_url
    with installation.database.read() as session:
        # the list is empty for whoever organises nothing; the token's scope counts all the same
        require(session, asker, Action.VIEW_EVALUATION, owners=[user.pk])
        statement = (
            select(Evaluation)
            .join(Evaluation.submission)
            .join(Submission.phase)
            .where(
                phases_organised(asker),
                Evaluation.is_external.is_(True),
                Evaluation.state == EvaluationState.QUEUED,
            )
            .order_by(Evaluation.created, Evaluation.pk)
            .limit(100)
        )
        if submission__phase is not None:
            statement = statement.where(Submission.phase_pk == submission__phase)
        return [_external_shape(session, asker, base_url, row) for row in session.scalars(statement).unique()]


@router.get("/{pk}/", responses=problems(), operation_id="get_evaluation")
def evaluation(pk: UUID, installation: InstallationHere, asker: AskerHere) -> EvaluationShape:
    """One evaluation, with the metrics that you may see."""
    with installation.database.read() as session:
        found = _found(session, asker, pk, Action.VIEW_EVALUATION)
        return _shape(session, asker, installation.settings.base_url)(found)


@router.patch("/{pk}/claim/", responses=problems(409), operation_id="claim_evaluation")
def claim(pk: UUID, installation: InstallationHere, asker: AskerHere) -> ExternalEvaluationShape:
    """Take an external evaluation for yourself, one at a time, until its deadline."""
    user = logged_in(asker)
    with installation.database.write() as session:
        found = _found(session, asker, pk, Action.EVALUATE_EXTERNALLY)
        if not found.is_external:
            raise Conflict("the service evaluates this one itself")
        if found.state is not EvaluationState.QUEUED:
            raise Conflict(f"only a queued evaluation can be claimed; this one is {found.state}")
        held = select(Evaluation.pk).where(
            Evaluation.claimed_by_pk == user.pk, Evaluation.state == EvaluationState.CLAIMED
        )
        if session.scalar(held) is not None:
            raise Conflict("you have claimed another evaluation; update that one first")
        transition(
            session,
            found,
            EvaluationState.CLAIMED,
            reason=f"claimed by {user.username}",
            actor=user.pk,
            within=timedelta(seconds=found.submission.phase.evaluation_timeout_s),
            claimed_by_pk=user.pk,
        )
        return _external_shape(session, asker, installation.settings.base_url, found)


@router.patch(
    "/{pk}/update_external_evaluation/", responses=problems(409), operation_id="update_external_evaluation"
)
def update_external_evaluation(
    pk: UUID, update: ExternalUpdate, installation: InstallationHere, asker: AskerHere
) -> ExternalEvaluationShape:
    """Say how an evaluation that you have claimed ended."""
    user = logged_in(asker)
    with installation.database.write() as session:
        its_submission = select(Evaluation.submission_pk).where(Evaluation.pk == pk)
        lock_submissions(session, Submission.pk.in_(its_submission))
        found = _found(session, asker, pk, Action.EVALUATE_EXTERNALLY)
        if found.state is not EvaluationState.CLAIMED:
            raise Conflict(f"claim the evaluation before you update it; it is {found.state}")
        if found.claimed_by_pk != user.pk:
            raise NotAllowed("somebody else has claimed this evaluation")
        if found.deadline is not None and found.deadline <= now_utc():
            raise Conflict("the evaluation was not updated in time")
        if update.status == "Succeeded":
            record_success(session, found, _checked_metrics(update.metrics, found), actor=user.pk)
        else:
            record_failure(session, found, update.error_message.strip(), actor=user.pk)
        return _external_shape(session, asker, installation.settings.base_url, found)


def _checked_metrics(document: dict[str, Any] | None, evaluation: Evaluation) -> dict[str, Any]:
    try:
        metrics = Metrics.model_validate(document)
    except ValidationError as error:
        raise Unacceptable("\n".join(validation_lines("metrics", error, document))) from None
    task = evaluation.submission.phase.task_name
    if metrics.task != task:
        raise Unacceptable(f"metrics.task: must be {task!r}, got {metrics.task!r}")
    return metrics.document()


def _found(session: Session, asker: Asker, pk: UUID, action: Action) -> Evaluation:
    logged_in(asker)
    found = found_row(session, Evaluation, pk, "evaluation", undefer(Evaluation.metrics))
    owners = owners_of(session, found.submission)
    challenge_pk = found.submission.phase.challenge_pk
    missing = f"there is no evaluation {pk}"
    require(session, asker, Action.VIEW_EVALUATION, challenge_pk=challenge_pk, owners=owners, hidden=missing)
    require(session, asker, action, challenge_pk=challenge_pk, owners=owners)
    return found
