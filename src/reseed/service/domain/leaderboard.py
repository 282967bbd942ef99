"""
The leaderboard of a phase: what its submissions' metrics say, and no more than each scope allows.

Pure: metrics documents in, one JSON document out. Every number is computed by `reseed.statistics`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from reseed.contracts.errors import InvalidTable
from reseed.contracts.metrics import Metrics
from reseed.scoring.measures import Measure, measure_of
from reseed.scoring.tables import metric_tables
from reseed.service.domain.leaderboard_words import (
    NOT_THESE_CASES,
    ONE_RUN,
    UNDEFINED,
    first_place_sentence,
    limit_sentence,
    win_sentence,
)
from reseed.statistics import Scope, Standings, standings, win_probability

VERSION = 1
"""Part of a cached leaderboard's name: another version computes it anew."""

MATRIX_UP_TO = 20
"""The first so many are compared pair by pair; nobody reads a larger matrix."""

_WIN_DRAWS = 50_000
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """One evaluated submission: its name, unique in the leaderboard, and the metrics of its runs."""

    key: str
    name: str
    metrics: tuple[Metrics, ...] = field(repr=False)


class Shown(BaseModel):
    """A part of the leaderboard; every number in it is finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Place(Shown):
    """
    One ranked submission under one scope.

    `rank_low` to `rank_high` holds for all submissions at once; `group` are letters shared by those that
    cannot be told apart, empty for long leaderboards; `n_apart` counts the others it cannot be told from.
    `low` or `high` is null where there is no limit, `sd` with one run; `runs` are the scores of the runs.
    """

    key: str
    name: str
    n_runs: int
    score: float
    sd: float | None
    low: float | None
    high: float | None
    rank: int
    rank_low: int
    rank_high: int
    group: str
    n_apart: int
    runs: tuple[float, ...]
    win_probability: float | None = None


class Unranked(Shown):
    """A submission that a scope says nothing about, and why."""

    key: str
    name: str
    n_runs: int
    score: float
    why: str


class Pair(Shown):
    """Row minus column of the matrix, with the p value adjusted for all pairs of the leaderboard."""

    difference: float
    p_adjusted: float
    verdict: Literal["better", "worse", "apart"]


class ScopeBoard(Shown):
    """The leaderboard under one scope."""

    scope: Scope
    scope_words: str
    claim: str
    test: str
    places: tuple[Place, ...]
    unranked: tuple[Unranked, ...]
    matrix: tuple[tuple[Pair | None, ...], ...]
    sentences: tuple[str, ...]


class Leaderboard(Shown):
    """All scopes of one metric, the widest claim first; no scope when nothing is evaluated."""

    metric: str
    title: str
    unit: str
    higher_is_better: bool
    confidence_level: float
    case_noun: str
    n_submissions: int
    n_cases: int
    n_patients: int | None
    scopes: dict[Scope, ScopeBoard]

    @property
    def default_scope(self) -> Scope | None:
        """The widest claim that ranks somebody."""
        return next((scope for scope, board in self.scopes.items() if board.places), None)


def leaderboard(
    entries: Sequence[Entry], metric: str, *, case_noun: str = "cases", rng: np.random.Generator
) -> Leaderboard:
    """
    The leaderboard of the evaluated submissions of a phase.

    Population and test-set scope rank submissions of two or more runs; the trained models scope ranks
    all, by what they are: these very models. Submissions of other cases than the newest entry's, after
    the hidden cases changed, are listed and not ranked.

    Parameters
    ----------
    entries
        The newest last; each with one or more runs.
    metric
        A key of the aggregates that runs can be compared by.
    case_noun
        What a case is called, in the plural.
    rng
        Of bootstraps, sampled permutations and the retrained leaderboards that are drawn.

    Raises
    ------
    UserError
        When runs cannot be compared by the metric, or a run does not have it.
    """
    measure = measure_of(metric) or Measure(metric, "cases")
    entries, elsewhere = _of_the_same_cases(entries)
    scopes: dict[Scope, ScopeBoard] = {}
    n_patients = None
    if entries:
        runs = {
            (entry.name, number): metrics
            for entry in entries
            for number, metrics in enumerate(entry.metrics, start=1)
        }
        scored = metric_tables(runs, [metric])[0]
        patients = scored.table.get("patient")
        n_patients = None if patients is None else int(patients.nunique())
        others = [_unranked(entry, metric, NOT_THESE_CASES) for entry in elsewhere]
        for scope in Scope:
            board = _scope_board(scope, entries, others, scored.table, scored.statistic, metric, rng)
            scopes[scope] = _said(board, case_noun)
    level = entries[0].metrics[0].confidence_level if entries else 0.95
    return Leaderboard(
        metric=metric,
        title=measure.title,
        unit=measure.unit,
        higher_is_better=measure.higher_is_better is not False,
        confidence_level=level,
        case_noun=case_noun,
        n_submissions=len(entries) + len(elsewhere),
        n_cases=len(entries[0].metrics[0].results) if entries else 0,
        n_patients=n_patients,
        scopes=scopes,
    )


def _of_the_same_cases(entries: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Entries whose runs are all of the newest entry's cases, and the others."""
    if not entries:
        return [], []
    newest = _cases(entries[-1].metrics[0])
    same = [entry for entry in entries if all(_cases(metrics) == newest for metrics in entry.metrics)]
    return same, [entry for entry in entries if entry not in same]


