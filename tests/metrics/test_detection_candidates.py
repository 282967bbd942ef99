"""Lesion candidates against hand-worked volumes and report_guided_annotation."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from report_guided_annotation import extract_lesion_candidates
from scipy import ndimage

from reseed.metrics.detection_candidates import (
    ExtractionSettings,
    detection_map_candidates,
    dynamic_lesion_candidates,
    single_threshold_lesion_candidates,
)

SOFTMAX = Path(__file__).resolve().parents[3] / "shared" / "data" / "prostatex_softmax"


def softmax(rng, shape=(8, 24, 24)):
    """A smooth random volume with a few peaks, in single precision."""
    noise = ndimage.gaussian_filter(rng.normal(size=shape), 1.5)
    peaks = np.clip(noise / np.abs(noise).max(), 0, None) ** 2
    return (peaks * rng.uniform(0.05, 1)).astype(np.float32)


class TestDetectionMapCandidates:
    def test_hand_worked(self):
        """
        Two components, in the order of their first voxel, each with its confidence.
        """
        volume = np.zeros((4, 4, 4))
        volume[0, 0, :2] = 0.3
        volume[2:, 2:, 2:] = 0.7

        found = detection_map_candidates(volume)

        assert [(candidate.confidence, candidate.component.size) for candidate in found] == [
            (0.3, 2),
            (0.7, 8),
        ]

    def test_nothing(self):
        """
        An empty map points at nothing.
        """
        assert detection_map_candidates(np.zeros((4, 4, 4))) == []

    def test_a_softmax_is_refused(self):
        """
        More confidences than components: candidates have not been decided on.
        """
        volume = np.zeros((4, 4, 4))
        volume[0, 0, :3] = 0.1, 0.2, 0.3

        with pytest.raises(ValueError, match="3 distinct confidences in 1 components: this is a softmax"):
            detection_map_candidates(volume)

    @pytest.mark.parametrize("bad", [-0.1, np.nan, np.inf])
    def test_what_is_no_confidence(self, bad):
        """
        Negative and infinite values and NaN are refused.
        """
        volume = np.zeros((4, 4, 4))
        volume[1, 1, 1] = bad

        with pytest.raises(ValueError, match=r"a confidence must (not be negative|be finite)"):
            detection_map_candidates(volume)


class TestDynamicLesionCandidates:
    def test_hand_worked(self):
        """
        A line of 1, .5, .3 (threshold .4: two voxels), and far away .2, .2 (threshold .08: two voxels).
        """
        line = np.array([0, 1.0, 0.5, 0.3, 0, 0, 0, 0.2, 0.2, 0, 0, 0.05])

        found = dynamic_lesion_candidates(line, ExtractionSettings(min_voxels=1))

        # .3 is left over, but touches the first candidate; .05 is smaller than two voxels
        assert found.tolist() == [0, 1, 1, 0, 0, 0, 0, 0.2, 0.2, 0, 0, 0]

    def test_small_components_are_skipped_or_end_it(self):
        """
        A single bright voxel hides a larger, fainter candidate only with `stop`.
        """
        line = np.array([0.9, 0, 0, 0.3, 0.3, 0.3])

        skipping = dynamic_lesion_candidates(line, ExtractionSettings(min_voxels=2))
        stopping = dynamic_lesion_candidates(line, ExtractionSettings(min_voxels=2, small_components="stop"))

        assert skipping.tolist() == [0, 0, 0, 0.3, 0.3, 0.3]
        assert not stopping.any()

    def test_no_more_than_asked_for(self):
        """
        The most confident first.
        """
        line = np.array([0.2, 0, 0, 0.9, 0, 0, 0.5])

        found = dynamic_lesion_candidates(line, ExtractionSettings(min_voxels=0, max_candidates=2))

        assert found.tolist() == [0, 0, 0, 0.9, 0, 0, 0.5]

    @pytest.mark.parametrize("small", ["skip", "stop"])
    def test_equals_the_package(self, small):
        """
        Voxel for voxel as report_guided_annotation, with small components skipped or ending it.
        """
        rng = np.random.default_rng(7)
        threshold = {"skip": "dynamic-v2", "stop": "dynamic"}[small]
        for min_voxels in (0, 4, 10, 40):
            for _ in range(10):
                volume = softmax(rng)
                expected, _, _ = extract_lesion_candidates(
                    volume, threshold=threshold, min_voxels_detection=min_voxels
                )
                settings = ExtractionSettings(min_voxels=min_voxels, small_components=small)
                assert np.array_equal(dynamic_lesion_candidates(volume, settings), expected)

    def test_input_is_left_alone(self):
        """
        The softmax is not written to.
        """
        volume = softmax(np.random.default_rng(1))
        volume.flags.writeable = False

        assert dynamic_lesion_candidates(volume).any()

    def test_memory_order_does_not_matter(self):
        """
        A transposed view gives the transposed map.
        """
        volume = softmax(np.random.default_rng(2), shape=(9, 9, 9))

        assert np.array_equal(
            dynamic_lesion_candidates(np.asfortranarray(volume)), dynamic_lesion_candidates(volume)
        )

    @pytest.mark.parametrize("settings", [{"threshold_factor": 0.5}, {"stop_below": 0.0}])
    def test_settings_that_would_not_end(self, settings):
        """
        A threshold above the maximum, or none to stop at.
        """
        with pytest.raises(ValueError, match="threshold_factor must be at least 1 and stop_below above 0"):
            ExtractionSettings(**settings)

    @pytest.mark.shared_data
    @pytest.mark.parametrize(
        ("case", "n_expected", "n_retained"),
        [("ProstateX-0000", 2, 1), ("ProstateX-0003", 2, 0), ("ProstateX-0007", 0, 0)],
    )
    def test_real_softmax(self, case, n_expected, n_retained):
        """
        Candidates of a real network's softmax, voxel for voxel.

        The stored output has as many of the most confident ones as the patient's report mentions.
        """
        if not SOFTMAX.is_dir():
            pytest.skip("the softmax volumes are not part of the project")
        volume, stored = (
            SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(SOFTMAX / folder / f"{case}.nii.gz")))
            for folder in ("input", "output")
        )
        found = dynamic_lesion_candidates(volume)
        candidates = sorted(detection_map_candidates(found), key=lambda each: -each.confidence)
        retained = np.zeros(found.size, dtype=bool)
        for candidate in candidates[:n_retained]:
            retained[candidate.component.voxels] = True

        assert len(candidates) == n_expected
        assert np.array_equal(retained.reshape(found.shape), stored > 0)
        assert np.array_equal(found, extract_lesion_candidates(volume, threshold="dynamic-v2")[0])


class TestSingleThreshold:
    @pytest.mark.parametrize("threshold", [None, 0.1, 0.3])
    def test_equals_the_package(self, threshold):
        """
        Voxel for voxel as report_guided_annotation, with its fast dynamic threshold or a fixed one.
        """
        rng = np.random.default_rng(8)
        for _ in range(10):
            volume = softmax(rng)
            expected, _, _ = extract_lesion_candidates(
                volume, threshold="dynamic-fast" if threshold is None else threshold
            )
            assert np.array_equal(single_threshold_lesion_candidates(volume, threshold), expected)

    def test_nothing(self):
        """
        An empty softmax points at nothing.
        """
        assert not single_threshold_lesion_candidates(np.zeros((4, 4))).any()
