"""`train`: one member of the ensemble of one run."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from algorithms.common.checkpoint import Checkpoint
from algorithms.common.determinism import repeatable_computation
from algorithms.common.entry_point import Environment, run_entry_point
from algorithms.common.folds import is_validation_case
from algorithms.common.initial_weights import initial_weights_file
from algorithms.common.interruption import StopRequest
from algorithms.common.log import log_event
from algorithms.common.member import Member, member_of, seeds_of
from algorithms.common.report import training_report
from algorithms.common.settings import read_settings
from algorithms.common.torch_report import torch_report
from algorithms.nodule_malignancy.description import manifest
from algorithms.nodule_malignancy.initial import start_from
from algorithms.nodule_malignancy.model import Provenance, write_member
from algorithms.nodule_malignancy.preprocessed import (
    Preprocessed,
    PreprocessedNodules,
    preprocessed_digest,
    read_preprocessed,
    read_preprocessed_nodules,
)
from algorithms.nodule_malignancy.resolved import resolved_training
from algorithms.nodule_malignancy.schemes import Epoch, Scheme, TrainingCases, drawn_network, scheme_of
from algorithms.nodule_malignancy.settings import TrainingSettings, architecture_of, fold_of
from algorithms.nodule_malignancy.training import Training, autocast_type
from reseed.contracts.containers import TrainingPaths
from reseed.contracts.digests import document_digest
from reseed.contracts.files import write_json_atomically, write_text_atomically

CHANNEL = "preprocessed"


def main(root: Path, environment: Environment) -> None:
    """Train the member that the environment names, from the channel `preprocessed`."""
    stop = StopRequest()
    stop.watch()
    started = datetime.now(UTC)
    paths = TrainingPaths(root)
    settings = TrainingSettings.of(read_settings(paths.hyperparameters, manifest(), "train"))
    member, seeds = member_of(environment), seeds_of(environment)
    computation = repeatable_computation(environment)
    channel = paths.channel(CHANNEL)
    architecture = architecture_of(settings, member)
    cases = _preprocessed(channel, settings)
    held_out = _held_out(cases, fold_of(settings, member), seed=seeds.split)
    network = drawn_network(settings, architecture, seed=seeds.weights)
    path = initial_weights_file(paths, settings.initial_weights)
    initial = None if path is None else start_from(network, path)
    provenance = Provenance(
        settings=settings,
        architecture=architecture,
        initial_weights=initial,
        seeds=seeds,
        member=member,
        computation=computation,
        files=preprocessed_digest(channel),
        validation_cases=tuple(row.case for row, is_out in zip(cases.cases, held_out, strict=True) if is_out),
        n_training_cases=int((~held_out).sum()),
    )
    log_event("training", member=member.index, members=member.n_members, device=computation.device)
    sides = _side(cases, ~held_out), _side(cases, held_out)
    scheme = scheme_of(settings, architecture, *sides, device=computation.device)
    training = Training(
        settings,
        seeds,
        network=network,
        scheme=scheme,
        training=sides[0],
        validation=sides[1],
        device=computation.device,
    )
    checkpoint = Checkpoint(paths.checkpoints, document_digest(provenance.as_document()))
    training.run(checkpoint, stop.arrived)
    write_text_atomically(paths.output_data / "training_curve.csv", _curve_text(training.curve))
    _write_times(paths.output_data, started)
    write_member(paths.model, training, provenance, _report(training, provenance, scheme, environment))


def _report(
    training: Training, provenance: Provenance, scheme: Scheme, environment: Environment
) -> dict[str, Any]:
    """What run.json says beside the provenance: what nobody set, and in what the training ran."""
    settings, computation = provenance.settings, provenance.computation
    resolved = resolved_training(
        settings,
        training.network,
        scheme,
        member=fold_of(settings, provenance.member),
        initial=provenance.initial_weights,
    )
    autocast = settings.precision if autocast_type(settings, computation.device) is not None else None
    return training_report(
        resolved, {**computation.as_document(), **torch_report(autocast=autocast)}, environment
    )


def _preprocessed(channel: Path, settings: TrainingSettings) -> Preprocessed | PreprocessedNodules:
    if settings.sees_ct:
        return read_preprocessed_nodules(channel, patch_voxels=settings.patch_voxels)
    return read_preprocessed(channel, dimension=settings.dimension)


def _held_out(cases: Preprocessed | PreprocessedNodules, fold: Member, *, seed: int) -> npt.NDArray[np.bool_]:
    return is_validation_case(
        fold,
        [row.patient for row in cases.cases],
        [row.label for row in cases.cases],
        rng=np.random.default_rng(seed),
    )


def _side(cases: Preprocessed | PreprocessedNodules, chosen: npt.NDArray[np.bool_]) -> TrainingCases:
    labels = np.array([row.label for row in cases.cases], dtype=np.int64)
    patches = cases.patches if isinstance(cases, Preprocessed) else cases.cubes
    return TrainingCases.chosen(patches, labels, chosen)


def _curve_text(curve: Sequence[Epoch]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [field.name for field in fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in curve)
    return stream.getvalue()


def _write_times(folder: Path, started: datetime) -> None:
    """When this attempt ran: beside the model and not in it, whose bytes are always the same."""
    ended = datetime.now(UTC)
    times = {"started": started.isoformat(), "ended": ended.isoformat()}
    write_json_atomically(folder / "times.json", {**times, "seconds": (ended - started).total_seconds()})


if __name__ == "__main__":
    run_entry_point(main, leaves_failure_file=True)
