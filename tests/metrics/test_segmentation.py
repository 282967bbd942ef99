"""Overlap and volume metrics against hand-worked masks, scikit-learn and SimpleITK."""

import math

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from reseed.metrics.segmentation import (
    Overlap,
    dice_similarity_coefficient,
    jaccard_index,
    overlap,
    overlap_by_label,
    relative_volume_difference,
    volume_difference_ml,
    voxel_precision,
    voxel_recall,
)
from tests.metrics.mask_pairs import blobs, mask_pairs

RATIOS = [dice_similarity_coefficient, jaccard_index, voxel_precision, voxel_recall]


@pytest.fixture
def masks():
    """4×4×4: a reference of 2×2×2 = 8 voxels, a prediction of 2×2×3 = 12, 4 of them shared."""
    reference = np.zeros((4, 4, 4), dtype=bool)
    reference[0:2, 0:2, 0:2] = True
    prediction = np.zeros((4, 4, 4), dtype=bool)
    prediction[1:3, 0:2, 0:3] = True
    return reference, prediction


class TestHandWorked:
    def test_counts(self, masks):
        """
        4 shared, 4 missed, 8 too many.
        """
        assert overlap(*masks) == Overlap(n_both=4, n_reference_only=4, n_prediction_only=8)

    def test_metrics(self, masks):
        """
        Every metric by its formula on these counts.
        """
        shared = overlap(*masks)

        assert dice_similarity_coefficient(shared) == 8 / 20
        assert jaccard_index(shared) == 4 / 16
        assert voxel_precision(shared) == 4 / 12
        assert voxel_recall(shared) == 4 / 8
        assert relative_volume_difference(shared) == 4 / 8
        assert volume_difference_ml(shared, (5.0, 2.0, 10.0)) == pytest.approx(4 * 100 / 1000)

    def test_signed_volume_difference(self, masks):
        """
        Too small is negative.
        """
        reference, prediction = masks

        assert volume_difference_ml(overlap(prediction, reference), (1, 1, 1)) == -0.004
        assert relative_volume_difference(overlap(prediction, reference)) == -4 / 12


class TestUndefined:
    @pytest.mark.parametrize(
        ("metric", "both_empty", "reference_empty", "prediction_empty"),
        [
            (dice_similarity_coefficient, math.nan, 0, 0),
            (jaccard_index, math.nan, 0, 0),
            (voxel_precision, math.nan, 0, math.nan),
            (voxel_recall, math.nan, math.nan, 0),
            (relative_volume_difference, math.nan, math.nan, -1),
        ],
    )
    def test_empty_masks(self, metric, both_empty, reference_empty, prediction_empty):
        """
        NaN where the formula divides by nothing, never a library's favourite number.
        """
        empty, full = np.zeros((2, 2), dtype=bool), np.ones((2, 2), dtype=bool)

        assert metric(overlap(empty, empty)) == pytest.approx(both_empty, nan_ok=True)
        assert metric(overlap(empty, full)) == pytest.approx(reference_empty, nan_ok=True)
        assert metric(overlap(full, empty)) == pytest.approx(prediction_empty, nan_ok=True)

    def test_two_empty_masks_differ_by_no_volume(self):
        """
        The absolute difference is always defined.
        """
        assert volume_difference_ml(Overlap(0, 0, 0), (1, 1, 1)) == 0


