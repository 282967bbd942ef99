"""All routes under /api/v1."""

from __future__ import annotations

from fastapi import APIRouter

from reseed.service.api import (
    accounts,
    algorithms,
    archives,
    challenges,
    evaluations,
    leaderboard,
    logs,
    participants,
    submissions,
    submitting,
    teams,
    uploads,
)


def api_router() -> APIRouter:
    """The API; each noun has a router of its own."""
    router = APIRouter(prefix="/api/v1")
    for module in (
        accounts,
        challenges,
        participants,
        teams,
        algorithms,
        archives,
        uploads,
        submissions,
        submitting,
        logs,
        evaluations,
        leaderboard,
    ):
        router.include_router(module.router)
    return router
