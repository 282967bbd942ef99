"""Where pages are, and which stand above them."""

from __future__ import annotations

from reseed.service.database.models import Challenge, Phase, Submission
from reseed.service.pages.rendering import Crumb


def challenge_url(slug: str) -> str:
    """The page of a challenge."""
    return f"/challenges/{slug}/"


def teams_url(slug: str) -> str:
    """The page of a challenge's teams."""
    return f"{challenge_url(slug)}teams/"


def phase_url(phase: Phase) -> str:
    """The page of a phase."""
    return f"{challenge_url(phase.challenge.slug)}phases/{phase.slug}/"


def submission_url(submission: Submission) -> str:
    """The page of a submission."""
    return f"/submissions/{submission.pk}/"


def home_crumbs() -> tuple[Crumb, ...]:
    """Above a challenge."""
    return (Crumb("Challenges", "/"),)


def challenge_crumbs(challenge: Challenge) -> tuple[Crumb, ...]:
    """Above a phase."""
    return (*home_crumbs(), Crumb(challenge.title, challenge_url(challenge.slug)))


def phase_crumbs(phase: Phase) -> tuple[Crumb, ...]:
    """Above what belongs to a phase."""
    return (*challenge_crumbs(phase.challenge), Crumb(phase.title, phase_url(phase)))


def submission_crumbs(submission: Submission) -> tuple[Crumb, ...]:
    """Above the evaluation of a run."""
    return (*phase_crumbs(submission.phase), Crumb("Submission", submission_url(submission)))
