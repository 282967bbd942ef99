"""The pancreas in CT in two stages: where it is at low resolution, and what it holds in its region."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK

from algorithms.common.cases import Case
from algorithms.common.images import (
    array_of,
    image_like,
    read_volume,
    resampled_to,
    spaced_grid,
    spacing_zyx_mm,
    write_image,
)
from algorithms.common.nnunet.best import LESION_NAMES, lesion_values
from algorithms.common.nnunet.channel import (
    TrainingCase,
    TrainingChannel,
    checked_label_map,
    read_training_channel,
)
from algorithms.common.nnunet.environment import Folders, nnunet_environment
from algorithms.common.nnunet.inference import member_preparation, run_ensemble
from algorithms.common.nnunet.jobs import NetworkPlan
from algorithms.common.nnunet.planning import RawCase, plan_and_preprocess
from algorithms.common.nnunet.prediction import Ensemble, Probabilities
from algorithms.common.nnunet.preprocessed import PreparedCase, write_tables
from algorithms.common.nnunet.scratch import scratch_folder
from algorithms.common.nnunet.settings import PlanSettings, sizes
from reseed.contracts.containers import TrainingPaths
from reseed.contracts.errors import UserError
from reseed.contracts.manifest import SettingValue
from reseed.contracts.sockets import Socket

LOW, REGION = "lowres", "region"
LOW_DATASET, REGION_DATASET = "Dataset001_LowRes", "Dataset002_Region"
GLAND = ("pancreas", "duct", *LESION_NAMES)
"""Names of the labels that together are the pancreas, as far as the training channel has them."""

_RECORDED = ("two_stage", "lowres_spacing", "margin_mm")

Settings = Mapping[str, SettingValue]
Box = tuple[slice, slice, slice]


def structure_values(labels: Mapping[str, int], names: Iterable[str]) -> list[int]:
    """The values of those names that a dataset has, ascending."""
    return sorted(labels[name] for name in names if name in labels)


def check_tumour(labels: Mapping[str, int], lesion: int) -> None:
    """
    Make sure that a tumour is what a task takes for a lesion; a dataset without any is for segmentation.

    Raises
    ------
    UserError
        When a label with the name of a tumour has another value.
    """
    if lesion_values(labels) not in ([], [lesion]):
        found = ", ".join(f"{name} {value}" for name, value in labels.items())
        raise UserError(
            f"a label named {' or '.join(LESION_NAMES)} must have the value {lesion}, which the task of "
            f"pdac_detection takes for a lesion, got {found}"
        )


def networks_of(preparation: Settings) -> tuple[NetworkPlan, ...]:
    """
    The networks of a member; the first stage always learns by Dice and cross-entropy, from random weights.

    Their patches have other sizes, and therefore the networks other layers: no file fits both.
    """
    region = NetworkPlan(REGION, REGION_DATASET)
    if not preparation["two_stage"]:
        return (region,)
    low = NetworkPlan(LOW, LOW_DATASET, {"loss": "dice_ce", "best_by": "dice"}, fine_tuned=False)
    return low, region


def preprocess_pancreas(
    paths: TrainingPaths, settings: Settings, *, n_processes: int, lesion: int | None = None
) -> None:
    """
    From the channel `training` to the preprocessed data of both stages; no seed has a part in it.

    Parameters
    ----------
    paths, settings, n_processes
        Of the job.
    lesion
        The one value that a tumour may have, where tumours are to be found.

    Raises
    ------
    UserError
        When the channel breaks its form or has no label of the pancreas, its tumour has another value, or
        a setting does not fit.
    """
    channel = read_training_channel(paths.channel("training"))
    gland = structure_values(channel.labels, GLAND)
    if not gland:
        wanted, found = " or ".join(GLAND), ", ".join(channel.labels)
        raise UserError(f"the training channel must have a label named {wanted}, got {found}")
    if lesion is not None:
        check_tumour(channel.labels, lesion)
    tumours = lesion_values(channel.labels)
    scratch = scratch_folder(paths)
    folders = Folders(scratch / "raw", paths.output_data, scratch / "results")
    writer = _StageWriter(scratch / "prepared", settings, gland)
    low, region, rows = {}, {}, []
    for each in channel.cases:
        label_map = checked_label_map(each, channel.labels)
        image = read_volume(each.files.images[0], case=each.case)
        if settings["two_stage"]:
            low[each.case] = writer.low(each, image, label_map.image)
        region[each.case] = writer.region(each, image, label_map.image)
        has_tumour = bool(np.isin(label_map.array, tumours).any())
        rows.append(PreparedCase(each.case, each.patient, int(has_tumour)))
    with nnunet_environment(folders, log=scratch.parent / "nnunet.log"):
        for dataset, cases, labels, prefix in (
            (LOW_DATASET, low, {"background": 0, "pancreas": 1}, "lowres_"),
            (REGION_DATASET, region, channel.labels, ""),
        ):
            if cases:
                plan_and_preprocess(
                    dataset, cases, _dataset_json(channel, labels), PlanSettings.of(settings, prefix=prefix),
                    raw=folders.raw, preprocessed=folders.preprocessed, n_processes=n_processes,
                )  # fmt: skip
    write_tables(paths.output_data, rows, {key: settings[key] for key in _RECORDED})
    shutil.rmtree(scratch)


def _dataset_json(channel: TrainingChannel, labels: Mapping[str, int]) -> dict[str, object]:
    return {**channel.dataset_json, "labels": dict(labels), "file_ending": ".mha"}


class _StageWriter:
    """Writes the images of a case as each stage sees them."""

    def __init__(self, folder: Path, settings: Settings, gland: Sequence[int]) -> None:
        self._folder = folder
        self._gland = list(gland)
        self._regions = RegionSettings.of(settings)

    def low(self, case: TrainingCase, image: SimpleITK.Image, labels: SimpleITK.Image) -> RawCase:
        """All of the scan, coarse, with the gland as one label."""
        grid = spaced_grid(image, self._regions.low_spacing)
        gland = image_like(self._mask(labels).astype(np.uint8), labels)
        return self._written(
            f"{case.case}_low", resampled_to(image, grid), resampled_to(gland, grid, nearest=True)
        )

    def region(self, case: TrainingCase, image: SimpleITK.Image, labels: SimpleITK.Image) -> RawCase:
        """The region of the gland with every label; all of the scan where stage one is left out."""
        box = self._regions.box(self._mask(labels), image)
        return self._written(case.case, boxed(image, box), boxed(labels, box))

    def _mask(self, labels: SimpleITK.Image) -> npt.NDArray[np.bool_]:
        return np.isin(SimpleITK.GetArrayViewFromImage(labels), self._gland)

    def _written(self, name: str, image: SimpleITK.Image, labels: SimpleITK.Image) -> RawCase:
        files = RawCase((self._folder / f"{name}_0000.mha",), self._folder / f"{name}.mha")
        write_image(image, files.images[0])
        write_image(labels, files.label)
        return files


@dataclass(frozen=True)
class RegionSettings:
    """
    How stage one sees a scan, and what stage two is given of it.

    Attributes
    ----------
    two_stage
        Whether there is a stage one.
    low_spacing
        Of its voxels in mm (z, y, x).
    margin
        About the gland in mm (z, y, x).
    """

    two_stage: bool
    low_spacing: tuple[float, float, float]
    margin: tuple[float, float, float]

    @classmethod
    def of(cls, settings: Settings) -> RegionSettings:
        """
        From settings, or from what travels with a model.

        Raises
        ------
        UserError
            When one is not three numbers.
        """
        three = {}
        for name in ("lowres_spacing", "margin_mm"):
            values = sizes(str(settings[name]), name=name)
            if values is None or len(values) != 3:
                raise UserError(f"setting {name!r} must be three numbers (z, y, x), got {settings[name]!r}")
            three[name] = (values[0], values[1], values[2])
        return cls(bool(settings["two_stage"]), three["lowres_spacing"], three["margin_mm"])

    def box(self, gland: npt.NDArray[np.bool_], image: SimpleITK.Image) -> Box:
        """
        The region of a gland in an image, cut off at its borders.

        All of the image where there is no stage one, or no gland has been found: a scan whose pancreas
        was missed is still looked at.
        """
        whole = tuple(slice(0, n) for n in gland.shape)
        if not self.two_stage or not gland.any():
            return whole[0], whole[1], whole[2]
        sides = []
        for axis, (margin, step) in enumerate(zip(self.margin, spacing_zyx_mm(image), strict=True)):
            others = tuple(other for other in range(3) if other != axis)
            taken = np.flatnonzero(gland.any(axis=others))
            reach = int(np.ceil(margin / step))
            low, high = int(taken[0]) - reach, int(taken[-1]) + 1 + reach
            sides.append(slice(max(0, low), min(gland.shape[axis], high)))
        return sides[0], sides[1], sides[2]


def boxed(image: SimpleITK.Image, box: Box) -> SimpleITK.Image:
    """The voxels of a box (z, y, x) of an image, where they are in space."""
    sides = box[::-1]
    part: SimpleITK.Image = SimpleITK.RegionOfInterest(
        image, [side.stop - side.start for side in sides], [side.start for side in sides]
    )
    return part


@dataclass(frozen=True, eq=False)
class PancreasModel:
    """Both stages of a run's ensemble."""

    regions: RegionSettings
    low: Ensemble | None
    region: Ensemble

    @classmethod
    def read(cls, model: Path, settings: Settings, *, device: str) -> PancreasModel:
        """
        The members of a run.

        Raises
        ------
        UserError
            When the model is not whole.
        """
        regions = RegionSettings.of(member_preparation(model))
        low = run_ensemble(model, settings, device=device, network=LOW) if regions.two_stage else None
        return cls(regions, low, run_ensemble(model, settings, device=device, network=REGION))

    def looked_at(self, case: Case, source: Socket) -> tuple[SimpleITK.Image, SimpleITK.Image, Probabilities]:
        """The scan of a case, the region of it that stage two was given, and what it says of that."""
        image = read_volume(case.image(source), case=case.name)
        region = boxed(image, self.regions.box(self._gland(image), image))
        return image, region, self.region.probabilities(array_of(region)[None], spacing_zyx_mm(region))

    def gland_labels(self) -> list[int]:
        """Values of the region network that are pancreas."""
        return structure_values(self.region.labels, GLAND)

    def tumour_labels(self) -> list[int]:
        """
        Values of the region network that are a tumour.

        Raises
        ------
        UserError
            When it was trained without.
        """
        values = lesion_values(self.region.labels)
        if not values:
            raise UserError(
                f"detection needs a model that was trained with a label named {' or '.join(LESION_NAMES)}, "
                f"got {', '.join(self.region.labels)}"
            )
        return values

    def _gland(self, image: SimpleITK.Image) -> npt.NDArray[np.bool_]:
        """Where stage one sees the pancreas, on the grid of the scan."""
        if self.low is None:
            return np.ones(image.GetSize()[::-1], dtype=bool)
        coarse = resampled_to(image, spaced_grid(image, self.regions.low_spacing))
        labels = self.low.probabilities(array_of(coarse)[None], spacing_zyx_mm(coarse)).labels()
        on_scan = resampled_to(image_like(labels, coarse), image, nearest=True)
        gland: npt.NDArray[np.bool_] = SimpleITK.GetArrayFromImage(on_scan) > 0
        return gland
