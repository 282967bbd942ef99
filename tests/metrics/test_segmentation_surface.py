"""Surface metrics against hand-worked masks, surface-distance, brute force and SimpleITK."""

import math
import warnings

import numpy as np
import pytest
import SimpleITK
import surface_distance
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.distance import cdist

from reseed.metrics.masks import checked_spacing
from reseed.metrics.segmentation_surface import (
    average_symmetric_surface_distance,
    hausdorff_distance,
    hausdorff_distance_95,
    mean_average_surface_distance,
    normalised_surface_distance,
    surface_distances,
    surface_distances_by_label,
)
from reseed.metrics.surface_elements import boundary
from tests.metrics.mask_pairs import blobs, mask_pairs

DISTANCES = [
    hausdorff_distance,
    hausdorff_distance_95,
    mean_average_surface_distance,
    average_symmetric_surface_distance,
]
DEFINITIONS = ["surface_elements", "surface_voxels"]


def box(*sides, shape=(4, 4, 4)):
    """A mask with one box in it."""
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(*side) for side in sides)] = True
    return mask


def peer(reference, prediction, spacing):
    """The same distances by the package surface-distance, which uses SciPy's old module names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return surface_distance.compute_surface_distances(reference, prediction, spacing)


def brute_force_voxels(reference, prediction, spacing):
    """Distances between all surface voxels, by erosion and a full table of distances."""
    places = []
    for mask in (reference, prediction):
        eroded = ndimage.binary_erosion(mask, border_value=0)
        places.append(np.argwhere(mask & ~eroded) * np.array(spacing))
    table = cdist(*places)
    return table.min(axis=1), table.min(axis=0)


class TestHandWorked:
    def test_two_voxels_three_steps_apart(self):
        """
        Single voxels: each has 8 corners; every distance is 3 steps of 2 mm along one axis.
        """
        distances = surface_distances(
            box((0, 1), (1, 2), (1, 2)), box((3, 4), (1, 2), (1, 2)), (2.0, 1.0, 1.0)
        )

        # four corners of each are at 2 steps, four at 4 steps; all have the same area
        assert distances.from_reference_mm.tolist() == [4, 4, 4, 4, 6, 6, 6, 6]
        assert hausdorff_distance(distances) == 6
        assert hausdorff_distance(distances, 50) == 4
        assert mean_average_surface_distance(distances) == pytest.approx(5)
        assert average_symmetric_surface_distance(distances) == pytest.approx(5)
        assert normalised_surface_distance(distances, 4) == pytest.approx(0.5)
        assert normalised_surface_distance(distances, 3.99) == 0

    def test_two_voxels_by_surface_voxels(self):
        """
        The same pair by voxel centres: one distance of 3 steps of 2 mm.
        """
        distances = surface_distances(
            box((0, 1), (1, 2), (1, 2)),
            box((3, 4), (1, 2), (1, 2)),
            (2.0, 1.0, 1.0),
            definition="surface_voxels",
        )

        assert distances.from_reference_mm.tolist() == [6]
        assert [metric(distances) for metric in DISTANCES] == [6, 6, 6, 6]
        assert normalised_surface_distance(distances, 6) == 1

    def test_area_of_a_single_voxel(self):
        """
        Marching cubes makes an octahedron of half a step: 8 triangles, each of area √3 / 8.
        """
        distances = surface_distances(box((1, 2), (1, 2), (1, 2)), box((1, 2), (1, 2), (1, 2)), (1, 1, 1))

        assert distances.reference_weight.sum() == pytest.approx(8 * math.sqrt(3) / 8)

    def test_contour_of_a_rectangle(self):
        """
        2×3 pixels of 1×2 mm: sides through the pixel centres and four cut corners.
        """
        mask = box((1, 3), (1, 4), shape=(4, 5))
        weight = surface_distances(mask, mask, (1.0, 2.0)).reference_weight

        # between centres: 1 step down on two sides, 2 steps of 2 mm across on two sides
        assert weight.sum() == pytest.approx(2 * 1 * 1 + 2 * 2 * 2 + 4 * math.hypot(0.5, 1.0))

    def test_surface_voxels_of_a_cube(self):
        """
        Of 3×3×3 voxels all but the middle one have a face outside; at the rim of the grid as well.
        """
        whole = np.ones((3, 3, 3), dtype=bool)
        elements = boundary(whole, (1, 1, 1), "surface_voxels")

        assert len(elements.index) == 26
        assert [1, 1, 1] not in elements.index.tolist()

    def test_interpolated_percentile_of_voxels(self):
        """
        Voxel distances 0, 1, 2, 3 one way: the 95th percentile lies .85 of the way from 2 to 3.
        """
        reference, prediction = box((0, 4), shape=(4,)), box((0, 1), shape=(4,))
        line = surface_distances(
            np.stack([reference] * 2), np.stack([prediction] * 2), (1, 1), definition="surface_voxels"
        )

        assert sorted(set(line.from_reference_mm)) == [0, 1, 2, 3]
        assert hausdorff_distance_95(line) == pytest.approx(np.percentile([0, 0, 1, 1, 2, 2, 3, 3], 95))


class TestUndefined:
    @pytest.mark.parametrize("definition", DEFINITIONS)
    def test_empty_masks(self, definition):
        """
        No distance to nothing: NaN. The share of surfaces within a tolerance is 0 when one is empty.
        """
        empty, full = np.zeros((3, 3, 3), dtype=bool), np.ones((3, 3, 3), dtype=bool)

        for pair, share in (((empty, empty), math.nan), ((empty, full), 0), ((full, empty), 0)):
            distances = surface_distances(*pair, (1, 1, 1), definition=definition)
            assert all(math.isnan(metric(distances)) for metric in DISTANCES)
            assert normalised_surface_distance(distances, 1) == pytest.approx(share, nan_ok=True)

    @pytest.mark.parametrize(
        ("call", "rule"),
        [
            (lambda mask: surface_distances(mask, mask, (1, 1)), "spacing_mm must be 3 positive"),
            (lambda mask: surface_distances(mask, mask[:1], (1, 1, 1)), "on one grid"),
            (lambda mask: surface_distances(mask, mask, (1, 1, 1), definition="x"), "boundary must be"),  # type: ignore[arg-type]
            (lambda mask: surface_distances(mask[None], mask[None], (1, 1, 1, 1)), "need 2 or 3 dimensions"),
            (
                lambda mask: normalised_surface_distance(surface_distances(mask, mask, (1, 1, 1)), -1),
                "must not be negative",
            ),
            (lambda mask: hausdorff_distance(surface_distances(mask, mask, (1, 1, 1)), 101), "from 0 to 100"),
        ],
    )
    def test_refusals(self, call, rule):
        """
        The rule is named.
        """
        with pytest.raises(ValueError, match=rule):
            call(np.ones((2, 2, 2), dtype=bool))


class TestSurfaceDistancePackage:
    """Equal to the package surface-distance, where its metrics are defined."""

    def check(self, reference, prediction, spacing):
        """All metrics of one pair, to 1e-9."""
        ours, theirs = surface_distances(reference, prediction, spacing), peer(reference, prediction, spacing)
        for percentile in (100, 95, 50):
            assert hausdorff_distance(ours, percentile) == pytest.approx(
                surface_distance.compute_robust_hausdorff(theirs, percentile), abs=1e-9
            )
        for tolerance in (0.0, min(spacing), 1.0, 2.5):
            assert normalised_surface_distance(ours, tolerance) == pytest.approx(
                surface_distance.compute_surface_dice_at_tolerance(theirs, tolerance), abs=1e-9
            )
        averages = surface_distance.compute_average_surface_distance(theirs)
        assert mean_average_surface_distance(ours) == pytest.approx(sum(averages) / 2, abs=1e-9)
        total = theirs["surfel_areas_gt"].sum() + theirs["surfel_areas_pred"].sum()
        pooled = (
            averages[0] * theirs["surfel_areas_gt"].sum() + averages[1] * theirs["surfel_areas_pred"].sum()
        ) / total
        assert average_symmetric_surface_distance(ours) == pytest.approx(pooled, abs=1e-9)

    def test_200_multi_label_maps(self):
        """
        200 random pairs of label maps with three labels and anisotropic spacing.
        """
        rng = np.random.default_rng(20)
        n_checked = 0
        for _ in range(200):
            shape = tuple(rng.integers(4, 14, size=3))
            spacing = tuple(rng.choice([0.4, 0.78125, 1.0, 1.25, 3.0, 3.6], size=3))
            reference, prediction = blobs(rng, shape, 3), blobs(rng, shape, 3)
            for label in (1, 2, 3):
                if (reference == label).any() and (prediction == label).any():
                    self.check(reference == label, prediction == label, spacing)
                    n_checked += 1
        assert n_checked > 400

    def test_flat_masks(self):
        """
        Contours in two dimensions.
        """
        rng = np.random.default_rng(21)
        for _ in range(60):
            reference, prediction = blobs(rng, (14, 11), 1) > 0, blobs(rng, (14, 11), 1) > 0
            self.check(reference, prediction, (0.7, 2.0))

    @given(mask_pairs())
    def test_any_masks(self, drawn):
        """
        Noise has every pattern of 2×2×2 voxels.
        """
        reference, prediction, spacing = drawn
        if reference.any() and prediction.any():
            self.check(reference, prediction, spacing)


class TestBruteForce:
    @given(mask_pairs())
    def test_surface_voxels(self, drawn):
        """
        All pairs of surface voxels, found by erosion, in a full table.
        """
        reference, prediction, spacing = drawn
        if not (reference.any() and prediction.any()):
            return
        forth, back = brute_force_voxels(reference, prediction, spacing)
        distances = surface_distances(reference, prediction, spacing, definition="surface_voxels")

        assert distances.from_reference_mm == pytest.approx(np.sort(forth), abs=1e-9)
        assert hausdorff_distance(distances) == pytest.approx(max(forth.max(), back.max()), abs=1e-9)
        assert hausdorff_distance_95(distances) == pytest.approx(
            max(np.percentile(forth, 95), np.percentile(back, 95)), abs=1e-9
        )
        assert mean_average_surface_distance(distances) == pytest.approx((forth.mean() + back.mean()) / 2)
        assert average_symmetric_surface_distance(distances) == pytest.approx(np.r_[forth, back].mean())

    def test_simpleitk_where_definitions_agree(self):
        """
        Between two boxes side by side the Hausdorff distance of sets is that of their surfaces.
        """
        reference, prediction = (
            box((0, 3), (1, 4), (0, 2), shape=(5, 6, 9)),
            box((2, 5), (3, 6), (5, 9), shape=(5, 6, 9)),
        )
        images = [SimpleITK.GetImageFromArray(mask.astype(np.uint8)) for mask in (reference, prediction)]
        for image in images:
            image.SetSpacing((0.5, 1.5, 3.0))  # x, y, z
        measured = SimpleITK.HausdorffDistanceImageFilter()
        measured.Execute(*images)
        ours = surface_distances(reference, prediction, (3.0, 1.5, 0.5), definition="surface_voxels")

        assert hausdorff_distance(ours) == pytest.approx(measured.GetHausdorffDistance(), abs=1e-9)


@pytest.mark.parametrize("definition", DEFINITIONS)
class TestInvariants:
    @settings(max_examples=40)
    @given(drawn=mask_pairs())
    def test_symmetry(self, definition, drawn):
        """
        No metric knows which mask is the reference.
        """
        reference, prediction, spacing = drawn
        there = surface_distances(reference, prediction, spacing, definition=definition)
        back = surface_distances(prediction, reference, spacing, definition=definition)

        for metric in DISTANCES:
            assert metric(there) == pytest.approx(metric(back), abs=1e-9, nan_ok=True)
        assert normalised_surface_distance(there, 1) == pytest.approx(
            normalised_surface_distance(back, 1), nan_ok=True
        )

    @settings(max_examples=40)
    @given(drawn=mask_pairs())
    def test_itself(self, definition, drawn):
        """
        A mask is at no distance from itself.
        """
        mask, _, spacing = drawn
        if mask.any():
            distances = surface_distances(mask, mask, spacing, definition=definition)
            assert [metric(distances) for metric in DISTANCES] == [0, 0, 0, 0]
            assert normalised_surface_distance(distances, 0) == 1

    @settings(max_examples=40)
    @given(drawn=mask_pairs(), scale=st.sampled_from([0.5, 2.0, 4.0]))
    def test_scale(self, definition, drawn, scale):
        """
        Distances are in mm: twice the spacing is twice the distance.
        """
        reference, prediction, spacing = drawn
        one = surface_distances(reference, prediction, spacing, definition=definition)
        larger = tuple(step * scale for step in spacing)
        other = surface_distances(reference, prediction, larger, definition=definition)

        for metric in DISTANCES:
            assert metric(other) == pytest.approx(scale * metric(one), nan_ok=True)
        assert normalised_surface_distance(other, scale) == pytest.approx(
            normalised_surface_distance(one, 1.0), nan_ok=True
        )

    @settings(max_examples=40)
    @given(drawn=mask_pairs())
    def test_margin_does_not_matter(self, definition, drawn):
        """
        Outside the grid is background: more of it changes nothing.
        """
        reference, prediction, spacing = drawn
        one = surface_distances(reference, prediction, spacing, definition=definition)
        other = surface_distances(np.pad(reference, 2), np.pad(prediction, 2), spacing, definition=definition)

        assert other.from_reference_mm == pytest.approx(one.from_reference_mm)
        assert other.prediction_weight == pytest.approx(one.prediction_weight)

    @settings(max_examples=40)
    @given(drawn=mask_pairs(), order=st.permutations([0, 1, 2]))
    def test_axes_may_be_swapped_with_their_spacing(self, definition, drawn, order):
        """
        Spacing belongs to its axis.
        """
        reference, prediction, spacing = drawn
        one = surface_distances(reference, prediction, spacing, definition=definition)
        swapped = tuple(spacing[axis] for axis in order)
        other = surface_distances(
            reference.transpose(order), prediction.transpose(order), swapped, definition=definition
        )

        assert hausdorff_distance(other) == pytest.approx(hausdorff_distance(one), nan_ok=True)
        assert mean_average_surface_distance(other) == pytest.approx(
            mean_average_surface_distance(one), abs=1e-9, nan_ok=True
        )


class TestByLabel:
    def test_equals_one_label_at_a_time(self):
        """
        A label that is absent on both sides has no surface.
        """
        rng = np.random.default_rng(4)
        reference, prediction = blobs(rng, (9, 8, 7), 2), blobs(rng, (9, 8, 7), 2)
        spacing = checked_spacing((1, 2, 0.5), 3)

        found = surface_distances_by_label(reference, prediction, [2, 1, 7], spacing)

        assert list(found) == [2, 1, 7]
        assert not found[7].are_defined
        assert hausdorff_distance(found[1]) == hausdorff_distance(
            surface_distances(reference == 1, prediction == 1, spacing)
        )
