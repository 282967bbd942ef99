"""A trained member on disk: weights, and everything that says how they came about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from algorithms.common.arrays import ArrayFile, array_file_bytes, read_array_file
from algorithms.common.determinism import Computation
from algorithms.common.initial_weights import InitialWeights
from algorithms.common.member import Member
from algorithms.common.member_records import RUN, read_member_records
from algorithms.nodule_malignancy.description import manifest
from algorithms.nodule_malignancy.schemes import view_points
from algorithms.nodule_malignancy.settings import (
    OUTLINES,
    TrainingSettings,
    architecture_of,
    new_network,
)
from algorithms.nodule_malignancy.training import Training, load_network_arrays
from algorithms.nodule_malignancy.views import sampled
from reseed.contracts.containers import member_folder
from reseed.contracts.digests import file_digest
from reseed.contracts.errors import UserError
from reseed.contracts.files import write_bytes_atomically, write_json_atomically
from reseed.contracts.seeds import Seeds

WEIGHTS = "weights.npz"


@dataclass(frozen=True)
class Provenance:
    """All that decides the weights of a member, and so whose checkpoint may be taken up."""

    settings: TrainingSettings
    architecture: str
    initial_weights: InitialWeights | None
    seeds: Seeds
    member: Member
    computation: Computation
    files: Mapping[str, str]
    validation_cases: tuple[str, ...]
    n_training_cases: int

    def as_document(self) -> dict[str, Any]:
        """As run.json carries it, without a time or a path."""
        described = manifest()
        return {
            "algorithm": described.algorithm,
            "algorithm_version": described.version,
            "settings": asdict(self.settings),
            "architecture": self.architecture,
            "initial_weights": None if self.initial_weights is None else asdict(self.initial_weights),
            "seeds": self.seeds.model_dump(mode="json"),
            "member": self.member.index,
            "members": self.member.n_members,
            "computation": self.computation.as_document(),
            "files": dict(self.files),
            "n_training_cases": self.n_training_cases,
            "validation_cases": list(self.validation_cases),
        }


def write_member(folder: Path, training: Training, provenance: Provenance, report: Mapping[str, Any]) -> None:
    """
    Write the weights of the best epoch and, last, run.json with what `training_report` gave.

    Repeating a training repeats every byte of the folder.
    """
    write_bytes_atomically(folder / WEIGHTS, array_file_bytes(ArrayFile(training.best_weights)))
    best = training.best_epoch
    record = {
        "schema_version": "1.0",
        **provenance.as_document(),
        **report,
        "best_epoch": None if best is None else best.epoch,
        "best_rule": training.best_rule,
        "curve": [asdict(row) for row in training.curve],
        "weights": {WEIGHTS: file_digest(folder / WEIGHTS)},
    }
    write_json_atomically(folder / RUN, record)


@dataclass(frozen=True)
class Ensemble:
    """
    The members of one run, on disk: one network is in memory at a time.

    Parameters
    ----------
    folder
        With member-0, member-1 and so on.
    records
        run.json of each.
    device
        Where to compute.
    """

    folder: Path
    records: tuple[Mapping[str, Any], ...]
    device: str

    @property
    def settings(self) -> TrainingSettings:
        """What all members have in common: what they look at."""
        return TrainingSettings(**self.records[0]["settings"])

    @property
    def dimension(self) -> int:
        """Of patches of outlines."""
        return self.settings.dimension

    @torch.no_grad()
    def likelihoods(self, patches: Sequence[npt.NDArray[Any]]) -> list[float]:
        """
        For each patch the mean of the members' probabilities that the nodule is malignant.

        Every patch is computed alone, so that it gets the same bits in whatever company.

        Parameters
        ----------
        patches
            Patches of outlines, or cubes of CT.
        """
        probabilities = np.empty((len(patches), len(self.records)))
        for index in range(len(self.records)):
            network = self._network(index)
            network.eval()
            views = self._views(index)
            for row, patch in enumerate(patches):
                logit = network(views(patch)).double().cpu().numpy()[0]
                # exp(−log(1 + exp(−logit))) is the logistic function without overflow
                probabilities[row, index] = np.exp(-np.logaddexp(0, -logit))
            del network
        return [float(np.mean(row)) for row in probabilities]

    def likelihood(self, patch: npt.NDArray[Any]) -> float:
        """Of one patch."""
        return self.likelihoods([patch])[0]

    def _architecture(self, index: int) -> str:
        record = self.records[index]
        member = Member(int(record["member"]), int(record["members"]))
        return architecture_of(TrainingSettings(**record["settings"]), member)

    def _views(self, index: int) -> Callable[[npt.NDArray[Any]], torch.Tensor]:
        """From a patch to what a member's network sees, as a batch of one."""
        device = torch.device(self.device)
        architecture = self._architecture(index)
        if architecture == OUTLINES:
            return lambda patch: torch.from_numpy(patch[None]).to(device)
        points = view_points(architecture, self.settings.patch_voxels)
        return lambda cube: sampled(cube[None], points, None, device)

    def _network(self, index: int) -> nn.Module:
        settings = TrainingSettings(**self.records[index]["settings"])
        with torch.random.fork_rng(devices=[]):
            network = new_network(settings, self._architecture(index))
        load_network_arrays(network, read_array_file(self.folder / member_folder(index) / WEIGHTS).arrays)
        return network.to(self.device)


def read_ensemble(folder: Path, *, device: str) -> Ensemble:
    """
    The members of a run: member-0, member-1 and so on.

    Raises
    ------
    UserError
        When there is none, one is missing, or they do not fit together.
    """
    records = read_member_records(folder)
    settings = [TrainingSettings(**record["settings"]) for record in records]
    for what, found in (
        ("dimension", {each.dimension for each in settings}),
        ("network", {each.network for each in settings}),
        ("patch_voxels", {each.patch_voxels for each in settings}),
    ):
        if len(found) != 1:
            raise UserError(f"{folder}: members must be of one {what}, got {sorted(map(str, found))}")
    return Ensemble(folder, tuple(records), device)
