"""Phantoms: the geometry and labels they promise."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK

from reseed.contracts.errors import UserError
from reseed.datasets import KNOWN_DATASETS, build_dataset
from reseed.datasets.images import SourceImage
from reseed.datasets.phantom import (
    PDAC_LABELS,
    PhantomGrid,
    bpmri_phantoms,
    pdac_ct_phantoms,
    structure_phantoms,
)
from reseed.datasets.source_cases import ImageCase


def labelled(case: ImageCase) -> SourceImage:
    """The label map of a case."""
    assert case.labels is not None
    return case.labels


def labels_of(case: ImageCase) -> set[int]:
    """Values of a case's label map."""
    return set(np.unique(SimpleITK.GetArrayFromImage(labelled(case).read())).tolist())


def test_bpmri():
    """
    Every second case has a lesion; diffusion lies on a coarser grid with the same centre.
    """
    t2, diffusion = PhantomGrid((10, 40, 40), (4, 2, 2)), PhantomGrid((10, 20, 20), (4, 4, 4))
    cases = bpmri_phantoms(4, np.random.default_rng(0), t2=t2, diffusion=diffusion)

    assert [labels_of(case) for case in cases] == [{0}, {0, 1}, {0}, {0, 1}]
    images = [source.read() for source in cases[1].channels.values()]
    assert [image.GetSize() for image in images] == [(40, 40, 10), (20, 20, 10), (20, 20, 10)]
    middles = [
        image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])
        for image in images
    ]
    assert np.allclose(middles, 0)


def test_pdac():
    """
    All structures in every case, a tumour in every second.
    """
    cases = pdac_ct_phantoms(2, np.random.default_rng(0), grid=PhantomGrid((24, 60, 70), (6, 4, 4)))

    assert labels_of(cases[0]) == {0, 2, 3, 4, 5, 6}
    assert labels_of(cases[1]) == {0, *PDAC_LABELS}


def test_structures():
    """
    As many bodies as labels, brighter by label.
    """
    (case,) = structure_phantoms(
        1, np.random.default_rng(0), slugs=["a"], grid=PhantomGrid((12, 40, 32), (1, 1, 1)), n_labels=2
    )
    image, labels = (
        SimpleITK.GetArrayFromImage(source.read()) for source in (case.channels["a"], labelled(case))
    )

    means = [image[labels == value].mean() for value in (0, 1, 2)]
    assert means == sorted(means)


def test_named_phantom_everywhere():
    """
    No phantom dataset can be taken for a real one.
    """
    named = [known for name, known in KNOWN_DATASETS.items() if name.startswith("phantom-")]

    assert len(named) == 2
    assert all(known.title.startswith("Phantoms") for known in named)


def test_no_source(tmp_path):
    """
    Phantoms are made of nothing: a folder to build them from is refused, not passed over.
    """
    with pytest.raises(UserError, match=r"'phantom-bpmri' is made from random numbers: it takes no --from"):
        build_dataset("phantom-bpmri", tmp_path / "mine", source=tmp_path, progress=lambda line: None)

    assert not (tmp_path / "mine").exists()
