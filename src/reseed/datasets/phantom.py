"""
Phantoms: images that nobody was scanned for, where no public data are at hand.

They have the geometry, channels and labels of the real thing and nothing of its difficulty. A score on
them says that a pipeline works, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reseed.datasets.images import SourceImage, simpleitk
from reseed.datasets.source_cases import ImageCase

Volume = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]

PDAC_LABELS = {1: "tumour", 2: "veins", 3: "arteries", 4: "pancreas", 5: "duct", 6: "bile_duct"}


@dataclass(frozen=True)
class PhantomGrid:
    """Voxels of a phantom; the middle of the volume is the origin of space."""

    shape_zyx: tuple[int, int, int]
    spacing_zyx_mm: tuple[float, float, float]

    def coordinates_mm(self) -> npt.NDArray[np.float32]:
        """(3, z, y, x): where each voxel is, in mm along z, y and x."""
        axes = [
            (np.arange(n, dtype=np.float32) - (n - 1) / 2) * step
            for n, step in zip(self.shape_zyx, self.spacing_zyx_mm, strict=True)
        ]
        return np.stack(np.meshgrid(*axes, indexing="ij"))

    def image(self, where: str, voxels: npt.NDArray[np.generic]) -> SourceImage:
        """An array as an image on this grid."""

        def read() -> object:
            image = simpleitk().GetImageFromArray(voxels)
            image.SetSpacing([float(step) for step in self.spacing_zyx_mm[::-1]])
            image.SetOrigin(
                [
                    -(n - 1) / 2 * step
                    for n, step in zip(self.shape_zyx[::-1], self.spacing_zyx_mm[::-1], strict=True)
                ]
            )
            return image

        return SourceImage(where, read)


def bpmri_phantoms(
    n_cases: int, rng: np.random.Generator, *, t2: PhantomGrid, diffusion: PhantomGrid
) -> list[ImageCase]:
    """
    Biparametric MRI: a gland in a pelvis; every second case has a lesion (label 1).

    The lesion is dark in T2 and ADC and bright in the high-b image, which lie on a coarser grid.
    """
    cases = []
    for index in range(n_cases):
        name = f"phantom-{index:03}"
        gland = _ellipsoid_of(rng, centre=(0, 0, 0), radii=(18, 20, 24), wobble=3)
        lesion = _ellipsoid_of(rng, centre=tuple(rng.uniform(-8, 8, 3)), radii=(6, 5, 5), wobble=1)
        has_lesion = index % 2 == 1
        channels = {}
        for slug, grid, values in (
            ("transverse-t2-prostate-mri", t2, (300, 500, 250)),
            ("transverse-adc-prostate-mri", diffusion, (900, 1500, 600)),
            ("transverse-hbv-prostate-mri", diffusion, (20, 40, 120)),
        ):
            where = grid.coordinates_mm()
            voxels = np.full(grid.shape_zyx, values[0], dtype=np.float32)
            voxels[gland.holds(where)] = values[1]
            if has_lesion:
                voxels[lesion.holds(where)] = values[2]
            noisy = voxels * rng.normal(1, 0.08, voxels.shape)
            channels[slug] = grid.image(f"{name} {slug}", noisy.clip(1, 4000).astype(np.int16))
        labels = np.zeros(t2.shape_zyx, dtype=np.uint8)
        if has_lesion:
            labels[lesion.holds(t2.coordinates_mm())] = 1
        cases.append(ImageCase(name, name, channels, t2.image(f"{name} labels", labels)))
    return cases


def pdac_ct_phantoms(n_cases: int, rng: np.random.Generator, *, grid: PhantomGrid) -> list[ImageCase]:
    """
    Contrast-enhanced CT of an abdomen with pancreas, vessels and ducts; every second case has a tumour.

    Labels as PDAC_LABELS, the tumour (darker than the gland) on top.
    """
    cases = []
    where = grid.coordinates_mm()
    for index in range(n_cases):
        name = f"phantom-{index:03}"
        middle = rng.uniform(-12, 12, 3)
        voxels = np.full(grid.shape_zyx, -1000, dtype=np.float32)
        voxels[_Ellipsoid((0, 0, 0), (1e4, 110, 160)).holds(where)] = 40
        labels = np.zeros(grid.shape_zyx, dtype=np.uint8)
        along: dict[int, tuple[tuple[float, ...], tuple[float, ...], float]] = {
            4: ((0, 0, 0), (16, 16, 60), 110),
            5: ((0, 0, 0), (4, 4, 50), 20),
            2: ((0, 22, 0), (60, 8, 8), 180),
            3: ((0, 30, 20), (60, 8, 8), 220),
            6: ((14, -14, -40), (25, 6, 6), 10),
        }
        if index % 2 == 1:
            along[1] = ((0, 0, float(rng.uniform(-30, 30))), (14, 14, 14), 60)
        for label, (offset, radii, value) in along.items():
            part = _ellipsoid_of(rng, centre=tuple(middle + offset), radii=radii, wobble=1).holds(where)
            voxels[part], labels[part] = value, label
        noisy = (voxels + rng.normal(0, 12, voxels.shape)).clip(-1024, 3000).astype(np.int16)
        cases.append(
            ImageCase(
                name,
                name,
                {"venous-ct": grid.image(f"{name} CT", noisy)},
                grid.image(f"{name} labels", labels),
            )
        )
    return cases


def structure_phantoms(
    n_cases: int, rng: np.random.Generator, *, slugs: Sequence[str], grid: PhantomGrid, n_labels: int = 1
) -> list[ImageCase]:
    """
    Neighbouring bodies of labels 1 to `n_labels` along y on a darker ground, the same in every channel.

    A body is a third of the volume's length thick along every axis; good for segmentation alone.
    """
    cases = []
    where = grid.coordinates_mm()
    extent = np.array([n * step for n, step in zip(grid.shape_zyx, grid.spacing_zyx_mm, strict=True)])
    for index in range(n_cases):
        name = f"phantom-{index:03}"
        labels = np.zeros(grid.shape_zyx, dtype=np.uint8)
        for label in range(1, n_labels + 1):
            shift = (label - (n_labels + 1) / 2) * extent[1] / (n_labels + 1)
            centre = rng.uniform(-0.05, 0.05, 3) * extent + (0, shift, 0)
            body = _Ellipsoid(tuple(centre), tuple(extent / (4 + n_labels)))
            labels[body.holds(where)] = label
        channels = {}
        for slug in slugs:
            voxels = 100 + 80.0 * labels + rng.normal(0, 10, grid.shape_zyx)
            channels[slug] = grid.image(f"{name} {slug}", voxels.astype(np.int16))
        cases.append(ImageCase(name, name, channels, grid.image(f"{name} labels", labels)))
    return cases


@dataclass(frozen=True)
class _Ellipsoid:
    centre: tuple[float, ...]
    radii: tuple[float, ...]

    def holds(self, where_mm: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Which of the places (3, z, y, x) lie inside."""
        scaled = [
            ((axis - middle) / radius) ** 2
            for axis, middle, radius in zip(where_mm, self.centre, self.radii, strict=True)
        ]
        inside: npt.NDArray[np.bool_] = sum(scaled) <= 1
        return inside


def _ellipsoid_of(
    rng: np.random.Generator, *, centre: Sequence[float], radii: Sequence[float], wobble: float
) -> _Ellipsoid:
    moved = np.asarray(centre) + rng.uniform(-wobble, wobble, 3)
    return _Ellipsoid(tuple(moved), tuple(np.asarray(radii) * rng.uniform(0.85, 1.15, 3)))
