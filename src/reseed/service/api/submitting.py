"""The route that hands in a submission, and what a phase asks of one."""

from __future__ import annotations

import secrets
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header
from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from reseed.orchestration.packaging.image_rules import n_members_of
from reseed.service.api.asking import AskerHere, InstallationHere
from reseed.service.api.found import found_row
from reseed.service.api.problem import Conflict, Unacceptable, problems
from reseed.service.api.submissions import SubmissionShape
from reseed.service.api.text import Prose
from reseed.service.database.columns import now_utc
from reseed.service.database.jobs import enqueue
from reseed.service.database.models import (
    AlgorithmImage,
    AlgorithmModel,
    Job,
    Phase,
    Run,
    Submission,
    Team,
    TeamMember,
    User,
)
from reseed.service.database.transitions import enter
from reseed.service.domain.limits import (
    DAY,
    UNCOUNTED,
    count_refusal,
    members_refusal,
    runs_of,
    window_refusal,
)
from reseed.service.domain.permissions import Action, scope_allows
from reseed.service.domain.roles import Role, SubmissionKind
from reseed.service.domain.states import ArchiveState
from reseed.service.security.authorisation import (
    Asker,
    NotAllowed,
    NotThere,
    logged_in,
    require,
    require_view,
    role_in,
)

router = APIRouter(prefix="/submissions", tags=["submissions"])

START = "start"
# Of a signed 64 bit column.
_ENTROPY_BITS = 63
_COMING = (ArchiveState.RECEIVED, ArchiveState.CHECKING, ArchiveState.READY)


class NewSubmission(BaseModel):
    """What is handed in to which phase."""

    phase: UUID
    algorithm_image: UUID = Field(description="Yours; ready, or still being checked.")
    algorithm_models: list[UUID] = Field(
        default_factory=list,
        max_length=1000,
        description="One for each retraining, of the same algorithm; none where the service trains.",
    )
    comment: Prose = ""
    publication_url: str = Field(default="", max_length=500, pattern=r"^(https?://[!-~]+)?$")


IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r'^("[!#-\[\]-~]{1,100}"|[!#-\[\]-~]{1,100})$',
        description="Chosen by the client, new for each submission: a request that is sent again with the "
        "key of an earlier one is answered with the submission that that one made.",
    ),
]


@router.post("/", status_code=201, responses=problems(409), operation_id="create_submission")
def create(
    wanted: NewSubmission,
    installation: InstallationHere,
    asker: AskerHere,
    idempotency_key: IdempotencyKey = None,
) -> SubmissionShape:
    """Hand in an image with its models, or an image that the service trains."""
    logged_in(asker)
    key = idempotency_key and idempotency_key.strip('"')
    with installation.database.write() as session:
        submission = new_submission(session, asker, wanted, key)
        return SubmissionShape.of(submission, installation.settings.base_url)


def new_submission(
    session: Session, asker: Asker, wanted: NewSubmission, key: str | None = None
) -> Submission:
    """
    A submission with its runs and the job that starts it, or the one that the same request made before.

    Organisers try their own phase when they like: its time and its limits are for participants.

    Parameters
    ----------
    session
        A writing transaction: all of it is there, or nothing.
    asker
        Who hands it in, for their team if they are in one.
    wanted
        What, and where.
    key
        By which the client says that requests are one and the same; None when each is another.

    Raises
    ------
    NotThere, NotAllowed, NotLoggedIn
    Conflict
        When the phase is not open or a limit is reached.
    Unacceptable
        When image and models are not what the phase asks for, or the key is that of another request.
    """
    user = logged_in(asker)
    if not scope_allows(Action.CREATE_SUBMISSION, asker.scopes):
        raise NotAllowed(f"the token's scopes do not allow: {Action.CREATE_SUBMISSION}")
    phase = _open_to(session, asker, wanted.phase)
    # before the limits, which the first of the two requests may have used up
    made = None if key is None else _made_before(session, user, wanted, key)
    if made is not None:
        return made
    team = session.scalar(
        select(Team)
        .join(TeamMember, TeamMember.team_pk == Team.pk)
        .where(TeamMember.challenge_pk == phase.challenge_pk, TeamMember.user_pk == user.pk)
    )
    if role_in(session, asker, phase.challenge_pk) is not Role.ORGANISER and not asker.is_administrator:
        _check_limits(session, phase, user, team)
    image = _own_image(session, asker, wanted.algorithm_image, phase)
    models = _own_models(session, wanted.algorithm_models, image)
    try:
        n_runs = runs_of(phase.submission_kind, n_runs=phase.n_runs, n_models=len(models))
    except ValueError as error:
        raise Unacceptable(str(error)) from None
    submission = Submission(
        phase=phase,
        creator=session.get_one(User, user.pk),
        team=team,
        algorithm_image=image,
        kind=phase.submission_kind,
        n_runs=n_runs,
        entropy=secrets.randbits(_ENTROPY_BITS),
        comment=wanted.comment,
        publication_url=wanted.publication_url,
        idempotency_key=key,
    )
    enter(session, submission, actor=user.pk)
    for number in range(1, n_runs + 1):
        model = models[number - 1] if models else None
        enter(session, Run(submission=submission, number=number, algorithm_model=model), actor=user.pk)
    enqueue(session, Job(kind=START, submission_pk=submission.pk))
    return submission


