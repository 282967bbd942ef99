"""MetaImages."""

from __future__ import annotations

import numpy as np
import SimpleITK

from reseed.datasets.metaimage import metaimage_bytes


def test_read_back_by_simpleitk(tmp_path):
    """
    An independent reader finds the voxels, spacing and origin, in the right order of axes.
    """
    volume = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path = tmp_path / "volume.mha"
    path.write_bytes(
        metaimage_bytes(volume, spacing_xyz_mm=(0.5, 1.25, 3.0), origin_xyz_mm=(-101.25, 12.003, 1e4))
    )

    image = SimpleITK.ReadImage(str(path))

    assert (SimpleITK.GetArrayFromImage(image) == volume).all()
    assert image.GetSpacing() == (0.5, 1.25, 3.0)
    assert image.GetOrigin() == (-101.25, 12.003, 10000.0)
    assert image.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
