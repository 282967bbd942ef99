"""Aggregates: the metric's own number, with the sampling error of another module beside it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reseed.scoring.classification import CLASSIFICATION_METRICS, classification_aggregate
from reseed.scoring.reference import ReferenceCase
from reseed.statistics import single_run_estimate


@st.composite
def scored_cases(draw):
    """Cases of a few patients, both classes present, scores with ties."""
    n = draw(st.integers(4, 30))
    labels = [0, 1, *draw(st.lists(st.sampled_from([0, 1]), min_size=n - 2, max_size=n - 2))]
    patients = draw(st.lists(st.sampled_from("abcdef"), min_size=n, max_size=n))
    cases = [
        ReferenceCase(f"c{index}", label, patient)
        for index, (label, patient) in enumerate(zip(labels, patients, strict=True))
    ]
    return cases, draw(st.lists(st.integers(0, 12).map(lambda value: value / 12), min_size=n, max_size=n))


@pytest.mark.parametrize("metric", list(CLASSIFICATION_METRICS))
class TestClassificationAggregate:
    @settings(max_examples=60)
    @given(drawn=scored_cases())
    def test_both_modules_agree(self, metric, drawn):
        """
        Statistics computes the value by its own kernel: the same to 1e-12, patients or none.
        """
        cases, scores = drawn
        reference = [case.label for case in cases]
        patient = [case.patient for case in cases]
        value = CLASSIFICATION_METRICS[metric](np.array(reference), np.array(scores))

        for given_patient in (patient, None):
            estimate = single_run_estimate(reference, scores, given_patient, metric=metric)
            assert estimate.value == pytest.approx(value, abs=1e-12)

    @settings(max_examples=60)
    @given(drawn=scored_cases())
    def test_finite_or_null(self, metric, drawn):
        """
        What the cases do not determine is null, and what they determine is around the value.
        """
        aggregate = classification_aggregate(*drawn, metric=metric, confidence_level=0.9)

        assert (aggregate.low is None) == (aggregate.high is None) == (aggregate.standard_error is None)
        if aggregate.low is not None and aggregate.high is not None:
            assert aggregate.low <= aggregate.value <= aggregate.high

    def test_one_patient_has_no_sampling_error(self, metric):
        """
        All cases of one patient: the value stands, its error is unknown.
        """
        cases = [ReferenceCase("a", 1, "p"), ReferenceCase("b", 0, "p")]

        aggregate = classification_aggregate(cases, [0.9, 0.1], metric=metric, confidence_level=0.95)

        assert aggregate.value == 1.0
        assert (aggregate.standard_error, aggregate.low, aggregate.high) == (None, None, None)
