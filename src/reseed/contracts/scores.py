"""Score tables: one row per method, run and case, from us or from anywhere."""

from __future__ import annotations

from pydantic import Field

from reseed.contracts.model import Contract

REQUIRED_COLUMNS = ("method", "run", "case", "score")
OPTIONAL_COLUMNS = ("reference", "patient", "weight")


class ScoreRow(Contract):
    """
    One row of a score table.

    In a table of lesion candidates a case has several rows: `reference` is 1 for a hit or a missed
    lesion and 0 for a false positive, and `score` is empty for a missed lesion.
    """

    method: str
    run: str
    case: str
    score: float | None
    reference: float | None = None
    patient: str | None = None
    weight: float | None = Field(default=None, ge=0)
