"""Where in the data folder each thing lies: the one place that knows the names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID


@dataclass(frozen=True)
class DataFolder:
    """The folder that web and worker processes share."""

    root: Path

    @property
    def unfinished_restore(self) -> Path:
        """Where a backup is unpacked; while it is there, nothing else here counts."""
        return self.root / ".restore"

    def phase(self, pk: UUID) -> Path:
        """The cases, reference and training of a phase that came with a backup."""
        return self.root / "phases" / str(pk)

    @property
    def uploads(self) -> Path:
        """Uploads under way, and finished ones that nobody has taken over yet."""
        return self.root / "uploads"

    def upload(self, pk: UUID) -> Path:
        """The bytes of one upload."""
        return self.uploads / str(pk)

    def image(self, pk: UUID) -> Path:
        """The tarball of an algorithm image."""
        return self.root / "images" / f"{pk}.tar"

    def model(self, pk: UUID) -> Path:
        """The tarball of an algorithm model."""
        return self.root / "models" / f"{pk}.tar.gz"

    def submission(self, pk: UUID) -> Path:
        """What the worker keeps of one submission: runs, predictions, logs."""
        return self.root / "submissions" / str(pk)

    def run(self, submission: UUID, number: int) -> Path:
        """One run of a submission, numbered from 1."""
        return self.submission(submission) / "runs" / str(number)

    def predictions(self, submission: UUID, number: int) -> Path:
        """What the evaluation of a run sees as /input: <case>/output and predictions.json."""
        return self.run(submission, number) / "predictions"

    def case_output(self, submission: UUID, number: int, case: str) -> Path:
        """The outputs of one case, there as a whole once it has succeeded."""
        return self.predictions(submission, number) / case / "output"

    def model_folder(self, submission: UUID, number: int) -> Path:
        """What a run sees as /opt/ml/model: a brought model unpacked, or what its training left."""
        return self.run(submission, number) / "model"

    def trained(self, submission: UUID, number: int, member: str) -> Path:
        """What the training of an ensemble member (`member-<k>`) left: model/ and data/."""
        return self.run(submission, number) / "training" / member

    def preprocessed(self, submission: UUID) -> Path:
        """What `preprocess` made, once for all runs of a submission."""
        return self.submission(submission) / "preprocessed"

    def evaluated(self, submission: UUID, number: int) -> Path:
        """What the evaluation of a run left: metrics.json."""
        return self.run(submission, number) / "evaluation"

    def log(self, submission: UUID, number: int, step: str) -> Path:
        """
        What the program of a step of a run has printed.

        Steps are `preprocess` (of the first run), `train-member-<k>`, `case-<case>` and `evaluate`.
        """
        return self.run(submission, number) / "logs" / f"{step}.log"

    def step(self, submission: UUID, number: int, step: str) -> Path:
        """Where the containers of a step work."""
        return self.run(submission, number) / "steps" / step
