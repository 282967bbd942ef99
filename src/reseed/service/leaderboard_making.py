"""Making a leaderboard, and keeping it as a file: the same in the web process and in one of its own."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError
from sqlalchemy.orm import Session

from reseed.contracts.files import make_folder, write_text_atomically
from reseed.service.database.models import Phase
from reseed.service.domain.leaderboard import Entry, Leaderboard, leaderboard
from reseed.service.leaderboard_rows import (
    Entrant,
    NoSuchMetric,
    board_digest,
    entrants_of,
    phase_task,
    ranking_metrics,
)


@dataclass(frozen=True)
class Plan:
    """
    What a leaderboard is to be made of.

    Parameters
    ----------
    digest
        Names it and all that it is made of.
    metric, metrics
        By which it is ranked, and by which it could be; "" and none where nothing is evaluated.
    case_noun
        What its cases are called.
    entrants
        Whose each submission is, by its identifier, oldest first.
    path
        The file that it is kept in.
    """

    digest: str
    metric: str
    metrics: tuple[str, ...]
    case_noun: str
    entrants: dict[str, Entrant]
    path: Path


@dataclass(frozen=True)
class KeptBoard:
    """A leaderboard that was made before; `digest` is that of its plan."""

    digest: str
    board: Leaderboard


def plan_of(session: Session, phase: Phase, metric: str | None, folder: Path) -> Plan:
    """
    What the leaderboard of a phase is to be made of as things stand.

    Parameters
    ----------
    session
        A reading transaction.
    phase
        Whose leaderboard it is.
    metric
        None for the one that the task ranks by.
    folder
        Where leaderboards are kept.

    Raises
    ------
    NoSuchMetric
    """
    task = phase_task(phase)
    metrics = ranking_metrics(session, phase, task)
    if metric is not None and metric not in metrics:
        rule = f"it is ranked by {', '.join(metrics)}" if metrics else "nothing is evaluated yet"
        raise NoSuchMetric(f"phase {phase.slug!r} has no metric {metric!r}; {rule}")
    chosen = metric or next(iter(metrics), "")
    entrants = entrants_of(session, phase)
    return Plan(
        digest=board_digest(phase, chosen, entrants),
        metric=chosen,
        metrics=metrics,
        case_noun="cases" if task is None else task.case_noun,
        entrants=entrants,
        path=folder / f"{phase.pk}-{chosen or 'none'}.json",
    )


def made_board(plan: Plan, entries: Sequence[Entry]) -> Leaderboard:
    """Compute a leaderboard from the metrics of its entrants, and keep it."""
    board = leaderboard(entries, plan.metric, case_noun=plan.case_noun, rng=np.random.default_rng(0))
    make_folder(plan.path.parent)
    kept = {"digest": plan.digest, "board": board.model_dump(mode="json")}
    write_text_atomically(plan.path, json.dumps(kept))
    return board


def kept_board(path: Path) -> KeptBoard | None:
    """The leaderboard in a file; None when there is none, or one that another version wrote."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return KeptBoard(str(document["digest"]), Leaderboard.model_validate(document["board"]))
    except (OSError, ValidationError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def only_maker(path: Path) -> Iterator[None]:
    """Wait until no other process makes the leaderboard of a file, and keep others waiting."""
    make_folder(path.parent)
    with path.with_suffix(".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
