"""Fingerprint, plans and preprocessed arrays: made once, and shared by every retraining."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
from nnunetv2.experiment_planning.experiment_planners.network_topology import get_pool_and_conv_props
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

from algorithms.common.log import log_event
from algorithms.common.nnunet.settings import PlanSettings
from reseed.contracts.errors import UserError
from reseed.contracts.files import write_json_atomically

PLANS = "nnUNetPlans"

Document = dict[str, Any]


@dataclass(frozen=True)
class RawCase:
    """Files of one training case: its channels in order, and its labels."""

    images: tuple[Path, ...]
    label: Path


class CutPlanner(ExperimentPlanner):  # type: ignore[misc]
    """
    nnU-Net's planner with a patch, a batch size and a width that settings may fix.

    Without them its plans are nnU-Net's own.
    """

    def __init__(self, dataset: str, settings: PlanSettings) -> None:
        super().__init__(
            dataset,
            gpu_memory_target_in_gb=settings.gpu_memory_gib,
            plans_name=PLANS,
            overwrite_target_spacing=None if settings.spacing is None else _three(settings.spacing),
        )
        self._settings = settings
        narrower = settings.features / int(self.UNet_base_num_features)
        self.UNet_max_features_3d: int = round(self.UNet_max_features_3d * narrower)
        self.UNet_max_features_2d: int = round(self.UNet_max_features_2d * narrower)
        self.UNet_base_num_features: int = settings.features

    def get_plans_for_configuration(self, spacing: Any, *arguments: Any) -> Document:
        """The plan of one configuration, with the settings' patch and batch size where they fit it."""
        plan: Document = super().get_plans_for_configuration(spacing, *arguments)
        patch = self._settings.patch
        if patch is not None and len(patch) == len(plan["patch_size"]):
            self._set_patch(plan, patch, spacing)
        if self._settings.batch_size:
            plan["batch_size"] = self._settings.batch_size
        return plan

    def _set_patch(self, plan: Document, patch: tuple[int, ...], spacing: Any) -> None:
        """The patch, and the network topology that nnU-Net derives from one."""
        _, strides, kernels, padded, divisors = get_pool_and_conv_props(
            spacing, np.array(patch), self.UNet_featuremap_min_edge_length, 999_999
        )
        if tuple(padded) != patch:
            raise UserError(
                f"setting 'patch' must be divisible by {'x'.join(str(value) for value in divisors)} at this "
                f"spacing, got {'x'.join(str(value) for value in patch)}"
            )
        n_stages = len(strides)
        highest = self.UNet_max_features_2d if len(patch) == 2 else self.UNet_max_features_3d
        plan["patch_size"] = patch
        plan["architecture"]["arch_kwargs"] |= {
            "n_stages": n_stages,
            "strides": strides,
            "kernel_sizes": kernels,
            "features_per_stage": tuple(
                min(highest, self.UNet_base_num_features * 2**stage) for stage in range(n_stages)
            ),
            "n_conv_per_stage": self.UNet_blocks_per_stage_encoder[:n_stages],
            "n_conv_per_stage_decoder": self.UNet_blocks_per_stage_decoder[: n_stages - 1],
        }


def plan_and_preprocess(
    dataset: str,
    cases: Mapping[str, RawCase],
    dataset_json: Document,
    settings: PlanSettings,
    *,
    raw: Path,
    preprocessed: Path,
    n_processes: int,
) -> None:
    """
    Let nnU-Net look at a dataset, plan for it and preprocess it.

    Must run inside `nnunet_environment` with the same folders. Leaves in preprocessed/<dataset> the
    fingerprint, plans of which only the chosen configuration is kept, dataset.json and one array file
    a case. Depends on data and settings only, and so do its bytes.

    Parameters
    ----------
    dataset
        Name as nnU-Net wants it, Dataset001_<something>.
    cases
        By name.
    dataset_json
        nnU-Net's; its list of files is made here.
    settings
        What the planner is told.
    raw, preprocessed
        nnU-Net's folders.
    n_processes
        For the fingerprint.

    Raises
    ------
    UserError
        When the plans lack the configuration that was asked for.
    """
    files = {
        name: {"images": [str(image) for image in case.images], "label": str(case.label)}
        for name, case in sorted(cases.items())
    }
    described = {**dataset_json, "numTraining": len(cases)}
    write_json_atomically(raw / dataset / "dataset.json", {**described, "dataset": files})
    extractor = DatasetFingerprintExtractor(dataset, n_processes)
    extractor.show_progress_bar = False
    extractor.run(overwrite_existing=True)
    folder = preprocessed / dataset
    manager = _planned(dataset, settings, folder)
    # the planner's copy holds paths of this machine
    write_json_atomically(folder / "dataset.json", described)
    configuration = manager.get_configuration(settings.configuration)
    _write_arrays(folder / configuration.data_identifier, files, manager, configuration, described)
    log_event(
        "preprocessed",
        n_cases=len(cases),
        configuration=settings.configuration,
        patch=[int(value) for value in configuration.patch_size],
        spacing=[float(value) for value in configuration.spacing],
        batch_size=int(configuration.batch_size),
    )


def _planned(dataset: str, settings: PlanSettings, folder: Path) -> PlansManager:
    """Plans of the chosen configuration alone, written and read back as every training reads them."""
    plans = CutPlanner(dataset, settings).plan_experiment()
    if settings.configuration not in plans["configurations"]:
        made = ", ".join(plans["configurations"])
        raise UserError(
            f"setting 'configuration' must be one that fits the data ({made}), got {settings.configuration!r}"
        )
    path = folder / f"{PLANS}.json"
    write_json_atomically(path, _only(plans, settings.configuration))
    return PlansManager(json.loads(path.read_text(encoding="utf-8")))


def _write_arrays(
    folder: Path,
    files: Mapping[str, Document],
    manager: PlansManager,
    configuration: ConfigurationManager,
    dataset_json: Document,
) -> None:
    """One array file a case, in place of whatever the folder held."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    preprocessor = configuration.preprocessor_class(verbose=False)
    for name, each in files.items():
        preprocessor.run_case_save(
            str(folder / name), each["images"], each["label"], manager, configuration, dataset_json
        )


def _only(plans: Document, configuration: str) -> Document:
    """Plans with one configuration, which stands on its own."""
    chosen = dict(plans["configurations"][configuration])
    for relative in ("next_stage", "previous_stage"):
        chosen.pop(relative, None)
    return {**plans, "configurations": {configuration: chosen}}


def _three(spacing: Sequence[float]) -> tuple[float, ...]:
    if len(spacing) != 3:
        raise UserError(f"setting 'spacing' must be three numbers (z, y, x), got {len(spacing)}")
    return tuple(spacing)
