"""Metrics over lesion results against hand-worked cases and picai_eval."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from picai_eval.eval import evaluate_case
from picai_eval.metrics import Metrics
from sklearn.metrics import average_precision_score

from reseed.metrics.detection import (
    case_auroc,
    free_response_curve,
    froc_score,
    lesion_average_precision,
    lesion_scores,
    pooled_lesion_scores,
    ranking_score,
    sensitivity_at_false_positives,
)
from reseed.metrics.detection_matching import case_detection
from tests.metrics.detection_cases import random_detection_case

CRAFTED = Path(__file__).resolve().parents[3] / "shared" / "oracles" / "picai_eval_cases"
NAN = math.nan


@st.composite
def lesion_results(draw):
    """Columns of lesion results: hits and false positives with ties, missed lesions."""
    n = draw(st.integers(1, 30))
    is_lesion = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    confidence = draw(st.lists(st.integers(1, 8).map(lambda value: value / 8), min_size=n, max_size=n))
    missed = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    return is_lesion, [
        NAN if lesion and gone else value
        for lesion, gone, value in zip(is_lesion, missed, confidence, strict=True)
    ]


class TestLesionAveragePrecision:
    def test_hand_worked(self):
        """
        Hit .9, false .8, hit .7 and one missed: (1/1 + 2/3 + 0) / 3.
        """
        scores = lesion_scores([1, 0, 1, 1], [0.9, 0.8, 0.7, NAN])

        assert lesion_average_precision(scores) == pytest.approx((1 + 2 / 3) / 3)

    def test_nothing_found(self):
        """
        Lesions, but no hit: 0. No lesion: undefined.
        """
        assert lesion_average_precision(lesion_scores([1, 0], [NAN, 0.4])) == 0
        assert math.isnan(lesion_average_precision(lesion_scores([0], [0.4])))
        assert math.isnan(lesion_average_precision(lesion_scores([], [])))

    @given(lesion_results())
    def test_is_that_of_sklearn_times_the_share_found(self, drawn):
        """
        Without missed lesions it is scikit-learn's; missed ones shrink it in proportion.
        """
        is_lesion, confidence = np.array(drawn[0]), np.array(drawn[1])
        found = ~np.isnan(confidence)
        if is_lesion[found].any():
            expected = average_precision_score(is_lesion[found], confidence[found])
            share = is_lesion[found].sum() / is_lesion.sum()
            assert lesion_average_precision(lesion_scores(is_lesion, confidence)) == pytest.approx(
                expected * share, abs=1e-12
            )

    @given(lesion_results())
    def test_one_more_false_positive_never_helps(self, drawn):
        """
        AP falls or stays, whatever its confidence.
        """
        is_lesion, confidence = drawn
        before = lesion_average_precision(lesion_scores(is_lesion, confidence))
        after = lesion_average_precision(lesion_scores([*is_lesion, False], [*confidence, 0.5]))

        assert math.isnan(before) or after <= before + 1e-12


class TestFreeResponse:
    def test_hand_worked(self):
        """
        Two cases; hit .9, false .8, hit and false .7, one missed.
        """
        curve = free_response_curve(lesion_scores([1, 0, 1, 0, 1], [0.9, 0.8, 0.7, 0.7, NAN]), n_cases=2)

        assert curve.threshold.tolist() == [math.inf, 0.9, 0.8, 0.7]
        assert curve.sensitivity == pytest.approx([0, 1 / 3, 1 / 3, 2 / 3])
        assert curve.false_positives_per_case.tolist() == [0, 0, 0.5, 1]
        assert sensitivity_at_false_positives(curve, 0) == pytest.approx(1 / 3)
        assert sensitivity_at_false_positives(curve, 0.99) == pytest.approx(1 / 3)
        assert sensitivity_at_false_positives(curve, 1) == pytest.approx(2 / 3)
        assert froc_score(curve, (0.5, 1)) == pytest.approx((1 / 3 + 2 / 3) / 2)

    def test_no_lesion_is_missed(self):
        """
        The least confident candidate counts: all lesions are found at its threshold.
        """
        scores = lesion_scores([1, 0, 1], [0.9, 0.8, 0.7])
        curve = free_response_curve(scores, n_cases=1)

        assert sensitivity_at_false_positives(curve, 1) == 1
        # picai_eval takes the lowest confidence for that of missed lesions, and drops its candidates
        peer = Metrics(lesion_results={"a": [(1, 0.9, 0.5), (0, 0.8, 0.0), (1, 0.7, 0.5)]})
        assert peer.lesion_TPR_at_FPR(1) == 0.5

    def test_without_lesions(self):
        """
        Sensitivity is undefined.
        """
        curve = free_response_curve(lesion_scores([0], [0.4]), n_cases=3)

        assert math.isnan(froc_score(curve))
        assert curve.false_positives_per_case.tolist() == [0, 1 / 3]

    @given(lesion_results(), st.integers(1, 5))
    def test_the_curve_rises(self, drawn, n_cases):
        """
        Sensitivity and false positives grow together, up to all that was found.
        """
        scores = lesion_scores(*drawn)
        curve = free_response_curve(scores, n_cases)
        found = ~np.isnan(scores.confidence)

        assert (np.diff(curve.false_positives_per_case) >= 0).all()
        assert curve.false_positives_per_case[-1] * n_cases == pytest.approx(
            (found & ~scores.is_lesion).sum()
        )
        if scores.is_lesion.any():
            assert (np.diff(curve.sensitivity) >= 0).all()
            assert curve.sensitivity[-1] == pytest.approx(
                (found & scores.is_lesion).sum() / scores.is_lesion.sum()
            )

    @pytest.mark.parametrize(
        ("call", "rule"),
        [
            (lambda: free_response_curve(lesion_scores([1], [0.5]), 0), "n_cases must be at least 1"),
            (
                lambda: sensitivity_at_false_positives(free_response_curve(lesion_scores([1], [0.5]), 1), -1),
                "rate must not be negative",
            ),
            (lambda: lesion_scores([1, 0], [0.5]), "one length"),
            (lambda: lesion_scores([2], [0.5]), "must be 1 for a lesion"),
            (lambda: lesion_scores([0], [NAN]), "must be finite, or NaN for a missed lesion"),
            (lambda: lesion_scores([1], [math.inf]), "must be finite"),
        ],
    )
    def test_refusals(self, call, rule):
        """
        The rule is named.
        """
        with pytest.raises(ValueError, match=rule):
            call()


class TestPicaiEval:
    def test_200_random_cases(self):
        """
        AP, AUROC, score and sensitivities of ten test sets of 20 cases, to 1e-12.
        """
        rng = np.random.default_rng(30)
        for _ in range(10):
            drawn = [random_detection_case(rng) for _ in range(20)]
            peers = [evaluate_case(detection_map, reference) for reference, detection_map in drawn]
            names = [f"{index:02}" for index in range(20)]
            expected = Metrics(
                lesion_results={name: peer[0] for name, peer in zip(names, peers, strict=True)},
                case_pred={name: peer[1] for name, peer in zip(names, peers, strict=True)},
            )
            cases = [case_detection(reference, detection_map) for reference, detection_map in drawn]
            scores = pooled_lesion_scores(cases)
            auroc, ap = case_auroc(cases), lesion_average_precision(scores)

            assert ap == pytest.approx(expected.AP, abs=1e-12)
            assert auroc == pytest.approx(expected.auroc, abs=1e-12)
            assert ranking_score(auroc, ap) == pytest.approx(expected.score, abs=1e-12)
            assert np.isnan(scores.confidence).any()  # else picai_eval's curve is wrong
            curve = free_response_curve(scores, n_cases=20)
            for rate in (0.05, 0.25, 0.5, 1.0, 2.0):
                assert sensitivity_at_false_positives(curve, rate) == pytest.approx(
                    expected.lesion_TPR_at_FPR(rate), abs=1e-6
                )

    @pytest.mark.shared_data
    def test_crafted_cases(self):
        """
        The ten crafted cases: AP 5/9 · 1/2, AUROC .75, and every lesion result.
        """
        if not CRAFTED.is_dir():
            pytest.skip("the crafted cases are not part of the project")
        expected = json.loads((CRAFTED / "metrics-expected.json").read_text())
        cases = {}
        for index in range(10):
            label, detection_map = (
                SimpleITK.GetArrayFromImage(
                    SimpleITK.ReadImage(str(CRAFTED / "test-maps" / f"case-{index}_{kind}.nii.gz"))
                )
                for kind in ("label", "detection_map")
            )
            cases[f"case-{index}"] = case_detection(label, detection_map.astype(np.float32))

        assert lesion_average_precision(pooled_lesion_scores(list(cases.values()))) == pytest.approx(
            5 / 18, abs=1e-12
        )
        assert case_auroc(list(cases.values())) == pytest.approx(0.75, abs=1e-12)
        for name, results in expected["lesion_results"].items():
            ours = sorted(
                (int(each.is_lesion), each.confidence or 0.0, each.overlap) for each in cases[name].lesions
            )
            assert ours == [pytest.approx(tuple(result), abs=1e-12) for result in sorted(results)]
