"""The organisers' page of a phase: what was handed in, who asks to take part, when results are shown."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy import func, select

from reseed.service.api import challenges, participants
from reseed.service.api.asking import AskerHere, InstallationHere
from reseed.service.api.challenges import PhaseChange
from reseed.service.api.found import found_phase
from reseed.service.api.leaderboard import is_released
from reseed.service.api.participants import ParticipantChange
from reseed.service.api.text import SlugInPath
from reseed.service.database.columns import now_utc
from reseed.service.database.models import Membership, Submission
from reseed.service.domain.permissions import Action
from reseed.service.domain.roles import MembershipState
from reseed.service.domain.states import SubmissionState
from reseed.service.pages.forms import FormHere, checked, field, see
from reseed.service.pages.places import phase_crumbs, phase_url
from reseed.service.pages.rendering import page
from reseed.service.pages.submissions import phase_submissions
from reseed.service.security.authorisation import require

router = APIRouter()

SUBMISSIONS_SHOWN = 200


@router.get("/challenges/{slug}/phases/{phase}/organise/")
def organise(
    request: Request, slug: SlugInPath, phase: SlugInPath, installation: InstallationHere, asker: AskerHere
) -> Response:
    """All submissions of a phase, the requests to take part, and the switch that shows the results."""
    with installation.database.read() as session:
        found = found_phase(session, asker, slug, phase)
        require(session, asker, Action.EDIT_CHALLENGE, challenge_pk=found.challenge_pk)
        rows = session.execute(
            select(Submission.state, func.count())
            .where(Submission.phase_pk == found.pk)
            .group_by(Submission.state)
        )
        counts: Counter[SubmissionState] = Counter()
        for state, count in rows:
            counts[state] = count
        pending = session.scalars(
            select(Membership)
            .where(Membership.challenge_pk == found.challenge_pk, Membership.state == MembershipState.PENDING)
            .order_by(Membership.created)
            .limit(100)
        ).all()
        return page(
            request,
            "organise.html",
            asker,
            crumbs=phase_crumbs(found),
            phase=found,
            counts=[(state, counts[state]) for state in SubmissionState if counts[state]],
            submissions=phase_submissions(session, found, limit=SUBMISSIONS_SHOWN),
            n_submissions=counts.total(),
            pending=pending,
            is_released=is_released(found),
        )


@router.post("/challenges/{slug}/phases/{phase}/organise/")
def change(
    slug: SlugInPath, phase: SlugInPath, installation: InstallationHere, asker: AskerHere, form: FormHere
) -> Response:
    """Show results and logs or hide them, and let participants download theirs by case or not."""
    wanted: dict[str, object] = {}
    match field(form, "change"):
        case "release":
            wanted["released_at"] = now_utc()
        case "hide":
            wanted["released_at"] = None
        case "allow_csv":
            wanted["allows_csv"] = True
        case "forbid_csv":
            wanted["allows_csv"] = False
        case "show_trial_log":
            wanted["shows_trial_log"] = True
        case "hide_trial_log":
            wanted["shows_trial_log"] = False
        case "show_error_lines":
            wanted["shows_error_lines"] = True
        case "hide_error_lines":
            wanted["shows_error_lines"] = False
    changed = challenges.change_phase(slug, phase, checked(PhaseChange, wanted), installation, asker)
    return see(f"/challenges/{slug}/phases/{changed.slug}/organise/")


@router.post("/challenges/{slug}/phases/{phase}/organise/participants/{pk}/")
def decide(
    slug: SlugInPath,
    phase: SlugInPath,
    pk: UUID,
    installation: InstallationHere,
    asker: AskerHere,
    form: FormHere,
) -> Response:
    """Accept or reject somebody who asks to take part."""
    with installation.database.read() as session:
        found = found_phase(session, asker, slug, phase)
        require(session, asker, Action.MANAGE_PARTICIPANTS, challenge_pk=found.challenge_pk)
    wanted = checked(ParticipantChange, {"state": field(form, "state")})
    participants.change_participant(slug, pk, wanted, installation, asker)
    return see(f"{phase_url(found)}organise/")
