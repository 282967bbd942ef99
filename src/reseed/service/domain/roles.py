"""The roles of a person in a challenge."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a person is in one challenge."""

    ORGANISER = "organiser"
    PARTICIPANT = "participant"
    VIEWER = "viewer"


class MembershipState(StrEnum):
    """Where a request to take part stands."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class JoinPolicy(StrEnum):
    """Who may take part in a challenge: anyone at once, those an organiser accepts, or nobody new."""

    OPEN = "open"
    ON_REQUEST = "on_request"
    CLOSED = "closed"


class SubmissionKind(StrEnum):
    """What a phase takes: an image with one or many trained models, or an image that the service trains."""

    INFERENCE = "inference"
    TRAINING = "training"
