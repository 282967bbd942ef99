"""Every table, so that one import knows them all."""

from __future__ import annotations

from reseed.service.database.algorithms import Algorithm, AlgorithmImage, AlgorithmModel, Upload
from reseed.service.database.challenges import Challenge, Phase
from reseed.service.database.columns import Base
from reseed.service.database.people import (
    LoginSession,
    Membership,
    RateWindow,
    Team,
    TeamInvitation,
    TeamMember,
    Token,
    User,
)
from reseed.service.database.submissions import Evaluation, Run, RunCase, Submission
from reseed.service.database.work import Event, Job

__all__ = [
    "Algorithm",
    "AlgorithmImage",
    "AlgorithmModel",
    "Base",
    "Challenge",
    "Evaluation",
    "Event",
    "Job",
    "LoginSession",
    "Membership",
    "Phase",
    "RateWindow",
    "Run",
    "RunCase",
    "Submission",
    "Team",
    "TeamInvitation",
    "TeamMember",
    "Token",
    "Upload",
    "User",
]
