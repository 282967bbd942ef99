"""Routes of challenges and their phases."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from reseed.contracts.challenge import Instant
from reseed.service.api.asking import AskerHere, InstallationHere
from reseed.service.api.found import found_challenge, found_phase
from reseed.service.api.pagination import Page, PagingHere
from reseed.service.api.problem import Unacceptable, problems
from reseed.service.api.text import Line, Prose, SlugInPath
from reseed.service.database.models import Challenge, Phase
from reseed.service.database.transitions import record_event
from reseed.service.domain.permissions import Action
from reseed.service.domain.roles import JoinPolicy, SubmissionKind
from reseed.service.security.authorisation import may, require, visible_challenges

router = APIRouter(prefix="/challenges", tags=["challenges"])


class PhaseShape(BaseModel):
    """A phase, as everybody sees it: nothing of the hidden cases."""

    pk: UUID
    slug: str
    title: str
    description: str
    task: str
    submission_kind: SubmissionKind
    n_runs: int
    submissions_per_day: int
    submissions_in_total: int | None
    case_timeout_s: int
    training_timeout_s: int
    members: int
    cpus: int
    memory_gib: int
    gpus: int
    opens_at: datetime | None
    closes_at: datetime | None
    released_at: datetime | None
    allows_csv: bool
    shows_trial_log: bool
    shows_error_lines: bool
    is_external: bool

    @classmethod
    def of(cls, phase: Phase) -> PhaseShape:
        """The JSON shape of a row."""
        shared = {name: getattr(phase, name) for name in cls.model_fields if name != "task"}
        return cls(task=phase.task_name, **shared)


class PhaseOfOrganiser(PhaseShape):
    """A phase, as its organisers see it."""

    cases_folder: str
    reference_folder: str
    training_folder: str | None
    trial_case: str | None


class ChallengeShape(BaseModel):
    """A challenge."""

    api_url: str
    url: str
    slug: str
    title: str
    description: str
    contact: str
    public: bool
    join_policy: JoinPolicy
    created: datetime
    phases: list[PhaseShape]

    @classmethod
    def of(cls, challenge: Challenge, base_url: str) -> ChallengeShape:
        """The JSON shape of a row with its phases."""
        return cls(
            api_url=f"{base_url}/api/v1/challenges/{challenge.slug}/",
            url=f"{base_url}/challenges/{challenge.slug}/",
            slug=challenge.slug,
            title=challenge.title,
            description=challenge.description,
            contact=challenge.contact,
            public=challenge.is_public,
            join_policy=challenge.join_policy,
            created=challenge.created,
            phases=[PhaseShape.of(phase) for phase in challenge.phases],
        )


class _Change(BaseModel):
    model_config = ConfigDict(extra="forbid")

    def changes(self) -> dict[str, object]:
        """What was sent, and only that."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class ChallengeChange(_Change):
    """What an organiser may change of a challenge; what is left out stays."""

    title: Line = ""
    description: Prose = ""
    contact: Prose = ""
    is_public: bool = False
    join_policy: JoinPolicy = JoinPolicy.ON_REQUEST


class PhaseChange(_Change):
    """What an organiser may change of a phase by request; the rest is in the challenge's file."""

    title: Line = ""
    description: Prose = ""
    submissions_per_day: int = Field(default=1, ge=0, le=1000)
    submissions_in_total: int | None = Field(default=None, ge=0, le=100_000)
    opens_at: Instant | None = None
    closes_at: Instant | None = None
    released_at: Instant | None = Field(
        default=None, description="From when on everybody sees the results; null hides them again."
    )
    allows_csv: bool = False
    shows_trial_log: bool = False
    shows_error_lines: bool = Field(
        default=False,
        description="From now on, submitters see the last line on stderr of a program of theirs that fails.",
    )


@router.get("/", responses=problems(), operation_id="list_challenges")
def challenges(installation: InstallationHere, asker: AskerHere, paging: PagingHere) -> Page[ChallengeShape]:
    """The public challenges, and yours."""
    base_url = installation.settings.base_url
    with installation.database.read() as session:
        require(session, asker, Action.VIEW_PUBLIC_CHALLENGE)
        statement = (
            select(Challenge)
            .where(visible_challenges(asker))
            .options(selectinload(Challenge.phases))
            .order_by(Challenge.created.desc(), Challenge.slug)
        )
        return paging.page(session, statement, lambda row: ChallengeShape.of(row, base_url))


@router.get("/{slug}/", responses=problems(), operation_id="get_challenge")
def challenge(slug: SlugInPath, installation: InstallationHere, asker: AskerHere) -> ChallengeShape:
    """One challenge."""
    with installation.database.read() as session:
        found = found_challenge(session, asker, slug)
        return ChallengeShape.of(found, installation.settings.base_url)


@router.patch("/{slug}/", responses=problems(), operation_id="change_challenge")
def change_challenge(
    slug: SlugInPath, change: ChallengeChange, installation: InstallationHere, asker: AskerHere
) -> ChallengeShape:
    """Change a challenge."""
    with installation.database.write() as session:
        found = found_challenge(session, asker, slug)
        require(session, asker, Action.EDIT_CHALLENGE, challenge_pk=found.pk)
        _apply(found, change)
        record_event(session, found, "changed", actor=asker.pk, details=change.model_dump(mode="json"))
        session.flush()
        return ChallengeShape.of(found, installation.settings.base_url)


@router.get("/{slug}/phases/{phase}/", responses=problems(), operation_id="get_phase")
def phase(
    slug: SlugInPath, phase: SlugInPath, installation: InstallationHere, asker: AskerHere
) -> PhaseOfOrganiser | PhaseShape:
    """One phase; its organisers also see where its data lie."""
    with installation.database.read() as session:
        found = found_phase(session, asker, slug, phase)
        if may(session, asker, Action.EDIT_CHALLENGE, challenge_pk=found.challenge_pk):
            return PhaseOfOrganiser.of(found)
        return PhaseShape.of(found)


@router.patch("/{slug}/phases/{phase}/", responses=problems(), operation_id="change_phase")
def change_phase(
    slug: SlugInPath,
    phase: SlugInPath,
    change: PhaseChange,
    installation: InstallationHere,
    asker: AskerHere,
) -> PhaseOfOrganiser:
    """Change a phase, release its results, or hide them again."""
    with installation.database.write() as session:
        found = found_phase(session, asker, slug, phase)
        require(session, asker, Action.EDIT_CHALLENGE, challenge_pk=found.challenge_pk)
        if change.changes().get("shows_trial_log") and found.trial_case is None:
            raise Unacceptable(
                f"phase {found.slug!r} has no trial_case: logs can quote inputs, so only that of a case that "
                "the challenge's file names can be shown"
            )
        _apply(found, change)
        record_event(session, found, "changed", actor=asker.pk, details=change.model_dump(mode="json"))
        session.flush()
        return PhaseOfOrganiser.model_validate(PhaseOfOrganiser.of(found))


def _apply(row: Challenge | Phase, change: _Change) -> None:
    for name, value in change.changes().items():
        setattr(row, name, value)
