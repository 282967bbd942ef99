"""Rows that tests begin with, through the models, each with what it must have."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from reseed.service.database.models import (
    Algorithm,
    AlgorithmImage,
    Challenge,
    Membership,
    Phase,
    Run,
    Submission,
    User,
)
from reseed.service.database.transitions import enter
from reseed.service.domain.roles import MembershipState, Role, SubmissionKind
from reseed.service.domain.states import ArchiveState

TASK_TEXT = """\
task: nodule_malignancy
title: Nodule malignancy
"""


def add_user(session: Session, username: str, **values: Any) -> User:
    user = User(username=username, **values)
    session.add(user)
    session.flush()
    return user


def add_challenge(session: Session, slug: str = "nodules", **values: Any) -> Challenge:
    challenge = Challenge(slug=slug, title=slug.capitalize(), **{"is_public": True, **values})
    session.add(challenge)
    session.flush()
    return challenge


def add_member(session: Session, challenge: Challenge, user: User, role: Role) -> Membership:
    membership = Membership(
        challenge_pk=challenge.pk, user_pk=user.pk, role=role, state=MembershipState.ACCEPTED
    )
    session.add(membership)
    session.flush()
    return membership


def add_phase(session: Session, challenge: Challenge, slug: str = "final", **values: Any) -> Phase:
    phase = Phase(
        challenge=challenge,
        slug=slug,
        title=slug.capitalize(),
        **{
            "task_name": "nodule_malignancy",
            "task_text": TASK_TEXT,
            "cases_folder": "/secret/cases",
            "reference_folder": "/secret/reference",
            "submission_kind": SubmissionKind.INFERENCE,
            **values,
        },
    )
    session.add(phase)
    session.flush()
    return phase


def add_image(session: Session, owner: User, slug: str = "net", **values: Any) -> AlgorithmImage:
    """An image that is ready, of an algorithm of its own."""
    algorithm = Algorithm(owner=owner, slug=slug, title=slug.capitalize())
    image = AlgorithmImage(
        algorithm=algorithm,
        creator=owner,
        **{
            "state": ArchiveState.READY,
            "sha256": "a" * 64,
            "digest": "sha256:" + "b" * 64,
            "size_bytes": 1000,
            **values,
        },
    )
    session.add(algorithm)
    enter(session, image)
    return image


def add_submission(
    session: Session, phase: Phase, creator: User, image: AlgorithmImage, n_runs: int = 1, **values: Any
) -> Submission:
    """A received submission with its runs."""
    submission = Submission(
        phase=phase,
        creator=creator,
        algorithm_image=image,
        kind=phase.submission_kind,
        n_runs=n_runs,
        **values,
    )
    enter(session, submission)
    for number in range(1, n_runs + 1):
        enter(session, Run(submission=submission, number=number))
    return submission
