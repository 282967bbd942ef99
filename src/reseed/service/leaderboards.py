"""The leaderboards of one installation: computed once for each set of evaluations, then remembered."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from reseed.contracts.errors import UserError
from reseed.contracts.files import make_folder, write_text_atomically
from reseed.contracts.metrics import Metrics
from reseed.contracts.task import Task
from reseed.documents.loader import composed, constructed
from reseed.scoring.measures import measure_of
from reseed.service.database.engine import Database
from reseed.service.database.models import (
    Algorithm,
    AlgorithmImage,
    Evaluation,
    Phase,
    Run,
    Submission,
    Team,
    User,
)
from reseed.service.domain.leaderboard import VERSION, Entry, Leaderboard, leaderboard
from reseed.service.domain.states import EvaluationState, SubmissionState

_LOOK_AGAIN_S = 60
_FOLDER = "leaderboards"


class NoSuchMetric(UserError):
    """A leaderboard is asked for by a metric that the phase cannot be ranked by."""


class Entrant(BaseModel):
    """Whose a submission in a leaderboard is."""

    model_config = ConfigDict(frozen=True)

    who: str
    algorithm: str
    created: datetime
    publication_url: str
    evaluations: tuple[UUID, ...]


@dataclass(frozen=True)
class PhaseBoard:
    """The leaderboard of a phase by one of its metrics; `digest` names it and all that it was made of."""

    digest: str
    metrics: tuple[str, ...]
    board: Leaderboard
    entrants: dict[str, Entrant]


@dataclass(frozen=True)
class _Known:
    board: PhaseBoard
    version: tuple[object, ...]
    looked_at: float


class Leaderboards:
    """
    The boards of all phases, in memory and as files below the data folder.

    A board whose evaluations changed is computed by the first who asks for it; whoever asks
    meanwhile is given the one before, if there is one.
    """

    def __init__(self, database: Database, root: Path) -> None:
        self._database = database
        self._folder = root / _FOLDER
        self._known: dict[tuple[UUID, str | None], _Known] = {}
        self._locks: dict[UUID, threading.Lock] = {}
        self._guard = threading.Lock()

    def board(self, session: Session, phase: Phase, metric: str | None = None) -> PhaseBoard:
        """
        The leaderboard of a phase as it stands now.

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
        """
        version = _version(session, phase)
        known = self._known.get((phase.pk, metric))
        if known is not None and known.version == version and self._is_fresh(known):
            return known.board
        with self._guard:
            lock = self._locks.setdefault(phase.pk, threading.Lock())
        if not lock.acquire(blocking=known is None):
            if known is None:
                raise RuntimeError("a lock that was waited for was not acquired")
            return known.board
        try:
            again = self._known.get((phase.pk, metric))
            if again is not None and again is not known and again.version == version:
                return again.board
            board = self._computed(session, phase, metric, known)
            self._known[phase.pk, metric] = _Known(board, version, time.monotonic())
            return board
        finally:
            lock.release()

    def _is_fresh(self, known: _Known) -> bool:
        # names of teams and algorithms change without a new evaluation
        return time.monotonic() - known.looked_at < _LOOK_AGAIN_S

    def _computed(
        self, session: Session, phase: Phase, metric: str | None, known: _Known | None
    ) -> PhaseBoard:
        task = phase_task(phase)
        metrics = ranking_metrics(session, phase, task)
        if metric is not None and metric not in metrics:
            rule = f"it is ranked by {', '.join(metrics)}" if metrics else "nothing is evaluated yet"
            raise NoSuchMetric(f"phase {phase.slug!r} has no metric {metric!r}; {rule}")
        entrants = _entrants(session, phase)
        chosen = metric or next(iter(metrics), "")
        digest = _digest(phase, chosen, entrants)
        if known is not None and known.board.digest == digest:
            return PhaseBoard(digest, metrics, known.board.board, entrants)
        path = self._folder / f"{phase.pk}-{chosen or 'none'}.json"
        board = _kept(path, digest)
        if board is None:
            noun = "cases" if task is None else task.case_noun
            entries = _entries(session, entrants)
            board = leaderboard(entries, chosen, case_noun=noun, rng=np.random.default_rng(0))
            make_folder(self._folder)
            kept = {"digest": digest, "board": board.model_dump(mode="json")}
            write_text_atomically(path, json.dumps(kept))
        return PhaseBoard(digest, metrics, board, entrants)


def phase_task(phase: Phase) -> Task | None:
    """The task of a phase; None when its text is not one that this version knows."""
    try:
        node = composed(phase.task_text)
        document = None if node is None else constructed(node)
        return Task.model_validate_json(json.dumps(document), strict=True)
    except (yaml.YAMLError, ValidationError, TypeError, ValueError):
        return None


def ranking_metrics(session: Session, phase: Phase, task: Task | None) -> tuple[str, ...]:
    """The metrics that a phase can be ranked by, the one that counts first."""
    if task is not None:
        return tuple(dict.fromkeys((task.ranking_metric, *task.metrics)))
    aggregates = session.scalar(select(Evaluation.aggregates).where(_counts(phase)).limit(1)) or {}
    measures = {key: measure_of(key) for key in aggregates}
    return tuple(key for key, measure in measures.items() if measure is not None and measure.statistic)


def _counts(phase: Phase) -> ColumnElement[bool]:
    return (
        (Evaluation.phase_pk == phase.pk)
        & (Evaluation.state == EvaluationState.SUCCEEDED)
        & Evaluation.published.is_(True)
    )


def _version(session: Session, phase: Phase) -> tuple[object, ...]:
    """What changes whenever an evaluation is added to the board or taken from it."""
    statement = select(func.count(), func.max(Evaluation.state_since)).where(_counts(phase))
    ended = select(func.count()).where(
        Submission.phase_pk == phase.pk, Submission.state == SubmissionState.EVALUATED
    )
    return (*session.execute(statement).one(), session.scalar(ended), phase.task_name)


def _entrants(session: Session, phase: Phase) -> dict[str, Entrant]:
    """Submissions all of whose runs are evaluated and published, oldest first, by identifier."""
    rows = session.execute(
        select(
            Submission.pk,
            Submission.created,
            Submission.n_runs,
            Submission.publication_url,
            Algorithm.title,
            User.username,
            Team.name,
            Evaluation.pk,
        )
        .join(Evaluation, Evaluation.submission_pk == Submission.pk)
        .join(Run, Run.pk == Evaluation.run_pk)
        .join(AlgorithmImage, AlgorithmImage.pk == Submission.algorithm_image_pk)
        .join(Algorithm, Algorithm.pk == AlgorithmImage.algorithm_pk)
        .join(User, User.pk == Submission.creator_pk)
        .outerjoin(Team, Team.pk == Submission.team_pk)
        .where(_counts(phase), Submission.state == SubmissionState.EVALUATED)
        .order_by(Submission.created, Submission.pk, Run.number)
    ).all()
    found: dict[str, Entrant] = {}
    n_runs: dict[str, int] = {}
    for pk, created, runs, url, title, username, team, evaluation in rows:
        before = found.get(str(pk))
        n_runs[str(pk)] = runs
        found[str(pk)] = Entrant(
            who=team or username,
            algorithm=title,
            created=created,
            publication_url=url,
            evaluations=(*(before.evaluations if before else ()), evaluation),
        )
    # a run that is not published takes its submission off the board: fewer runs are another footing
    return {pk: entrant for pk, entrant in found.items() if len(entrant.evaluations) == n_runs[pk]}


def _digest(phase: Phase, metric: str, entrants: dict[str, Entrant]) -> str:
    parts = [VERSION, metric, phase.task_text, _names(entrants)]
    parts += [[str(pk) for pk in entrant.evaluations] for entrant in entrants.values()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _names(entrants: dict[str, Entrant]) -> dict[str, str]:
    """A name for each submission that no other has."""
    plain = {pk: f"{entrant.who} · {entrant.algorithm}" for pk, entrant in entrants.items()}
    often = Counter(plain.values())
    seen: Counter[str] = Counter()
    names = {}
    for pk, name in plain.items():
        seen[name] += 1
        names[pk] = f"{name} ({seen[name]})" if often[name] > 1 else name
    return names


def _entries(session: Session, entrants: dict[str, Entrant]) -> Sequence[Entry]:
    names = _names(entrants)
    wanted = [pk for entrant in entrants.values() for pk in entrant.evaluations]
    documents: dict[UUID, Metrics] = {}
    for start in range(0, len(wanted), 500):
        rows = session.execute(
            select(Evaluation.pk, Evaluation.metrics).where(Evaluation.pk.in_(wanted[start : start + 500]))
        )
        documents |= {pk: Metrics.model_validate(metrics) for pk, metrics in rows}
    return [
        Entry(pk, names[pk], tuple(documents[each] for each in entrant.evaluations))
        for pk, entrant in entrants.items()
    ]


def _kept(path: Path, digest: str) -> Leaderboard | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["digest"] != digest:
            return None
        return Leaderboard.model_validate(document["board"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
