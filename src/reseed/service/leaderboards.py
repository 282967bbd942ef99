"""The leaderboards of one installation: made once for each set of evaluations, then remembered."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from reseed.contracts.errors import ReseedError
from reseed.service.database.engine import Database
from reseed.service.database.models import Evaluation, Phase
from reseed.service.domain.leaderboard import Leaderboard
from reseed.service.leaderboard_making import KeptBoard, Plan, kept_board, made_board, plan_of
from reseed.service.leaderboard_program import request_text, run_program
from reseed.service.leaderboard_rows import Entrant, board_version, entries_of

SCORES_AT_ONCE = 10_000
"""With so many a leaderboard takes about half a second."""

RETRY_AFTER_S = 4
_LOOK_AGAIN_S = 60
_FOLDER = "leaderboards"


class BeingMade(ReseedError):
    """The first version of a leaderboard is being made; `retry_after_s` is a good time to wait."""

    retry_after_s = RETRY_AFTER_S


class NotMade(ReseedError):
    """A leaderboard could not be made."""


@dataclass(frozen=True)
class PhaseBoard:
    """
    The leaderboard of a phase by one of its metrics; `digest` names it and all that it was made of.

    `is_current` is false while one with newer evaluations is being made.
    """

    digest: str
    metrics: tuple[str, ...]
    board: Leaderboard
    entrants: dict[str, Entrant]
    is_current: bool = True


@dataclass(frozen=True)
class _Known:
    """The last answer; no board while the first is being made."""

    board: PhaseBoard | None
    version: tuple[object, ...]
    looked_at: float


class Leaderboards:
    """
    The boards of all phases, in memory and as files below the data folder.

    A small board whose evaluations changed is made by the first who asks for it. A large one is made
    by a process of its own; until it is done, whoever asks is given the one before.

    Parameters
    ----------
    database, root
        Of the installation.
    scores_at_once
        Up to how many scores, of all cases in all runs, a board is small.
    """

    def __init__(self, database: Database, root: Path, *, scores_at_once: int = SCORES_AT_ONCE) -> None:
        self._scores_at_once = scores_at_once
        self._database = database
        self._folder = root / _FOLDER
        self._known: dict[tuple[UUID, str | None], _Known] = {}
        self._locks: dict[UUID, threading.Lock] = {}
        self._makings: dict[Path, _Making] = {}
        self._guard = threading.Lock()

    def board(self, session: Session, phase: Phase, metric: str | None = None) -> PhaseBoard:
        """
        The leaderboard of a phase as it stands now, or as it stood before while that is being made.

        Parameters
        ----------
        session
            A reading transaction.
        phase
            Whose visibility the caller has checked.
        metric
            None for the one that the task ranks by.

        Raises
        ------
        NoSuchMetric
        BeingMade
            When it is the first.
        NotMade
            When the process that was to make it failed.
        """
        version = board_version(session, phase)
        known = self._known.get((phase.pk, metric))
        if known is not None and known.version == version and self._is_fresh(known):
            return _shown(known)
        with self._guard:
            lock = self._locks.setdefault(phase.pk, threading.Lock())
        if not lock.acquire(blocking=known is None):
            return _shown(known)
        try:
            again = self._known.get((phase.pk, metric))
            if again is None or again is known or again.version != version:
                board = self._looked_up(session, phase, metric, known)
                again = _Known(board, version, time.monotonic())
                self._known[phase.pk, metric] = again
            return _shown(again)
        finally:
            lock.release()

    def _is_fresh(self, known: _Known) -> bool:
        # names of teams and algorithms change without a new evaluation
        is_current = known.board is not None and known.board.is_current
        wait_s = _LOOK_AGAIN_S if is_current else RETRY_AFTER_S / 2
        return time.monotonic() - known.looked_at < wait_s

    def _looked_up(
        self, session: Session, phase: Phase, metric: str | None, known: _Known | None
    ) -> PhaseBoard | None:
        plan = plan_of(session, phase, metric, self._folder)
        before = None if known is None else known.board
        if before is not None and before.digest == plan.digest:
            return PhaseBoard(plan.digest, plan.metrics, before.board, plan.entrants)
        kept = kept_board(plan.path)
        if kept is not None and kept.digest == plan.digest:
            return PhaseBoard(plan.digest, plan.metrics, kept.board, plan.entrants)
        if _n_scores(session, plan) <= self._scores_at_once:
            board = made_board(plan, entries_of(session, plan.entrants))
            return PhaseBoard(plan.digest, plan.metrics, board, plan.entrants)
        self._let_make(phase, plan)
        return _before(plan, kept)

    def _let_make(self, phase: Phase, plan: Plan) -> None:
        """Start the process that makes a board, unless it runs already."""
        with self._guard:
            making = self._makings.get(plan.path)
            if making is None or making.is_over:
                if making is not None and making.failed(plan.digest):
                    raise NotMade("the leaderboard could not be made; the operator's log has the reason")
                url = self._database.url.render_as_string(hide_password=False)
                request = request_text(url, self._folder, phase.pk, plan.metric)
                self._makings[plan.path] = _Making(plan.digest, request)


class _Making:
    """
    A board that a process of its own makes.

    Parameters
    ----------
    digest
        Of the plan for which it was started; by the time it reads the database it may be another.
    request
        What the program reads.
    """

    def __init__(self, digest: str, request: str) -> None:
        self._digest = digest
        self._request = request
        self._succeeded: bool | None = None
        self._over_at = 0.0
        threading.Thread(target=self._run, name="leaderboard", daemon=True).start()

    def _run(self) -> None:
        succeeded = False
        try:
            succeeded = run_program(self._request)
        finally:
            self._over_at = time.monotonic()
            self._succeeded = succeeded

    @property
    def is_over(self) -> bool:
        return self._succeeded is not None

    def failed(self, digest: str) -> bool:
        """Whether it failed for the same plan, and so short a time ago that trying again says nothing new."""
        recently = time.monotonic() - self._over_at < _LOOK_AGAIN_S
        return self._succeeded is False and self._digest == digest and recently


def _n_scores(session: Session, plan: Plan) -> int:
    """How many scores a board is made of, if all runs have as many cases as the newest."""
    runs = [pk for entrant in plan.entrants.values() for pk in entrant.evaluations]
    if not runs:
        return 0
    document = session.scalar(select(Evaluation.metrics).where(Evaluation.pk == runs[-1])) or {}
    return len(runs) * len(document.get("results", ()))


def _before(plan: Plan, kept: KeptBoard | None) -> PhaseBoard | None:
    """The board before, unless somebody is on it who was taken off since."""
    if kept is None:
        return None
    scopes = kept.board.scopes.values()
    shown = {row.key for scope in scopes for row in scope.places}
    shown |= {row.key for scope in scopes for row in scope.unranked}
    if not shown <= plan.entrants.keys():
        return None
    return PhaseBoard(kept.digest, plan.metrics, kept.board, plan.entrants, is_current=False)


def _shown(known: _Known | None) -> PhaseBoard:
    if known is None or known.board is None:
        raise BeingMade("the leaderboard is being made; it will be here in a moment")
    return known.board
