"""What is done to the images of a case before nnU-Net sees them, in training and in inference alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import SimpleITK

from algorithms.common.images import centre_crop, centred_grid, paste, resampled_to, same_grid
from reseed.contracts.errors import UserError

Images = Sequence[SimpleITK.Image]


class Preparation(Protocol):
    """From the channels of a case to what the network is given, and back."""

    @property
    def changes_images(self) -> bool:
        """False where the files can be used as they are."""

    def channels(self, images: Images, *, case: str) -> list[SimpleITK.Image]:
        """All channels on one grid."""

    def labels(self, labels: SimpleITK.Image) -> SimpleITK.Image:
        """The label map on that grid."""

    def back(self, image: SimpleITK.Image, first: SimpleITK.Image) -> SimpleITK.Image:
        """A result on the grid of the first channel as it came, 0 where the network did not look."""


@dataclass(frozen=True)
class AsTheyAre:
    """The images as they are; they must lie on one grid."""

    changes_images: bool = False

    def channels(self, images: Images, *, case: str) -> list[SimpleITK.Image]:
        """
        The images themselves.

        Raises
        ------
        UserError
            When they do not lie on one grid.
        """
        for number, image in enumerate(images[1:], start=1):
            if not same_grid(images[0], image):
                raise UserError(
                    f"case {case!r}: image {number} must lie on the grid of image 0, and does not"
                )
        return list(images)

    def labels(self, labels: SimpleITK.Image) -> SimpleITK.Image:
        """The label map itself."""
        return labels

    def back(self, image: SimpleITK.Image, first: SimpleITK.Image) -> SimpleITK.Image:
        """The result itself."""
        del first
        return image


@dataclass(frozen=True)
class CentreCrop:
    """
    Everything on the grid of the first channel, cut to a box about its centre.

    Attributes
    ----------
    size_zyx_mm
        Of the box; None for all of the image. An axis that is shorter is left as it is.
    """

    size_zyx_mm: tuple[float, ...] | None
    changes_images: bool = True

    def channels(self, images: Images, *, case: str) -> list[SimpleITK.Image]:
        """Resampled linearly where a channel lies on another grid, then cut."""
        del case
        first = images[0]
        aligned = [image if same_grid(first, image) else resampled_to(image, first) for image in images]
        return [self.labels(image) for image in aligned]

    def labels(self, labels: SimpleITK.Image) -> SimpleITK.Image:
        """Cut the same way."""
        return labels if self.size_zyx_mm is None else centre_crop(labels, self.size_zyx_mm)

    def back(self, image: SimpleITK.Image, first: SimpleITK.Image) -> SimpleITK.Image:
        """In its place, voxel for voxel."""
        return paste(image, first)


@dataclass(frozen=True)
class FixedGrid:
    """
    Everything resampled to one grid about the centre of the first channel.

    Attributes
    ----------
    size_zyx, spacing_zyx_mm
        Of the grid.
    """

    size_zyx: tuple[int, int, int]
    spacing_zyx_mm: tuple[float, float, float]
    changes_images: bool = True

    def channels(self, images: Images, *, case: str) -> list[SimpleITK.Image]:
        """Linear interpolation; 0 outside a channel."""
        del case
        grid = self._grid(images[0])
        return [resampled_to(image, grid) for image in images]

    def labels(self, labels: SimpleITK.Image) -> SimpleITK.Image:
        """The nearest label."""
        return resampled_to(labels, self._grid(labels), nearest=True)

    def back(self, image: SimpleITK.Image, first: SimpleITK.Image) -> SimpleITK.Image:
        """Linear interpolation."""
        return resampled_to(image, first)

    def _grid(self, image: SimpleITK.Image) -> SimpleITK.Image:
        return centred_grid(image, size_zyx=self.size_zyx, spacing_zyx=self.spacing_zyx_mm)
