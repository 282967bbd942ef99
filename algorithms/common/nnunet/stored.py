"""A trained member on disk: weights, plans, and everything that says how they came about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from algorithms.common.arrays import ArrayFile, array_file_bytes, read_array_file
from algorithms.common.member_records import RUN, read_member_records
from algorithms.common.nnunet.weights import Arrays
from reseed.contracts.containers import member_folder
from reseed.contracts.digests import file_digest
from reseed.contracts.files import write_bytes_atomically, write_json_atomically

if TYPE_CHECKING:
    from algorithms.common.nnunet.training import TrainedNetwork

_PLANS, _DATASET, _NETWORK = "plans.json", "dataset.json", "network.json"
WEIGHTS = {"best": "weights-best.npz", "final": "weights-final.npz"}


@dataclass(frozen=True)
class StoredNetwork:
    """
    One network of a member; its weights are read when they are asked for.

    Attributes
    ----------
    folder
        Where its files are.
    plans, dataset_json, configuration
        nnU-Net's.
    mirror_axes
        Over which predictions are averaged.
    precision
        Of a GPU's mixed precision, as in its training.
    """

    folder: Path
    plans: dict[str, Any]
    dataset_json: dict[str, Any]
    configuration: str
    mirror_axes: tuple[int, ...] | None
    precision: str

    def arrays(self, weights: str) -> Arrays:
        """The weights of the best or the final epoch."""
        return dict(read_array_file(self.folder / WEIGHTS[weights]).arrays)


def write_network(folder: Path, network: TrainedNetwork) -> None:
    """Write a network's files; repeating a training repeats every byte."""
    for which, arrays in network.weights.items():
        write_bytes_atomically(folder / WEIGHTS[which], array_file_bytes(ArrayFile(arrays)))
    write_json_atomically(folder / _PLANS, network.plans)
    write_json_atomically(folder / _DATASET, network.dataset_json)
    axes = None if network.mirror_axes is None else list(network.mirror_axes)
    own = {"configuration": network.configuration, "mirror_axes": axes, "precision": network.precision}
    write_json_atomically(folder / _NETWORK, own)


def write_member_record(
    folder: Path, document: Mapping[str, Any], networks: Mapping[str, TrainedNetwork]
) -> None:
    """
    Write run.json, last, with the digest of every file beside it.

    Parameters
    ----------
    folder
        /opt/ml/model.
    document
        All that decides the weights.
    networks
        By the subfolder that each has been written to, "." for none.
    """
    described = {
        name: {
            "best_epoch": network.best_epoch,
            "curve": network.curve,
            "initial_weights": None if network.initial is None else {
                "file": network.initial.file, "sha256": network.initial.sha256,
                "n_taken": network.initial.n_taken, "left_random": list(network.initial.left_random),
            },
        }
        for name, network in networks.items()
    }  # fmt: skip
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != RUN)
    record = {
        "schema_version": "1.0",
        **document,
        "networks": described,
        "weights": {path.relative_to(folder).as_posix(): file_digest(path) for path in files},
    }
    write_json_atomically(folder / RUN, record)


def read_members(model: Path, network: str = ".") -> list[StoredNetwork]:
    """
    One network of every member of a run: member-0, member-1 and so on.

    Parameters
    ----------
    model
        /opt/ml/model.
    network
        The subfolder of the network in each member.

    Raises
    ------
    UserError
        When there is none, one is missing, or a file is not what run.json says.
    """
    n_members = len(read_member_records(model))
    return [_network(model / member_folder(index) / network) for index in range(n_members)]


def _network(folder: Path) -> StoredNetwork:
    plans, dataset_json, network = (
        json.loads((folder / name).read_text(encoding="utf-8")) for name in (_PLANS, _DATASET, _NETWORK)
    )
    axes = network["mirror_axes"]
    return StoredNetwork(
        folder,
        plans,
        dataset_json,
        network["configuration"],
        None if axes is None else tuple(axes),
        # members that were trained before it was kept were predicted in torch's default
        network.get("precision", "float16"),
    )
