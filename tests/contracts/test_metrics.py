"""metrics.json: finite numbers, keys that a platform can address."""

import math

import pytest
from pydantic import ValidationError

from reseed.contracts.metrics import Aggregate, CaseResult, Metrics


class TestMetrics:
    @pytest.mark.parametrize("value", [math.nan, math.inf])
    @pytest.mark.parametrize("key", ["value", "standard_error", "low"])
    def test_only_finite_numbers(self, key, value):
        """
        Undefined is null, never NaN; the value itself is always defined.
        """
        with pytest.raises(ValidationError, match="finite number"):
            Aggregate(**{"value": 0.5, key: value})

    @pytest.mark.parametrize("key", ["AUROC", "a.b", "a-b", "1a", ""])
    def test_keys_that_a_dotted_path_cannot_reach(self, key):
        """
        Lower case letters, digits and _ only.
        """
        with pytest.raises(ValidationError):
            Metrics(task="t", confidence_level=0.95, aggregates={key: Aggregate(value=1)}, results=())

    def test_document(self):
        """
        The JSON document has every key, null where there is nothing.
        """
        metrics = Metrics(
            task="t",
            confidence_level=0.95,
            aggregates={"auroc": Aggregate(value=0.5)},
            results=(CaseResult(case_id="a", score=0.1),),
        )

        assert metrics.document() == {
            "schema_version": "1.0",
            "task": "t",
            "confidence_level": 0.95,
            "aggregates": {"auroc": {"value": 0.5, "standard_error": None, "low": None, "high": None}},
            "results": [{"case_id": "a", "patient": None, "reference": None, "score": 0.1}],
            "comparisons": [],
        }
