"""`preprocess`, `train` and `inference` of the nnU-Net algorithms; each folder adds what is its own."""

# nnU-Net's worker processes import the module of `preprocess` again, and with it this one: what only
# `train` and `inference` need is imported by them.

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

from algorithms.common.cases import Case, cases
from algorithms.common.entry_point import Environment, run_entry_point
from algorithms.common.interruption import StopRequest
from algorithms.common.log import log_event
from algorithms.common.settings import read_settings
from reseed.contracts.containers import InferencePaths, TrainingPaths
from reseed.contracts.manifest import AlgorithmManifest, SettingValue

if TYPE_CHECKING:
    from algorithms.common.nnunet.jobs import NetworkPlan

Manifest = Callable[[], AlgorithmManifest]
Settings = Mapping[str, SettingValue]


class Preprocess(Protocol):
    """From the channel `training` to what every retraining starts from."""

    def __call__(self, paths: TrainingPaths, settings: Settings, *, n_processes: int) -> None:
        """With the settings of `preprocess`."""


@dataclass(frozen=True, eq=False)
class Predictor:
    """
    A run's ensemble, ready to predict.

    Attributes
    ----------
    predict
        Writes the outputs of one case.
    n_members
        Of the ensemble.
    """

    predict: Callable[[Case], None]
    n_members: int


class PredictorOf(Protocol):
    """From a trained run to its predictor."""

    def __call__(
        self, model: Path, described: AlgorithmManifest, settings: Settings, *, device: str
    ) -> Predictor:
        """With /opt/ml/model, the algorithm's manifest and the settings of `inference`."""


def run_preprocess(manifest: Manifest, preprocess: Preprocess) -> NoReturn:
    """Read the channel `training`, write what nnU-Net makes of it, and end the process."""

    def main(root: Path, environment: Environment) -> None:
        paths = TrainingPaths(root)
        settings = read_settings(paths.hyperparameters, manifest(), "preprocess")
        preprocess(paths, settings, n_processes=int(environment.get("SM_NUM_CPUS", "1")))

    run_entry_point(main, leaves_failure_file=True)


def run_train(manifest: Manifest, networks_of: Callable[[Settings], tuple[NetworkPlan, ...]]) -> NoReturn:
    """
    Train the member that the environment names, from the channel `preprocessed`, and end the process.

    Parameters
    ----------
    manifest
        Of the algorithm.
    networks_of
        The networks of a member, by how the cases were prepared.
    """
    from algorithms.common.nnunet.jobs import train_member  # noqa: PLC0415 (see above)

    def main(root: Path, environment: Environment) -> None:
        stop = StopRequest()
        stop.watch()
        train_member(root, environment, manifest(), networks_of, stop_requested=stop.arrived)

    run_entry_point(main, leaves_failure_file=True)


def run_inference(manifest: Manifest, predictor_of: PredictorOf) -> NoReturn:
    """Predict every case below /input, one after the other, and end the process."""
    from algorithms.common.determinism import repeatable_computation  # noqa: PLC0415 (see above)

    def main(root: Path, environment: Environment) -> None:
        paths = InferencePaths(root)
        described = manifest()
        settings = read_settings(paths.hyperparameters, described, "inference")
        device = repeatable_computation(environment).device
        predictor = predictor_of(paths.model, described, settings, device=device)
        n_cases = 0
        for case in cases(paths):
            predictor.predict(case)
            n_cases += 1
        log_event("predicted", n_cases=n_cases, members=predictor.n_members, device=device)

    run_entry_point(main, leaves_failure_file=False)
