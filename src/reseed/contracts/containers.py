"""
Where things are inside a container: training, inference and evaluation.

Every class takes a root prefix, so that the same code runs as a plain process: with root
/data/attempt-1 the model is at /data/attempt-1/opt/ml/model. In a container the root is /.
Training follows the SageMaker training container contract, inference and evaluation follow Grand
Challenge; docs/contracts.md has the whole of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT_VARIABLE = "RESEED_ROOT"
"""Environment variable with the root prefix; unset in a container."""

TASK_VARIABLE = "RESEED_TASK"
"""Environment variable of the evaluation container: the task, by name or by path of its file."""

MEMBER_VARIABLE = "RESEED_MEMBER"
MEMBERS_VARIABLE = "RESEED_MEMBERS"
MEMBERS_LABEL = "org.reseed.members"
"""Label of an image whose trainings make an ensemble: of how many members. Without it, of one."""

MAX_MEMBERS = 100

REPETITION_VARIABLE = "RESEED_REPETITION"
"""Which of several trainings with equal seeds this is, from 1; absent from the first. No program reads it."""


@dataclass(frozen=True)
class TrainingPaths:
    """The training contract: `preprocess` and `train`."""

    root: Path = Path("/")

    @property
    def hyperparameters(self) -> Path:
        """A flat JSON object; all values are strings."""
        return self.root / "opt/ml/input/config/hyperparameters.json"

    @property
    def input_data_config(self) -> Path:
        """A JSON object with one key per channel."""
        return self.root / "opt/ml/input/config/inputdataconfig.json"

    @property
    def resource_config(self) -> Path:
        """JSON: hosts, and what this one may use."""
        return self.root / "opt/ml/input/config/resourceconfig.json"

    def channel(self, name: str) -> Path:
        """Data of a channel: `training` for preprocess, `preprocessed` for train."""
        return self.root / "opt/ml/input/data" / name

    @property
    def model(self) -> Path:
        """Where `train` leaves weights and run.json."""
        return self.root / "opt/ml/model"

    @property
    def checkpoints(self) -> Path:
        """What an earlier attempt left; resume from it when it is not empty."""
        return self.root / "opt/ml/checkpoints"

    @property
    def failure(self) -> Path:
        """The last words of a failed job."""
        return self.root / "opt/ml/output/failure"

    @property
    def output_data(self) -> Path:
        """What `preprocess` makes; logs and curves of `train`."""
        return self.root / "opt/ml/output/data"


@dataclass(frozen=True)
class InferencePaths:
    """
    The inference contract.

    One case: /input/inputs.json and the files of its sockets, results below /output. Many cases
    (`predict`, ours): /input/<case>/ each laid out like one /input, results below
    /output/<case>/output/, which is how predictions.json's jobs are laid out for evaluation.
    """

    root: Path = Path("/")

    @property
    def input(self) -> Path:
        """Read-only; may be a symlink."""
        return self.root / "input"

    @property
    def output(self) -> Path:
        """Where results go."""
        return self.root / "output"

    @property
    def model(self) -> Path:
        """The model of one run: one folder per ensemble member, member-0 and so on."""
        return self.root / "opt/ml/model"

    @property
    def hyperparameters(self) -> Path:
        """Settings that `predict` reads, as for training; absent on a platform."""
        return self.root / "opt/ml/input/config/hyperparameters.json"


@dataclass(frozen=True)
class SubmissionPaths:
    """A folder of predictions: what evaluation sees as /input, and where `predict` leaves it."""

    folder: Path

    @property
    def predictions(self) -> Path:
        """The jobs of one submission, in no order."""
        return self.folder / "predictions.json"

    def output_of(self, pk: str, relative_path: str) -> Path:
        """One output of one job."""
        return self.folder / pk / "output" / relative_path


@dataclass(frozen=True)
class EvaluationPaths:
    """The evaluation contract."""

    root: Path = Path("/")

    @property
    def submission(self) -> SubmissionPaths:
        """The predictions of one submission; the folder may be a symlink."""
        return SubmissionPaths(self.root / "input")

    @property
    def predictions(self) -> Path:
        """The jobs of one submission, in no order."""
        return self.submission.predictions

    def output_of(self, pk: str, relative_path: str) -> Path:
        """One output of one job."""
        return self.submission.output_of(pk, relative_path)

    @property
    def ground_truth(self) -> Path:
        """The reference standard."""
        return self.root / "opt/ml/input/data/ground_truth"

    @property
    def task(self) -> Path:
        """A task file that overrides the image's own, when it is there."""
        return self.ground_truth / "task.yaml"

    @property
    def metrics(self) -> Path:
        """The result."""
        return self.root / "output/metrics.json"


def member_folder(member: int) -> str:
    """The folder of an ensemble member inside a run's model."""
    return f"member-{member}"
