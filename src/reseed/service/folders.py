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