class TestSecondSource:
    @settings(max_examples=30)
    @given(mask_pairs())
    def test_sklearn(self, drawn):
        """
        F1, Jaccard, precision and recall of the flattened masks.
        """
        reference, prediction, _ = drawn
        shared = overlap(reference, prediction)

        for metric, other in zip(
            RATIOS, [f1_score, jaccard_score, precision_score, recall_score], strict=True
        ):
            value = metric(shared)
            if not math.isnan(value):
                expected = other(reference.ravel(), prediction.ravel(), zero_division=0)
                assert value == pytest.approx(expected, abs=1e-12)

    def test_simpleitk(self):
        """
        Dice, Jaccard, sensitivity and volume similarity of a label map by label.
        """
        rng = np.random.default_rng(5)
        for _ in range(20):
            reference, prediction = blobs(rng, (9, 14, 11), 3), blobs(rng, (9, 14, 11), 3)
            measured = SimpleITK.LabelOverlapMeasuresImageFilter()
            # SimpleITK names its first argument the source and its second the target, the reference
            measured.Execute(*(SimpleITK.GetImageFromArray(labels) for labels in (prediction, reference)))
            labels = [label for label in (1, 2, 3) if label in reference and label in prediction]
            for label, shared in overlap_by_label(reference, prediction, labels).items():
                assert dice_similarity_coefficient(shared) == pytest.approx(
                    measured.GetDiceCoefficient(label), abs=1e-12
                )
                assert jaccard_index(shared) == pytest.approx(
                    measured.GetJaccardCoefficient(label), abs=1e-12
                )
                assert 1 - voxel_recall(shared) == pytest.approx(
                    measured.GetFalseNegativeError(label), abs=1e-12
                )
                assert 1 - voxel_precision(shared) == pytest.approx(
                    measured.GetFalseDiscoveryRate(label), abs=1e-12
                )


class TestInvariants:
    @given(mask_pairs())
    def test_symmetry(self, drawn):
        """
        Dice and Jaccard do not know which mask is the reference; precision and recall swap.
        """
        reference, prediction, _ = drawn
        there, back = overlap(reference, prediction), overlap(prediction, reference)

        for metric in (dice_similarity_coefficient, jaccard_index):
            assert metric(there) == pytest.approx(metric(back), nan_ok=True)
        assert voxel_precision(there) == pytest.approx(voxel_recall(back), nan_ok=True)

    @given(mask_pairs())
    def test_jaccard_follows_from_dice(self, drawn):
        """
        J = D / (2 - D), and both are shares.
        """
        shared = overlap(*drawn[:2])
        dice, jaccard = dice_similarity_coefficient(shared), jaccard_index(shared)

        assert jaccard == pytest.approx(dice / (2 - dice), nan_ok=True)
        assert math.isnan(dice) or 0 <= jaccard <= dice <= 1

    @given(mask_pairs())
    def test_itself(self, drawn):
        """
        A mask agrees with itself, unless it is empty.
        """
        mask = drawn[0]

        assert dice_similarity_coefficient(overlap(mask, mask)) == pytest.approx(
            1.0 if mask.any() else math.nan, nan_ok=True
        )


class TestOverlapByLabel:
    def test_equals_one_label_at_a_time(self):
        """
        One pass gives what a mask per label gives, in the order asked for.
        """
        rng = np.random.default_rng(2)
        for _ in range(20):
            reference, prediction = blobs(rng, (7, 8, 9), 4), blobs(rng, (7, 8, 9), 4)
            found = overlap_by_label(reference, prediction, [4, 1, 9])

            assert list(found) == [4, 1, 9]
            for label, shared in found.items():
                assert shared == overlap(reference == label, prediction == label)

    def test_negative_and_large_labels(self):
        """
        A label is any whole number.
        """
        reference, prediction = np.array([-5, 0, 70_000, 3]), np.array([-5, 70_000, 70_000, 0])

        assert overlap_by_label(reference, prediction, [70_000, -5]) == {
            70_000: Overlap(1, 0, 1),
            -5: Overlap(1, 0, 0),
        }

    def test_no_label(self):
        """
        Nothing asked, nothing told.
        """
        assert overlap_by_label(np.array([1]), np.array([1]), []) == {}

    @pytest.mark.parametrize(
        ("reference", "prediction", "labels", "rule"),
        [
            (np.zeros(2, int), np.zeros(3, int), [1], "on one grid"),
            (np.zeros(2), np.zeros(2, int), [1], "whole numbers, got float64"),
            (np.zeros(2, int), np.zeros(2, int), [1, 1], "given twice"),
        ],
    )
    def test_refusals(self, reference, prediction, labels, rule):
        """
        The rule is named.
        """
        with pytest.raises(ValueError, match=rule):
            overlap_by_label(reference, prediction, labels)
