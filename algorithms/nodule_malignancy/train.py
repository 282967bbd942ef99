"""`train`: one member of the ensemble of one run."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from algorithms.common.checkpoint import Checkpoint
from algorithms.common.determinism import (
    CUBLAS_SETTING,
    CUBLAS_VARIABLE,
    repeatable_computation,
)
from algorithms.common.entry_point import Environment, run_entry_point
from algorithms.common.folds import is_validation_case
from algorithms.common.interruption import StopRequest
from algorithms.common.log import log_event
from algorithms.common.member import member_of, seeds_of
from algorithms.common.report import training_report
from algorithms.common.settings import read_settings
from algorithms.common.torch_report import torch_report
from algorithms.nodule_malignancy.description import manifest
from algorithms.nodule_malignancy.model import Provenance, write_member
from algorithms.nodule_malignancy.preprocessed import Preprocessed, preprocessed_digest, read_preprocessed
from algorithms.nodule_malignancy.resolved import resolved_training
from algorithms.nodule_malignancy.training import Epoch, Training, TrainingCases, TrainingSettings
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
    cases = read_preprocessed(channel, dimension=settings.dimension)
    held_out = is_validation_case(
        member,
        [row.patient for row in cases.cases],
        [row.label for row in cases.cases],
        rng=np.random.default_rng(seeds.split),
    )
    provenance = Provenance(
        settings=settings,
        seeds=seeds,
        member=member,
        computation=computation,
        files=preprocessed_digest(channel),
        validation_cases=tuple(row.case for row, is_out in zip(cases.cases, held_out, strict=True) if is_out),
        n_training_cases=int((~held_out).sum()),
    )
    log_event("training", member=member.index, members=member.n_members, device=computation.device)
    training = Training(
        settings,
        seeds,
        training=_side(cases, ~held_out),
        validation=_side(cases, held_out),
        device=computation.device,
    )
    checkpoint = Checkpoint(paths.checkpoints, document_digest(provenance.as_document()))
    training.run(checkpoint, stop.arrived)
    write_text_atomically(paths.output_data / "training_curve.csv", _curve_text(training.curve))
    _write_times(paths.output_data, started)
    resolved = resolved_training(
        settings, training.network, member=member, n_training_cases=provenance.n_training_cases
    )
    report = training_report(resolved, {**computation.as_document(), **torch_report()}, environment)
    write_member(paths.model, training, provenance, report)


def _side(cases: Preprocessed, chosen: npt.NDArray[np.bool_]) -> TrainingCases:
    labels = np.array([row.label for row in cases.cases], dtype=np.int64)
    return TrainingCases(cases.patches[chosen], labels[chosen])


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
    os.environ.setdefault(CUBLAS_VARIABLE, CUBLAS_SETTING)
    run_entry_point(main, leaves_failure_file=True)
