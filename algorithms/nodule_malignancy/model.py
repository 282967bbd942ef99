"""A trained member on disk: weights, and everything that says how they came about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from algorithms.common.arrays import ArrayFile, array_file_bytes, read_array_file
from algorithms.common.determinism import Computation
from algorithms.common.member import Member
from algorithms.nodule_malignancy.description import manifest
from algorithms.nodule_malignancy.network import NoduleNetwork
from algorithms.nodule_malignancy.resolved import BEST_RULE
from algorithms.nodule_malignancy.training import (
    Training,
    TrainingSettings,
    load_network_arrays,
    network_logits,
)
from reseed.contracts.containers import member_folder
from reseed.contracts.digests import file_digest
from reseed.contracts.errors import UserError
from reseed.contracts.files import write_bytes_atomically, write_json_atomically
from reseed.contracts.seeds import Seeds

WEIGHTS = "weights.npz"
RUN = "run.json"


@dataclass(frozen=True)
class Provenance:
    """All that decides the weights of a member, and so whose checkpoint may be taken up."""

    settings: TrainingSettings
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
        "best_rule": BEST_RULE,
        "curve": [asdict(row) for row in training.curve],
        "weights": {WEIGHTS: file_digest(folder / WEIGHTS)},
    }
    write_json_atomically(folder / RUN, record)


@dataclass(frozen=True, eq=False)
class Ensemble:
    """The members of one run."""

    networks: tuple[NoduleNetwork, ...]
    dimension: int
    device: torch.device

    def likelihood(self, patch: npt.NDArray[np.float32]) -> float:
        """Mean of the members' probabilities that the nodule is malignant."""
        logits = [network_logits(network, patch[None], self.device)[0] for network in self.networks]
        # exp(−log(1 + exp(−logit))) is the logistic function without overflow
        return float(np.mean([np.exp(-np.logaddexp(0, -logit)) for logit in logits]))


def read_ensemble(folder: Path, *, device: str) -> Ensemble:
    """
    The members of a run: member-0, member-1 and so on.

    Raises
    ------
    UserError
        When there is none, one is missing, or they do not fit together.
    """
    n_members = len(list(folder.glob(member_folder(0).replace("0", "*"))))
    if n_members == 0:
        raise UserError(f"{folder} must hold the members of a run ({member_folder(0)} and so on), got none")
    records = [_record(folder / member_folder(index)) for index in range(n_members)]
    expected = {int(record["members"]) for record in records}
    if expected != {n_members}:
        raise UserError(f"{folder} must hold all members of one run, {sorted(expected)}, got {n_members}")
    settings = [TrainingSettings(**record["settings"]) for record in records]
    dimensions = sorted({each.dimension for each in settings})
    if len(dimensions) != 1:
        raise UserError(f"{folder}: members must be of one dimension, got {dimensions}")
    networks = tuple(
        _network(folder / member_folder(index), each, device) for index, each in enumerate(settings)
    )
    return Ensemble(networks, dimensions[0], torch.device(device))


def _record(folder: Path) -> dict[str, Any]:
    path = folder / RUN
    if not path.is_file():
        raise UserError(f"{path}: no such file; each member of a run has one")
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    digest = file_digest(folder / WEIGHTS) if (folder / WEIGHTS).is_file() else "no file"
    if record["weights"][WEIGHTS] != digest:
        raise UserError(f"{folder / WEIGHTS}: must have SHA-256 {record['weights'][WEIGHTS]}, got {digest}")
    return record


def _network(folder: Path, settings: TrainingSettings, device: str) -> NoduleNetwork:
    network = settings.network()
    load_network_arrays(network, read_array_file(folder / WEIGHTS).arrays)
    return network.to(device)
