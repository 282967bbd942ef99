"""Shapes that several answers have in common, as the platform writes them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from reseed.service.database.models import Algorithm, Challenge, Phase, User


class Person(BaseModel):
    """A user, as others see them."""

    username: str

    @classmethod
    def of(cls, user: User) -> Person:
        """The JSON shape of a row."""
        return cls(username=user.username)


class ChallengeReference(BaseModel):
    """A challenge, named in something of its own."""

    title: str
    short_name: str

    @classmethod
    def of(cls, challenge: Challenge) -> ChallengeReference:
        """The JSON shape of a row."""
        return cls(title=challenge.title, short_name=challenge.slug)


class PhaseReference(BaseModel):
    """A phase, named in something of its own."""

    pk: UUID
    challenge: ChallengeReference
    title: str
    slug: str

    @classmethod
    def of(cls, phase: Phase) -> PhaseReference:
        """The JSON shape of a row."""
        return cls(
            pk=phase.pk,
            challenge=ChallengeReference.of(phase.challenge),
            title=phase.title,
            slug=phase.slug,
        )


class AlgorithmReference(BaseModel):
    """An algorithm, named in something of its own."""

    pk: UUID
    title: str
    slug: str

    @classmethod
    def of(cls, algorithm: Algorithm) -> AlgorithmReference:
        """The JSON shape of a row."""
        return cls(pk=algorithm.pk, title=algorithm.title, slug=algorithm.slug)


class Progress(BaseModel):
    """Where something stands, why, and until when at the latest."""

    status: str
    reason: str
    since: datetime
    deadline: datetime | None


def status_words(state: str) -> str:
    """A state as the platform writes it: Queued, Succeeded."""
    return state.replace("_", " ").capitalize()
