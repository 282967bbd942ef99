"""How prostate MRI is prepared, from settings that travel with the model."""

from __future__ import annotations

from collections.abc import Mapping

from algorithms.common.nnunet.preparation import CentreCrop, FixedGrid
from algorithms.common.nnunet.settings import sizes
from reseed.contracts.errors import UserError
from reseed.contracts.manifest import SettingValue

Settings = Mapping[str, SettingValue]


def crop_of(settings: Settings) -> CentreCrop:
    """
    Channels on the T2 grid, cut to `crop_mm`.

    Raises
    ------
    UserError
        When the setting is not three numbers or empty.
    """
    size = sizes(str(settings["crop_mm"]), name="crop_mm")
    if size is not None and len(size) != 3:
        raise UserError(f"setting 'crop_mm' must be three numbers (z, y, x), got {settings['crop_mm']!r}")
    return CentreCrop(size)


def grid_of(settings: Settings) -> FixedGrid:
    """
    Channels on `grid` voxels of `grid_spacing` about the centre of T2.

    Raises
    ------
    UserError
        When a setting is not three numbers.
    """
    voxels = sizes(str(settings["grid"]), name="grid")
    spacing = sizes(str(settings["grid_spacing"]), name="grid_spacing")
    if voxels is None or spacing is None or len(voxels) != 3 or len(spacing) != 3:
        raise UserError(
            f"settings 'grid' and 'grid_spacing' must be three numbers (z, y, x) each, got "
            f"{settings['grid']!r} and {settings['grid_spacing']!r}"
        )
    return FixedGrid((int(voxels[0]), int(voxels[1]), int(voxels[2])), (spacing[0], spacing[1], spacing[2]))
