"""metrics.json: what the evaluation container writes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

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


class LesionRow(Contract):
    """
    A hit or a missed lesion (`reference` 1) or a false positive (0); a missed lesion has no score.

    Where the lesions are given, as in a list of nodules, `lesion` is its name and 0 is a benign one.
    """

    reference: Literal[0, 1]
    score: float | None
    overlap: float | None = None
    lesion: str | None = None

    @model_serializer(mode="wrap")
    def _without_empty_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None or key == "score"}


class CaseResult(Contract):
    """
    One case of the reference standard, with what this run made of it.

    `metrics` are those of this case alone, null where they are undefined and skipped; `lesions` are
    those of the case with all that counts as a detection. A task that has none of either writes
    neither key.
    """

    case_id: str
    patient: str | None = None
    reference: float | None = None
    score: float | None = None
    metrics: dict[MetricKey, float | None] = Field(default_factory=dict)
    lesions: tuple[LesionRow, ...] | None = None

    @model_serializer(mode="wrap")
    def _without_empty_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = handler(self)
        if not self.metrics:
            del document["metrics"]
        if self.lesions is None:
            del document["lesions"]
        return document


class ReferenceComparison(Contract):
    """
    A submission, which is one run, as one draw beside the runs of a reference method.

    `low` and `high` are the prediction interval of one more retraining of the reference on these
    cases; `share_reaching` is the share of such retrainings that would score at least as well.
    All three are null when the reference has one run: its spread is then unknown.
    """

    metric: MetricKey
    method: str
    n_runs: int = Field(ge=1)
    value: float
    reference_mean: float
    reference_sd: float | None = None
    low: float | None = None
    high: float | None = None
    share_reaching: float | None = None
    verdict: Literal["better", "within", "worse", "unknown"]
    words: str


class Metrics(Contract):
    """The whole of metrics.json; every number is finite."""

    schema_version: Literal["1.0"] = "1.0"
    task: str
    confidence_level: float = Field(gt=0, lt=1)
    aggregates: dict[MetricKey, Aggregate]
    results: tuple[CaseResult, ...]
    comparisons: tuple[ReferenceComparison, ...] = ()

    def document(self) -> dict[str, Any]:
        """The JSON document."""
        return self.model_dump(mode="json")
