"""Matching of candidates and lesions against hand-worked cases and picai_eval."""

import numpy as np
import pytest
from picai_eval.eval import evaluate_case

from reseed.metrics.detection_matching import CaseDetection, LesionResult, MatchingRule, case_detection
from tests.metrics.detection_cases import random_detection_case

SHAPE = (4, 4, 12)


def volume(*parts, dtype=float):
    """A volume with values along its last axis, in the plane 0, 0."""
    made = np.zeros(SHAPE, dtype=dtype)
    for start, stop, value in parts:
        made[0, 0, start:stop] = value
    return made


def found(reference, detection_map, **rule):
    """(is_lesion, confidence, overlap rounded) of every lesion result."""
    lesions = case_detection(reference, detection_map, MatchingRule(**rule)).lesions
    return [(lesion.is_lesion, lesion.confidence, round(lesion.overlap, 6)) for lesion in lesions]


def picai_list(detection):
    """Lesion results as picai_eval lists them, in a fixed order."""
    return sorted((int(each.is_lesion), each.confidence or 0.0, each.overlap) for each in detection.lesions)


class TestHandWorked:
    def test_hit_miss_and_false_positive(self):
        """
        IoU 2/4 is a hit; a lesion without candidate is missed; a candidate elsewhere is false.
        """
        reference = volume((0, 3, 1), (5, 6, 1))
        detection_map = volume((1, 4, 0.9), (8, 10, 0.4))

        assert found(reference, detection_map) == [(True, 0.9, 0.5), (True, None, 0), (False, 0.4, 0)]

    def test_nothing_at_all(self):
        """
        No lesion and no candidate: no result, and confidence 0.
        """
        assert case_detection(volume(), volume()) == CaseDetection((), 0.0)

    def test_the_confidence_of_a_case(self):
        """
        The highest of its candidates, whatever they hit.
        """
        detection = case_detection(volume((0, 3, 1)), volume((0, 3, 0.2), (6, 8, 0.7)))

        assert (detection.confidence, detection.has_lesion) == (0.7, True)

    def test_overlap_of_exactly_the_minimum_is_a_hit(self):
        """
        IoU 1/10, with 0.10 asked for.
        """
        assert found(volume((0, 1, 1)), volume((0, 10, 0.5)))[0][0:2] == (True, 0.5)
        assert found(volume((0, 1, 1)), volume((0, 11, 0.5))) == [(True, None, 0), (False, 0.5, 0)]

    def test_dice(self):
        """
        The pair of IoU 1/11 has Dice 2/12.
        """
        assert found(volume((0, 1, 1)), volume((0, 11, 0.5)), overlap="dsc") == [
            (True, 0.5, round(2 / 12, 6))
        ]

    def test_a_surplus_candidate(self):
        """
        Two candidates on one lesion: the larger overlap hits, the other is discarded, or false.
        """
        reference = volume((0, 8, 1))
        detection_map = volume((0, 3, 0.9), (4, 8, 0.2))

        assert found(reference, detection_map) == [(True, 0.2, 0.5)]
        assert found(reference, detection_map, surplus_is_false_positive=True) == [
            (True, 0.2, 0.5),
            (False, 0.9, 0.0),
        ]

    def test_most_matches_or_largest_overlap_first(self):
        """
        A candidate across two lesions, and one on the larger: the orders disagree about the first.
        """
        reference = volume((0, 5, 1), (6, 8, 1))
        detection_map = volume((0, 1, 0.9), (2, 8, 0.4))

        # IoU: candidate .4 has 3/8 with the first lesion and 2/6 with the second; .9 has 1/5 with the first
        assert found(reference, detection_map) == [(True, 0.9, 0.2), (True, 0.4, round(2 / 6, 6))]
        assert found(reference, detection_map, order="largest_overlap") == [
            (True, 0.4, 0.375),
            (True, None, 0.0),
        ]

    def test_labels_of_the_reference_do_not_matter(self):
        """
        A lesion is a component, whatever number it carries; corners touch.
        """
        reference = np.zeros((3, 3, 3), dtype=int)
        reference[0, 0, 0], reference[1, 1, 1] = 4, 9

        assert case_detection(reference, np.zeros((3, 3, 3))).lesions == (LesionResult(True, None),)

    def test_another_grid(self):
        """
        Nothing is padded.
        """
        with pytest.raises(ValueError, match=r"on one grid, got \(4, 4, 12\) and \(3, 4, 12\)"):
            case_detection(volume(), volume()[:3])

    def test_a_rule_that_everything_would_pass(self):
        """
        Without overlap there is no hit.
        """
        with pytest.raises(ValueError, match="min_overlap must be above 0"):
            MatchingRule(min_overlap=0)


class TestPicaiEval:
    @pytest.mark.parametrize("overlap", ["iou", "dsc"])
    @pytest.mark.parametrize("surplus", [False, True])
    def test_random_cases(self, overlap, surplus):
        """
        The lesion lists and case confidences of 200 random cases in all, to 1e-12.
        """
        rng = np.random.default_rng(10 + surplus)
        n_hits = 0
        for _ in range(50):
            reference, detection_map = random_detection_case(rng)
            expected, confidence, *_ = evaluate_case(
                detection_map,
                reference,
                overlap_func={"iou": "IoU", "dsc": "DSC"}[overlap],
                allow_unmatched_candidates_with_minimal_overlap=not surplus,
            )
            ours = case_detection(
                reference, detection_map, MatchingRule(overlap=overlap, surplus_is_false_positive=surplus)
            )
            assert np.array(picai_list(ours)) == pytest.approx(np.array(sorted(expected)), abs=1e-12)
            assert ours.confidence == confidence
            n_hits += sum(overlap > 0 for _, _, overlap in expected)
        assert n_hits > 10


class TestInvariants:
    @pytest.mark.parametrize("order", ["most_matches", "largest_overlap"])
    def test_every_lesion_and_candidate_once(self, order):
        """
        Lesions are hit or missed; no candidate counts twice; most matches are never fewer.
        """
        rng = np.random.default_rng(12)
        for _ in range(50):
            reference, detection_map = random_detection_case(rng)
            lesions = case_detection(reference, detection_map, MatchingRule(order=order)).lesions
            best = case_detection(reference, detection_map).lesions

            assert sum(each.is_lesion for each in lesions) == sum(each.is_lesion for each in best)
            n_hits = sum(each.overlap > 0 for each in lesions)
            assert n_hits <= sum(each.overlap > 0 for each in best)

    def test_a_perfect_map(self):
        """
        The reference as its own detection map hits every lesion with overlap 1.
        """
        rng = np.random.default_rng(13)
        for _ in range(30):
            reference, _ = random_detection_case(rng)
            lesions = case_detection(reference, reference.astype(float)).lesions
            assert all(each == LesionResult(True, 1.0, 1.0) for each in lesions)

    def test_confidence_scale_does_not_matter(self):
        """
        Matching looks at places only.
        """
        rng = np.random.default_rng(14)
        for _ in range(30):
            reference, detection_map = random_detection_case(rng)
            one, other = (
                case_detection(reference, detection_map),
                case_detection(reference, detection_map / 2),
            )
            assert [each.overlap for each in one.lesions] == [each.overlap for each in other.lesions]
