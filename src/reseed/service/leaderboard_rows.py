"""What a phase's leaderboard is made of: its metrics, its entrants, and the scores of their runs."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from reseed.contracts.errors import UserError
from reseed.contracts.metrics import Metrics
from reseed.contracts.task import Task
from reseed.documents.loader import composed, constructed
from reseed.scoring.measures import measure_of
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
from reseed.service.domain.leaderboard import VERSION, Entry
from reseed.service.domain.states import EvaluationState, SubmissionState


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


def board_version(session: Session, phase: Phase) -> tuple[object, ...]:
    """What changes whenever an evaluation is added to the board or taken from it."""
    statement = select(func.count(), func.max(Evaluation.state_since)).where(_counts(phase))
    ended = select(func.count()).where(
        Submission.phase_pk == phase.pk, Submission.state == SubmissionState.EVALUATED
    )
    return (*session.execute(statement).one(), session.scalar(ended), phase.task_name)


def entrants_of(session: Session, phase: Phase) -> dict[str, Entrant]:
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


def board_digest(phase: Phase, metric: str, entrants: Mapping[str, Entrant]) -> str:
    parts = [VERSION, metric, phase.task_text, _names(entrants)]
    parts += [[str(pk) for pk in entrant.evaluations] for entrant in entrants.values()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _names(entrants: Mapping[str, Entrant]) -> dict[str, str]:
    """A name for each submission that no other has."""
    plain = {pk: f"{entrant.who} · {entrant.algorithm}" for pk, entrant in entrants.items()}
    often = Counter(plain.values())
    taken, names = set(plain.values()), {}
    for pk, name in plain.items():
        numbered = (f"{name} ({number})" for number in itertools.count(1))
        # a title is free text: "net (1)" may be there already
        names[pk] = next(each for each in numbered if each not in taken) if often[name] > 1 else name
        taken.add(names[pk])
    return names


def entries_of(session: Session, entrants: Mapping[str, Entrant]) -> Sequence[Entry]:
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
