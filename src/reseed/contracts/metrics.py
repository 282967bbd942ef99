"""metrics.json: what the evaluation container writes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, JsonValue

from reseed.contracts.model import Contract, MetricKey


class Aggregate(Contract):
    """
    A metric over all cases of one run, with its sampling error over cases.

    `standard_error`, `low` and `high` are null where the cases do not determine them; they say
    nothing about what a retraining would give.
    """

    value: float
    standard_error: float | None = Field(default=None, ge=0)
    low: float | None = None
    high: float | None = None


class CaseResult(Contract):
    """One case of the reference standard, with what this run made of it."""

    case_id: str
    patient: str | None = None
    reference: float | None = None
    score: float | None = None


class Metrics(Contract):
    """The whole of metrics.json; every number is finite."""

    schema_version: Literal["1.0"] = "1.0"
    task: str
    confidence_level: float = Field(gt=0, lt=1)
    aggregates: dict[MetricKey, Aggregate]
    results: tuple[CaseResult, ...]
    comparisons: tuple[dict[str, JsonValue], ...] = ()

    def document(self) -> dict[str, Any]:
        """The JSON document."""
        return self.model_dump(mode="json")