def _cases(metrics: Metrics) -> frozenset[tuple[str, float | None]]:
    return frozenset((result.case_id, result.reference) for result in metrics.results)


def _unranked(entry: Entry, metric: str, why: str) -> Unranked:
    values = [metrics.aggregates[metric].value for metrics in entry.metrics if metric in metrics.aggregates]
    score = float(np.mean(values)) if values else 0.0
    return Unranked(key=entry.key, name=entry.name, n_runs=len(entry.metrics), score=score, why=why)


def _scope_board(
    scope: Scope,
    entries: Sequence[Entry],
    others: list[Unranked],
    table: pd.DataFrame,
    statistic: str,
    metric: str,
    rng: np.random.Generator,
) -> ScopeBoard:
    retrained = scope is not Scope.TRAINED_MODELS
    ranked = [entry for entry in entries if len(entry.metrics) > 1 or not retrained]
    single = [_unranked(entry, metric, ONE_RUN) for entry in entries if entry not in ranked]
    board = ScopeBoard(
        scope=scope,
        scope_words=scope.words,
        claim=scope.claim,
        test="",
        places=(),
        unranked=(*single, *others),
        matrix=(),
        sentences=(),
    )
    if not ranked:
        return board
    named = {entry.name: entry for entry in ranked}
    try:
        found = standings(
            table[table["method"].isin(list(named))],
            metric=statistic,
            scope=scope.value,
            confidence_level=ranked[0].metrics[0].confidence_level,
            rng=rng,
        )
    except InvalidTable as error:
        # its words may name a hidden case: they are for the log
        _LOG.warning("no leaderboard under scope %s: %s", scope.value, error)
        undefined = tuple(_unranked(entry, metric, UNDEFINED) for entry in ranked)
        return board.model_copy(update={"unranked": (*undefined, *board.unranked)})
    wins = _wins(found, metric, rng) if retrained and len(ranked) > 1 else {}
    order = sorted(range(len(ranked)), key=lambda i: (int(found.ranks.rank[i]), found.methods[i]))
    limit = limit_sentence(found.smallest_p, 1 - ranked[0].metrics[0].confidence_level)
    return board.model_copy(
        update={
            "test": found.test,
            "places": tuple(_place(found, i, named[found.methods[i]], wins) for i in order),
            "matrix": _matrix(found, order[:MATRIX_UP_TO]),
            "sentences": (limit,) if limit else (),
        }
    )


def _wins(found: Standings, metric: str, rng: np.random.Generator) -> dict[str, float]:
    """How often each method would win if everything were retrained."""
    return win_probability(
        dict(zip(found.methods, found.mean.tolist(), strict=True)),
        found.sd.tolist(),
        higher_is_better=(measure_of(metric) or Measure(metric, "cases")).higher_is_better is not False,
        n_draws=_WIN_DRAWS,
        rng=rng,
    )


def _place(found: Standings, i: int, entry: Entry, wins: dict[str, float]) -> Place:
    different = found.better[i] | found.better[:, i]
    return Place(
        key=entry.key,
        name=entry.name,
        n_runs=int(found.n_runs[i]),
        score=float(found.mean[i]),
        sd=_finite(found.sd[i]),
        low=_finite(found.low[i]),
        high=_finite(found.high[i]),
        rank=int(found.ranks.rank[i]),
        rank_low=int(found.ranks.low[i]),
        rank_high=int(found.ranks.high[i]),
        group=found.ranks.groups[i],
        runs=tuple(found.runs[i].tolist()),
        n_apart=len(different) - 1 - int(different.sum()),
        win_probability=wins.get(entry.name),
    )


def _matrix(found: Standings, order: list[int]) -> tuple[tuple[Pair | None, ...], ...]:
    return tuple(tuple(None if a == b else _pair(found, a, b) for b in order) for a in order)


def _pair(found: Standings, a: int, b: int) -> Pair:
    verdict: Literal["better", "worse", "apart"] = "apart"
    if found.better[a, b]:
        verdict = "better"
    elif found.better[b, a]:
        verdict = "worse"
    return Pair(
        difference=float(found.difference[a, b]), p_adjusted=float(found.p_adjusted[a, b]), verdict=verdict
    )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _said(board: ScopeBoard, case_noun: str) -> ScopeBoard:
    """The board with its conclusions in words, before what limits them."""
    if not board.places:
        return board
    first, *rest = board.places
    tied = [place.name for place in board.places if place.rank_low == 1]
    sentences = [
        first_place_sentence(
            first.name, tied, len(board.places), scope=board.scope, case_noun=case_noun, unsure=bool(rest)
        )
    ]
    if first.win_probability is not None:
        sentences.append(win_sentence(first.name, first.win_probability, first.n_runs, case_noun))
    return board.model_copy(update={"sentences": (*sentences, *board.sentences)})
