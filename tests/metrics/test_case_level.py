"""From lesions to cases."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reseed.metrics.case_level import case_level
from reseed.metrics.classification import area_under_roc_curve


class TestCaseLevel:
    def test_hand_worked(self):
        """
        The label of any lesion, the score of the highest.
        """
        found = case_level(["b", "a", "b"], [0, 0, 1], [0.7, 0.2, 0.4])

        assert found.case == ("a", "b")
        assert found.reference.tolist() == [False, True]
        assert found.score.tolist() == [0.2, 0.7]

    @given(
        st.lists(
            st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(-5, 5)), min_size=1, max_size=20
        )
    )
    def test_equals_a_loop(self, lesions):
        """
        Case by case.
        """
        found = case_level(*(list(column) for column in zip(*lesions, strict=True)))

        for case, label, score in zip(found.case, found.reference, found.score, strict=True):
            assert label == any(positive for name, positive, _ in lesions if name == case)
            assert score == max(value for name, _, value in lesions if name == case)

    def test_feeds_the_metrics(self):
        """
        Per case as per lesion.
        """
        found = case_level(["a", "a", "b"], [0, 1, 0], [0.1, 0.9, 0.5])

        assert area_under_roc_curve(found.reference, found.score) == 1

    def test_lengths(self):
        """
        One case for every lesion.
        """
        with pytest.raises(ValueError, match="one entry per lesion, got 1 for 2"):
            case_level(["a"], [0, 1], [0.1, 0.2])