def _made_before(session: Session, user: User, wanted: NewSubmission, key: str) -> Submission | None:
    """What a request with this key has made; of two at once, the second has waited for the phase."""
    made = session.scalar(
        select(Submission).where(Submission.creator_pk == user.pk, Submission.idempotency_key == key)
    )
    if made is None:
        return None
    models = [run.algorithm_model_pk for run in made.runs if run.algorithm_model_pk is not None]
    same = NewSubmission(
        phase=made.phase_pk,
        algorithm_image=made.algorithm_image_pk,
        algorithm_models=models,
        comment=made.comment,
        publication_url=made.publication_url,
    )
    if wanted != same:
        raise Unacceptable(f"Idempotency-Key {key!r} is that of another submission: {made.pk}")
    return made


def _open_to(session: Session, asker: Asker, pk: UUID) -> Phase:
    """The phase, locked, for somebody who may submit to it."""
    phase = session.scalar(select(Phase).where(Phase.pk == pk).with_for_update(of=Phase))
    if phase is None:
        raise NotThere(f"there is no phase {pk}")
    require_view(session, asker, phase.challenge)
    require(session, asker, Action.CREATE_SUBMISSION, challenge_pk=phase.challenge_pk)
    return phase


def _check_limits(session: Session, phase: Phase, user: User, team: Team | None) -> None:
    now = now_utc()
    refusal = window_refusal(now, phase.opens_at, phase.closes_at)
    if refusal is not None:
        raise Conflict(refusal)
    ours: ColumnElement[bool] = Submission.creator_pk == user.pk
    if team is not None:
        ours = or_(ours, Submission.team_pk == team.pk)
    counted = (ours, Submission.phase_pk == phase.pk, Submission.state.not_in(UNCOUNTED))
    n_last_day, first = session.execute(
        select(func.count(), func.min(Submission.created)).where(*counted, Submission.created > now - DAY)
    ).one()
    refusal = count_refusal(
        n_last_day=n_last_day,
        per_day=phase.submissions_per_day,
        n_in_total=session.scalar(select(func.count()).select_from(Submission).where(*counted)) or 0,
        in_total=phase.submissions_in_total,
        again_at=None if first is None else first + DAY,
    )
    if refusal is not None:
        raise Conflict(refusal)


def _own_image(session: Session, asker: Asker, pk: UUID, phase: Phase) -> AlgorithmImage:
    image = found_row(session, AlgorithmImage, pk, "image")
    owners = [image.algorithm.owner_pk]
    require(session, asker, Action.EDIT_ALGORITHM, owners=owners, hidden=f"there is no image {pk}")
    if image.state not in _COMING:
        raise Unacceptable(f"image {pk} cannot be submitted, it is {image.state}: {image.reason}")
    is_trained = phase.submission_kind is SubmissionKind.TRAINING
    if is_trained and image.state is ArchiveState.READY and not image.has_training:
        raise Unacceptable(
            f"image {pk} has no executable `train` on its PATH, and the phase trains every submission itself"
        )
    if is_trained and image.state is ArchiveState.READY:
        refusal = members_refusal(n_members_of(image.labels), at_most=phase.members)
        if refusal is not None:
            raise Unacceptable(refusal)
    return image


def _own_models(session: Session, pks: list[UUID], image: AlgorithmImage) -> list[AlgorithmModel]:
    if len(set(pks)) != len(pks):
        raise Unacceptable("each model may be named once: two equal ones are not two retrainings")
    models = []
    for pk in pks:
        model = session.get(AlgorithmModel, pk)
        # of the image's algorithm, so of the same owner, who has been checked
        if model is None or model.algorithm_pk != image.algorithm_pk:
            raise Unacceptable(f"algorithm {image.algorithm.slug!r} has no model {pk}")
        if model.state not in _COMING:
            raise Unacceptable(f"model {pk} cannot be submitted, it is {model.state}: {model.reason}")
        models.append(model)
    return models
