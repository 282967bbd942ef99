"""dataset.json: what a dataset folder holds, where it comes from, and the digest of every file."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Literal

from pydantic import Field, field_validator

from reseed.contracts.digests import document_digest
from reseed.contracts.model import Contract, Name, Sha256

DATASET_MANIFEST = "dataset.json"


class DatasetManifest(Contract):
    """
    A dataset folder.

    training/ is the channel of that name for `preprocess`; test/cases/<case>/ holds each test case
    as an algorithm meets it under /input; test/reference/ is the ground truth, which only the
    evaluation container sees.
    """

    schema_version: Literal["1.0"] = "1.0"
    dataset: Name
    title: str
    version: str
    tasks: tuple[Name, ...] = Field(min_length=1, description="The tasks whose sockets the cases fill.")
    licence: str
    citation: str
    source: str
    notes: tuple[str, ...] = Field(
        default=(),
        description="What a reader must know: nominal spacing, cases left out, what was not checked.",
    )
    n_training_cases: int = Field(ge=1)
    n_training_patients: int = Field(ge=1)
    n_test_cases: int = Field(ge=1)
    n_test_patients: int = Field(ge=1)
    files: dict[str, Sha256] = Field(description="SHA-256 by POSIX path; all files but dataset.json.")

    @field_validator("files")
    @classmethod
    def _paths_stay_inside(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts:
                raise ValueError(f"file {name!r} lies outside the dataset folder")
        return value

    def digest(self, *prefixes: str) -> str:
        """Digest of the files below some of the folders, or of all; the data half of a job's key."""
        chosen = {name: sha for name, sha in self.files.items() if not prefixes or name.startswith(prefixes)}
        return document_digest(chosen)
