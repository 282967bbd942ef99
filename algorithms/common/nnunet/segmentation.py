"""One network: from the training channel to preprocessed data, and from a case to probabilities."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import SimpleITK

from algorithms.common.cases import Case
from algorithms.common.images import array_of, image_like, read_volume, spacing_zyx_mm, write_image
from algorithms.common.nnunet.channel import TrainingCase, checked_label_map, read_training_channel
from algorithms.common.nnunet.environment import Folders, nnunet_environment
from algorithms.common.nnunet.jobs import NetworkPlan
from algorithms.common.nnunet.planning import RawCase, plan_and_preprocess
from algorithms.common.nnunet.prediction import Ensemble, Probabilities
from algorithms.common.nnunet.preparation import AsTheyAre, Preparation
from algorithms.common.nnunet.preprocessed import PreparedCase, write_tables
from algorithms.common.nnunet.scratch import scratch_folder
from algorithms.common.nnunet.settings import PlanSettings
from reseed.contracts.containers import TrainingPaths
from reseed.contracts.errors import UserError
from reseed.contracts.manifest import SettingValue
from reseed.contracts.sockets import Socket

DATASET = "Dataset001_Reseed"
AS_THEY_ARE = AsTheyAre()


def preprocess_channel(
    paths: TrainingPaths,
    settings: Mapping[str, SettingValue],
    *,
    n_processes: int,
    preparation: Preparation = AS_THEY_ARE,
    recorded: Mapping[str, SettingValue] = MappingProxyType({}),
    spread_label: int | None = None,
) -> None:
    """
    From the channel `training` to nnU-Net's preprocessed data; no seed has a part in it.

    Parameters
    ----------
    paths, settings, n_processes
        Of the job.
    preparation
        What is done to the images first.
    recorded
        What of the settings inference must know to do the same.
    spread_label
        The only label there may be, of a lesion; cases that have it are spread evenly over the folds.

    Raises
    ------
    UserError
        When the channel breaks its form, or a setting does not fit the data.
    """
    channel = read_training_channel(paths.channel("training"))
    if spread_label is not None and set(channel.labels.values()) != {0, spread_label}:
        raise UserError(
            f"the training channel must have one label beside the background, {spread_label}, got "
            f"{', '.join(f'{name} {value}' for name, value in channel.labels.items())}"
        )
    scratch = scratch_folder(paths)
    folders = Folders(scratch / "raw", paths.output_data, scratch / "results")
    cases: dict[str, RawCase] = {}
    rows = []
    for each in channel.cases:
        label_map = checked_label_map(each, channel.labels)
        cases[each.case] = _prepared(each, label_map.image, scratch / "prepared", preparation)
        is_positive = spread_label is not None and bool((label_map.array == spread_label).any())
        rows.append(PreparedCase(each.case, each.patient, int(is_positive)))
    ending = {"file_ending": ".mha"} if preparation.changes_images else {}
    with nnunet_environment(folders, log=scratch.parent / "nnunet.log"):
        plan_and_preprocess(
            DATASET,
            cases,
            {**channel.dataset_json, **ending},
            PlanSettings.of(settings),
            raw=folders.raw,
            preprocessed=folders.preprocessed,
            n_processes=n_processes,
        )
    write_tables(paths.output_data, rows, recorded)
    shutil.rmtree(scratch)


def networks_of(preparation: Mapping[str, SettingValue]) -> tuple[NetworkPlan, ...]:
    """The one network of a member, however the cases were prepared."""
    del preparation
    return (NetworkPlan(".", DATASET),)


def case_images(case: Case, sources: Sequence[Socket]) -> list[SimpleITK.Image]:
    """
    The images of a case, one for each socket.

    Raises
    ------
    UserError
        When one is missing or is none, naming the case.
    """
    return [read_volume(case.image(source), case=case.name) for source in sources]


def prepared_probabilities(
    images: Sequence[SimpleITK.Image], ensemble: Ensemble, preparation: Preparation, *, case: str
) -> tuple[Probabilities, SimpleITK.Image]:
    """What the ensemble says of a case, and the prepared image on whose grid it says so."""
    channels = preparation.channels(images, case=case)
    stacked = np.stack([array_of(image) for image in channels])
    return ensemble.probabilities(stacked, spacing_zyx_mm(channels[0])), channels[0]


def segment(
    case: Case,
    ensemble: Ensemble,
    sources: Sequence[Socket],
    target: Socket,
    *,
    preparation: Preparation = AS_THEY_ARE,
) -> None:
    """
    Segment a case and write the label map on the grid of its first image.

    Parameters
    ----------
    case, ensemble
        What, and with what.
    sources, target
        Sockets, the sources in the order of the network's channels.
    preparation
        As in preprocessing.
    """
    images = case_images(case, sources)
    probabilities, prepared = prepared_probabilities(images, ensemble, preparation, case=case.name)
    labels = image_like(probabilities.labels(), prepared)
    write_image(preparation.back(labels, images[0]), case.image_output(target))


def _prepared(case: TrainingCase, labels: SimpleITK.Image, folder: Path, preparation: Preparation) -> RawCase:
    """The files of a case, checked; prepared copies where something is done to them."""
    images = [read_volume(path, case=case.case) for path in case.files.images]
    channels = preparation.channels(images, case=case.case)
    if not preparation.changes_images:
        return case.files
    files = RawCase(
        tuple(folder / f"{case.case}_{channel:04}.mha" for channel in range(len(images))),
        folder / f"{case.case}.mha",
    )
    for image, path in zip(channels, files.images, strict=True):
        write_image(image, path)
    write_image(preparation.labels(labels), files.label)
    return files
