"""The pages of submissions: handing one in, and how one stands."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from reseed.contracts.digests import document_digest
from reseed.service.api import submissions as api
from reseed.service.api import submitting
from reseed.service.api.asking import AskerHere, InstallationHere
from reseed.service.api.found import found_phase
from reseed.service.api.leaderboard import is_released
from reseed.service.api.logs import TRIAL, visible_logs
from reseed.service.api.submissions import found_submission
from reseed.service.api.submitting import NewSubmission
from reseed.service.api.text import SlugInPath
from reseed.service.database.models import (
    Algorithm,
    AlgorithmImage,
    AlgorithmModel,
    Evaluation,
    Phase,
    Run,
    RunCase,
    Submission,
)
from reseed.service.domain.permissions import Action
from reseed.service.domain.states import ArchiveState, CaseState, SubmissionState
from reseed.service.installation import Installation
from reseed.service.operations.retention import kept_until
from reseed.service.pages.forms import FormHere, checked, field, see
from reseed.service.pages.home import is_open
from reseed.service.pages.places import phase_crumbs
from reseed.service.pages.rendering import page
from reseed.service.security.authorisation import Asker, logged_in, may, owners_of, require

router = APIRouter()

STEPS = (
    (SubmissionState.RECEIVED, "Received"),
    (SubmissionState.CHECKING, "Image checked"),
    (SubmissionState.TRYING, "One case tried"),
    (SubmissionState.RUNNING, "All runs"),
    (SubmissionState.EVALUATED, "Evaluated"),
)
MEANINGS = {
    SubmissionState.RECEIVED: "It waits for a worker to look at it.",
    SubmissionState.CHECKING: "The image, and the models that came with it, are checked against the rules.",
    SubmissionState.TRYING: "The first run is on the first case: mistakes show here, before the rest begins.",
    SubmissionState.RUNNING: "All runs predict all cases and are evaluated.",
    SubmissionState.EVALUATED: "Every run is evaluated.",
    SubmissionState.FAILED: "It has failed; the reason is below.",
    SubmissionState.REJECTED: "It breaks a rule of images or models; the reason is below.",
    SubmissionState.CANCELLED: "Somebody has cancelled it.",
    SubmissionState.EXPIRED: "It took longer than it may.",
}
FAILED_CASES_SHOWN = 20


@dataclass(frozen=True)
class RunProgress:
    """One run with how many of its cases are done."""

    run: Run
    n_cases: int
    n_done: int
    n_failed: int
    evaluation: Evaluation | None


@dataclass(frozen=True)
class FailedCase:
    """A case that failed; `case` is its name for organisers, and its number for anybody else."""

    run: int
    case: str
    reason: str
    exit_code: int | None
    seconds: float | None
    last_error_line: str


@router.get("/challenges/{slug}/phases/{phase}/submit/")
def submit(
    request: Request, slug: SlugInPath, phase: SlugInPath, installation: InstallationHere, asker: AskerHere
) -> Response:
    """How to hand in an algorithm, and what of yours is here already."""
    user = logged_in(asker)
    with installation.database.read() as session:
        found = found_phase(session, asker, slug, phase)
        images = session.scalars(
            select(AlgorithmImage)
            .join(Algorithm, Algorithm.pk == AlgorithmImage.algorithm_pk)
            .where(Algorithm.owner_pk == user.pk, AlgorithmImage.state == ArchiveState.READY)
            .order_by(AlgorithmImage.created.desc())
            .limit(50)
        ).all()
        models = session.scalars(
            select(AlgorithmModel)
            .join(Algorithm, Algorithm.pk == AlgorithmModel.algorithm_pk)
            .where(Algorithm.owner_pk == user.pk, AlgorithmModel.state == ArchiveState.READY)
            .order_by(AlgorithmModel.created)
            .limit(200)
        ).all()
        return page(
            request,
            "submit.html",
            asker,
            crumbs=phase_crumbs(found),
            phase=found,
            images=images,
            models=models,
            is_open=is_open(found),
            key=secrets.token_hex(16),
            may_submit=may(session, asker, Action.CREATE_SUBMISSION, challenge_pk=found.challenge_pk),
        )


@router.post("/challenges/{slug}/phases/{phase}/submit/")
def hand_in(
    slug: SlugInPath, phase: SlugInPath, installation: InstallationHere, asker: AskerHere, form: FormHere
) -> Response:
    """Hand in an image that is here already, with its models."""
    with installation.database.read() as session:
        found = found_phase(session, asker, slug, phase)
        require(session, asker, Action.CREATE_SUBMISSION, challenge_pk=found.challenge_pk)
    wanted = checked(
        NewSubmission,
        {
            "phase": found.pk,
            "algorithm_image": field(form, "algorithm_image"),
            "algorithm_models": [str(each) for each in form.getlist("algorithm_models")],
            "comment": field(form, "comment"),
            "publication_url": field(form, "publication_url"),
        },
    )
    made = submitting.create(wanted, installation, asker, _key(form, wanted))
    return see(f"/submissions/{made.pk}/")


def _key(form: FormHere, wanted: NewSubmission) -> str | None:
    """The same for a form that is sent twice, and another when something in it was changed before that."""
    given = field(form, "idempotency_key")
    return document_digest([given, wanted.model_dump(mode="json")]) if given else None


@router.get("/submissions/{pk}/")
def submission(request: Request, pk: UUID, installation: InstallationHere, asker: AskerHere) -> Response:
    """One submission, and how it stands; a script loads it again while it is not over."""
    with installation.database.read() as session:
        found = found_submission(session, asker, pk, Action.VIEW_SUBMISSION)
        may_see = _visibility(session, asker, found)
        at = [state for state, _ in STEPS].index(found.state) if not found.state.is_terminal else -1
        return page(
            request,
            "submission.html",
            asker,
            crumbs=phase_crumbs(found.phase),
            submission=found,
            team=found.team,
            image=found.algorithm_image,
            algorithm=found.algorithm_image.algorithm,
            steps=STEPS,
            at=len(STEPS) - 1 if found.state is SubmissionState.EVALUATED else at,
            meaning=MEANINGS[found.state],
            runs=_runs(session, found),
            failed=_failed_cases(session, found, names=may_see.names),
            failed_shown=FAILED_CASES_SHOWN,
            sees_results=may_see.results,
            sees_all_logs=may_see.all_logs and found.outputs_removed_at is None,
            kept_until=kept_until(found, retention_days=installation.settings.retention_days),
            has_trial_log=_has_trial_log(session, asker, installation, found),
            may_cancel=may_see.may_cancel and not found.state.is_terminal,
        )


@dataclass(frozen=True)
class _Visible:
    names: bool
    results: bool
    all_logs: bool
    may_cancel: bool


def _visibility(session: Session, asker: Asker, submission: Submission) -> _Visible:
    owners = owners_of(session, submission)
    challenge_pk = submission.phase.challenge_pk

    def allowed(action: Action) -> bool:
        return may(session, asker, action, challenge_pk=challenge_pk, owners=owners)

    return _Visible(
        names=allowed(Action.VIEW_CASE_RESULTS),
        results=allowed(Action.VIEW_UNRELEASED_METRICS) or is_released(submission.phase),
        all_logs=allowed(Action.VIEW_ALL_LOGS),
        may_cancel=allowed(Action.CANCEL_SUBMISSION),
    )


def _has_trial_log(
    session: Session, asker: Asker, installation: Installation, submission: Submission
) -> bool:
    if not submission.runs:
        return False
    found = visible_logs(session, asker, installation.folder, submission.runs[0])
    return any(log.step == TRIAL for log in found)


def _runs(session: Session, submission: Submission) -> list[RunProgress]:
    runs = session.scalars(select(Run).where(Run.submission_pk == submission.pk).order_by(Run.number)).all()
    counts: dict[UUID, Counter[CaseState]] = {run.pk: Counter() for run in runs}
    rows = session.execute(
        select(RunCase.run_pk, RunCase.state, func.count())
        .where(RunCase.run_pk.in_(list(counts)))
        .group_by(RunCase.run_pk, RunCase.state)
    )
    for run_pk, state, count in rows:
        counts[run_pk][state] = count
    evaluations = {
        each.run_pk: each
        for each in session.scalars(select(Evaluation).where(Evaluation.submission_pk == submission.pk))
    }
    return [
        RunProgress(
            run=run,
            n_cases=counts[run.pk].total(),
            n_done=counts[run.pk][CaseState.SUCCEEDED],
            n_failed=counts[run.pk][CaseState.FAILED],
            evaluation=evaluations.get(run.pk),
        )
        for run in runs
    ]


def _failed_cases(session: Session, submission: Submission, *, names: bool) -> list[FailedCase]:
    """The cases that failed; their names are the organisers', others see the places in their order."""
    rows = session.execute(
        select(Run.number, RunCase)
        .join(Run, Run.pk == RunCase.run_pk)
        .where(Run.submission_pk == submission.pk)
        .order_by(Run.number, RunCase.name)
    ).all()
    place: Counter[int] = Counter()
    found = []
    for number, case in rows:
        place[number] += 1
        if case.state is CaseState.FAILED:
            found.append(
                FailedCase(
                    run=number,
                    case=case.name if names else f"number {place[number]}",
                    reason=case.reason,
                    exit_code=case.exit_code,
                    seconds=case.seconds,
                    last_error_line=case.last_error_line
                    if names or submission.phase.shows_words(case.name)
                    else "",
                )
            )
    return found[: FAILED_CASES_SHOWN + 1]


@router.post("/submissions/{pk}/cancel/")
def cancel(pk: UUID, installation: InstallationHere, asker: AskerHere, _form: FormHere) -> Response:
    """End a submission that is not over."""
    api.cancel(pk, installation, asker)
    return see(f"/submissions/{pk}/")


def phase_submissions(session: Session, phase: Phase, *, limit: int) -> list[Submission]:
    """The newest submissions of a phase, with what their rows in a table need."""
    return list(
        session.scalars(
            select(Submission)
            .where(Submission.phase_pk == phase.pk)
            .options(
                selectinload(Submission.team),
                selectinload(Submission.algorithm_image).selectinload(AlgorithmImage.algorithm),
            )
            .order_by(Submission.created.desc())
            .limit(limit)
        )
    )
