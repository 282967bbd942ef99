"""`preprocess` and `train` of every nnU-Net algorithm; each says which networks it has and from what."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from algorithms.common.checkpoint import Checkpoint
from algorithms.common.determinism import Computation, repeatable_computation
from algorithms.common.entry_point import Environment
from algorithms.common.initial_weights import initial_weights_file
from algorithms.common.log import log_event
from algorithms.common.member import Member, member_of, seeds_of
from algorithms.common.nnunet.environment import Folders, nnunet_environment
from algorithms.common.nnunet.initial import check_initial_weights
from algorithms.common.nnunet.precision import mixed_precision
from algorithms.common.nnunet.preprocessed import (
    PREPARATION,
    file_digests,
    read_cases,
    read_preparation,
    split_cases,
)
from algorithms.common.nnunet.scratch import scratch_folder
from algorithms.common.nnunet.settings import TrainSettings
from algorithms.common.nnunet.stored import write_member_record, write_network
from algorithms.common.nnunet.training import NetworkTask, TrainedNetwork, trained_network
from algorithms.common.report import training_report
from algorithms.common.settings import read_settings
from algorithms.common.torch_report import torch_report
from reseed.contracts.containers import TrainingPaths
from reseed.contracts.digests import document_digest, file_digest
from reseed.contracts.files import write_bytes_atomically, write_json_atomically, write_text_atomically
from reseed.contracts.manifest import AlgorithmManifest, SettingValue
from reseed.contracts.seeds import Seeds

CHANNEL = "preprocessed"
Split = tuple[tuple[str, ...], tuple[str, ...]]
"""Names of the cases to train on, and of those to validate on."""


@dataclass(frozen=True)
class NetworkPlan:
    """
    One of the networks of a member.

    Attributes
    ----------
    folder
        Where its files go below the model folder, "." for a member's only network.
    dataset
        nnU-Net's name of the preprocessed dataset.
    changes
        Settings that differ from the member's.
    fine_tuned
        Whether it starts from the file that `initial_weights` names, which fits one network.
    """

    folder: str
    dataset: str
    changes: Mapping[str, SettingValue] = field(default_factory=dict)
    fine_tuned: bool = True

    def task(self, channel: Path, cases: Split, initial: Path | None) -> NetworkTask:
        """What it is to be trained on, and from."""
        return NetworkTask(self.dataset, channel, *cases, initial=initial if self.fine_tuned else None)


def train_member(
    root: Path,
    environment: Environment,
    manifest: AlgorithmManifest,
    networks_of: Callable[[Mapping[str, SettingValue]], tuple[NetworkPlan, ...]],
    *,
    stop_requested: Callable[[], bool],
) -> None:
    """
    Train the member that the environment names, from the channel `preprocessed`, network by network.

    Parameters
    ----------
    root, environment, manifest
        Of the job.
    networks_of
        The networks of a member, by how the cases were prepared.
    stop_requested
        Asked before each iteration.

    Raises
    ------
    Interrupted, UserError
        As `trained_network`.
    """
    started = datetime.now(UTC)
    paths = TrainingPaths(root)
    given = read_settings(paths.hyperparameters, manifest, "train")
    settings = TrainSettings.of(given)
    member, seeds = member_of(environment), seeds_of(environment)
    computation = repeatable_computation(environment, deterministic=settings.deterministic)
    channel = paths.channel(CHANNEL)
    cases = training, validation = split_cases(read_cases(channel), member, seed=seeds.split)
    initial = initial_weights_file(paths, settings.initial_weights)
    document = _deciding(manifest, given, seeds, member, computation, channel)
    document |= {"n_training_cases": len(training), "validation_cases": list(validation)}
    document["initial_weights"] = None if initial is None else file_digest(initial)
    log_event("training", member=member.index, members=member.n_members, device=computation.device)
    folders = Folders(paths.failure.parent, channel, scratch_folder(paths))
    trained: dict[str, TrainedNetwork] = {}
    log = paths.output_data / "nnunet.log"
    with (
        nnunet_environment(folders, log=log, trains=True, compiled=settings.compiled),
        mixed_precision(settings.precision),
    ):
        networks = [
            (network, network.task(channel, cases, initial), TrainSettings.of({**given, **network.changes}))
            for network in networks_of(read_preparation(channel))
        ]
        for _, task, own in networks:
            check_initial_weights(task, own)
        for network, task, own in networks:
            identity = document_digest({**document, "network": network.folder, **asdict(own)})
            trained[network.folder] = trained_network(
                task,
                own,
                seeds,
                member=member,
                device=computation.device,
                n_workers=_n_workers(own, environment, computation),
                checkpoint=Checkpoint(paths.checkpoints / network.folder, identity),
                stop_requested=stop_requested,
            )
    _write(paths, document, trained, started=started, computation=computation, environment=environment)


def _deciding(
    manifest: AlgorithmManifest,
    given: Mapping[str, SettingValue],
    seeds: Seeds,
    member: Member,
    computation: Computation,
    channel: Path,
) -> dict[str, Any]:
    """All that decides the weights of a member, and so whose checkpoint may be taken up."""
    return {
        "algorithm": manifest.algorithm,
        "algorithm_version": manifest.version,
        # how many processes make the batches changes nothing
        "settings": {key: value for key, value in given.items() if key not in ("workers", "initial_weights")},
        "seeds": seeds.model_dump(mode="json"),
        "member": member.index,
        "members": member.n_members,
        "computation": computation.as_document(),
        "files": file_digests(channel),
    }


def _n_workers(settings: TrainSettings, environment: Environment, computation: Computation) -> int:
    if settings.workers >= 0:
        return settings.workers
    n_cpus = int(environment.get("SM_NUM_CPUS", "1"))
    return max(1, n_cpus - 1) if computation.device == "cuda" else 0


def _write(
    paths: TrainingPaths,
    document: Mapping[str, Any],
    trained: Mapping[str, TrainedNetwork],
    *,
    started: datetime,
    computation: Computation,
    environment: Environment,
) -> None:
    """Curves and times beside the model, the networks, and run.json last."""
    for name, network in trained.items():
        stem = "training_curve" if name == "." else f"training_curve_{name}"
        write_text_atomically(paths.output_data / f"{stem}.csv", _curve_text(network))
        write_network(paths.model / name, network)
    ended = datetime.now(UTC)
    times = {"started": started.isoformat(), "ended": ended.isoformat()}
    write_json_atomically(
        paths.output_data / "times.json", {**times, "seconds": (ended - started).total_seconds()}
    )
    write_bytes_atomically(paths.model / PREPARATION, (paths.channel(CHANNEL) / PREPARATION).read_bytes())
    last = list(trained.values())[-1]
    autocast = str(document["settings"]["precision"]) if computation.device == "cuda" else None
    report = training_report(
        last.resolved, {**computation.as_document(), **torch_report(autocast=autocast)}, environment
    )
    write_member_record(paths.model, {**document, **report}, trained)
    shutil.rmtree(paths.failure.parent / "scratch", ignore_errors=True)


def _curve_text(network: TrainedNetwork) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(network.curve[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(network.curve)
    return stream.getvalue()
