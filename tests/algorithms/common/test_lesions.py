"""Lesion candidates: by hand, against the published package, and against its own results on real scans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from report_guided_annotation import extract_lesion_candidates

from algorithms.common.lesions import lesion_candidates
from reseed.contracts.errors import UserError

SOFTMAX = Path(__file__).resolve().parents[4] / "shared" / "data" / "prostatex_softmax"

RETAINED = [("ProstateX-0000", 1), ("ProstateX-0003", 0), ("ProstateX-0007", 0)]
"""How many candidates of each case its stored output has: as many as the patient's report mentions."""


def smooth_noise(seed):
    """A softmax with several hills, from 0 to 1."""
    from scipy import ndimage

    volume = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(12, 30, 28)), 2)
    return np.clip(volume / volume.max(), 0, 1).astype(np.float32)


def test_by_hand():
    """
    Two hills: each becomes what reaches 40 % of its own top, and has its top as confidence.
    """
    softmax = np.zeros((3, 12, 24), dtype=np.float32)
    softmax[:, 2:6, 2:6] = 0.9
    softmax[:, 2:6, 6] = 0.37
    softmax[:, 2:6, 7] = 0.35
    softmax[:, 6:10, 16:20] = 0.3

    found = lesion_candidates(softmax)

    assert np.array_equal(np.unique(found), np.array([0, 0.3, 0.9], dtype=np.float32))
    assert (found[:, 2:6, 2:7] == np.float32(0.9)).all()
    assert (found[:, 2:6, 7] == 0).all()
    assert (found[:, 6:10, 16:20] == np.float32(0.3)).all()


@pytest.mark.parametrize(("size", "kept"), [((1, 2, 5), False), ((1, 1, 11), True)])
def test_smallest_candidate(size, kept):
    """
    Ten voxels are too few, eleven are not.
    """
    softmax = np.zeros((5, 20, 20), dtype=np.float32)
    softmax[1 : 1 + size[0], 1 : 1 + size[1], 1 : 1 + size[2]] = 0.8

    assert bool(lesion_candidates(softmax).any()) is kept


def test_nothing_below_the_floor():
    """
    A softmax that nowhere reaches .01 has no candidate.
    """
    assert not lesion_candidates(np.full((4, 8, 8), 0.009, dtype=np.float32)).any()


@pytest.mark.parametrize("seed", range(6))
def test_against_the_package(seed):
    """
    The same map as report_guided_annotation's "dynamic-v2", with many candidates that touch.
    """
    softmax = smooth_noise(seed)
    expected, _, _ = extract_lesion_candidates(softmax, threshold="dynamic-v2")

    found = lesion_candidates(softmax)

    assert np.allclose(found, expected)
    assert 0 < len(np.unique(found[found > 0])) <= 5


def test_no_number():
    """
    NaN is refused.
    """
    softmax = np.zeros((2, 4, 4), dtype=np.float32)
    softmax[0, 0, 0] = np.nan

    with pytest.raises(UserError, match="must be finite"):
        lesion_candidates(softmax)


@pytest.mark.shared_data
@pytest.mark.skipif(not SOFTMAX.is_dir(), reason="the softmax volumes are not here")
@pytest.mark.parametrize(("case", "n_retained"), RETAINED)
def test_real_softmax(case, n_retained):
    """
    The softmax of a real network: the most confident candidates are those that the package's authors
    publish, and the whole map is the package's.
    """
    softmax, stored = (
        SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(SOFTMAX / part / f"{case}.nii.gz")))
        for part in ("input", "output")
    )

    found = lesion_candidates(softmax)

    kept = sorted(set(found[found > 0].tolist()), reverse=True)[:n_retained]
    assert np.array_equal(np.isin(found, kept), stored > 0)
    assert np.array_equal(found, extract_lesion_candidates(softmax, threshold="dynamic-v2")[0])
