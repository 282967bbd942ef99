"""Rows that a request names, or the refusal that there is none."""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from reseed.service.database.models import Algorithm, Base, Challenge, Membership, Phase, Team
from reseed.service.domain.permissions import Action
from reseed.service.security.authorisation import Asker, NotThere, logged_in, require, require_view

Row = TypeVar("Row", bound=Base)
Part = TypeVar("Part", Membership, Team)


def found_row(session: Session, table: type[Row], pk: UUID, noun: str, *options: Any) -> Row:
    """The row of that identifier; raises NotThere. Whether it may be seen is the caller's to ask."""
    row = session.get(table, pk, options=options)
    if row is None:
        raise NotThere(f"there is no {noun} {pk}")
    return row


def found_part(session: Session, table: type[Part], pk: UUID, noun: str, challenge: Challenge) -> Part:
    """The row of that identifier in a challenge; raises NotThere also for one of another challenge."""
    row = found_row(session, table, pk, noun)
    if row.challenge_pk != challenge.pk:
        raise NotThere(f"there is no {noun} {pk}")
    return row


def found_challenge(session: Session, asker: Asker, slug: str) -> Challenge:
    """The challenge of that name, which the person may see; raises NotThere."""
    challenge = session.scalar(select(Challenge).where(Challenge.slug == slug))
    if challenge is None:
        raise NotThere(f"there is no challenge {slug!r}")
    require_view(session, asker, challenge)
    return challenge


def found_phase(session: Session, asker: Asker, slug: str, phase_slug: str) -> Phase:
    """The phase of those names, of a challenge that the person may see; raises NotThere."""
    challenge = found_challenge(session, asker, slug)
    phase = session.scalar(select(Phase).where(Phase.challenge_pk == challenge.pk, Phase.slug == phase_slug))
    if phase is None:
        raise NotThere(f"challenge {slug!r} has no phase {phase_slug!r}")
    return phase


def found_algorithm(session: Session, asker: Asker, slug: str, action: Action) -> Algorithm:
    """The algorithm of that name, for a person who may do this with it; raises NotThere."""
    logged_in(asker)
    algorithm = session.scalar(select(Algorithm).where(Algorithm.slug == slug))
    missing = f"there is no algorithm {slug!r}"
    if algorithm is None:
        raise NotThere(missing)
    require(session, asker, action, owners=[algorithm.owner_pk], hidden=missing)
    return algorithm
