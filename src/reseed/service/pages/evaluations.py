"""The page of one evaluation, and its results by case as a table and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session, undefer

from reseed.contracts.metrics import Metrics
from reseed.scoring.measures import measure_of
from reseed.service.api.asking import AskerHere, InstallationHere
from reseed.service.api.evaluations import visible_metrics
from reseed.service.api.found import found_row
from reseed.service.api.leaderboard import is_released
from reseed.service.database.models import Evaluation
from reseed.service.domain.permissions import Action
from reseed.service.pages.places import submission_crumbs
from reseed.service.pages.rendering import page
from reseed.service.security.authorisation import Asker, NotThere, logged_in, may, owners_of, require

router = APIRouter()

CASES_SHOWN = 200


@dataclass(frozen=True)
class CaseTable:
    """Results by case: a row each, as texts; which columns there are depends on who looks."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class AggregateRow:
    """One metric over all cases."""

    title: str
    value: float
    low: float | None
    high: float | None


@router.get("/evaluations/{pk}/")
def evaluation(request: Request, pk: UUID, installation: InstallationHere, asker: AskerHere) -> Response:
    """What one run scored."""
    with installation.database.read() as session:
        found = _found(session, asker, pk)
        visible = visible_metrics(session, asker, found)
        table = _case_table(session, asker, found)
        return page(
            request,
            "evaluation.html",
            asker,
            crumbs=submission_crumbs(found.submission),
            evaluation=found,
            run=found.run,
            phase=found.submission.phase,
            aggregates=() if visible is None else _aggregates(visible),
            confidence_level=None if visible is None else visible["confidence_level"],
            table=table,
            cases_shown=CASES_SHOWN,
            is_released=is_released(found.submission.phase),
        )


@router.get("/evaluations/{pk}/cases.csv")
def cases(pk: UUID, installation: InstallationHere, asker: AskerHere) -> Response:
    """The results by case as CSV: all of them for organisers, nameless ones for the owner where allowed."""
    with installation.database.read() as session:
        found = _found(session, asker, pk)
        table = _case_table(session, asker, found)
    if table is None:
        raise NotThere(f"evaluation {pk} has no results by case that you may see")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    name = f"run-{found.run.number}-cases.csv"
    return Response(
        text.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _found(session: Session, asker: Asker, pk: UUID) -> Evaluation:
    logged_in(asker)
    found = found_row(session, Evaluation, pk, "evaluation", undefer(Evaluation.metrics))
    require(
        session,
        asker,
        Action.VIEW_EVALUATION,
        challenge_pk=found.submission.phase.challenge_pk,
        owners=owners_of(session, found.submission),
        hidden=f"there is no evaluation {pk}",
    )
    return found


def _aggregates(document: dict[str, Any]) -> list[AggregateRow]:
    rows = []
    for key, aggregate in document["aggregates"].items():
        measure = measure_of(key)
        unit = f", {measure.unit}" if measure is not None and measure.unit else ""
        rows.append(
            AggregateRow(
                title=key if measure is None else f"{measure.title}{unit}",
                value=aggregate["value"],
                low=aggregate.get("low"),
                high=aggregate.get("high"),
            )
        )
    return rows


def _case_table(session: Session, asker: Asker, evaluation: Evaluation) -> CaseTable | None:
    """
    What of the results by case the person may see.

    Organisers see the names and the reference standard. Owners see their own scores in the order of the
    cases, without either, once the phase is released and when it allows that.
    """
    if evaluation.metrics is None:
        return None
    phase = evaluation.submission.phase
    owners = owners_of(session, evaluation.submission)

    def allowed(action: Action) -> bool:
        return may(session, asker, action, challenge_pk=phase.challenge_pk, owners=owners)

    metrics = Metrics.model_validate(evaluation.metrics)
    if allowed(Action.VIEW_CASE_RESULTS):
        return _named_table(metrics)
    if phase.allows_csv and is_released(phase) and allowed(Action.VIEW_RELEASED_METRICS):
        return _nameless_table(metrics)
    return None


def _keys(metrics: Metrics) -> list[str]:
    return list(dict.fromkeys(key for result in metrics.results for key in result.metrics))


def _named_table(metrics: Metrics) -> CaseTable:
    keys = _keys(metrics)
    lead = ["case", "patient", "reference", "score"]
    rows = [
        (
            result.case_id,
            result.patient or "",
            _text(result.reference),
            _text(result.score),
            *(_text(result.metrics.get(key)) for key in keys),
        )
        for result in metrics.results
    ]
    return _without_empty_columns([*lead, *keys], rows)


def _nameless_table(metrics: Metrics) -> CaseTable:
    keys = _keys(metrics)
    ordered = sorted(metrics.results, key=lambda result: result.case_id)
    rows = [
        (str(place), _text(result.score), *(_text(result.metrics.get(key)) for key in keys))
        for place, result in enumerate(ordered, start=1)
    ]
    return _without_empty_columns(["case", "score", *keys], rows)


def _without_empty_columns(columns: list[str], rows: Sequence[tuple[str, ...]]) -> CaseTable:
    kept = [i for i, name in enumerate(columns) if name == "case" or any(row[i] for row in rows)]
    return CaseTable(
        columns=tuple(columns[i] for i in kept), rows=tuple(tuple(row[i] for i in kept) for row in rows)
    )


def _text(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(value)
