"""Several studies in one file, whose jobs are shared where they are the same."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from reseed.contracts.model import Contract, Name
from reseed.contracts.study import Study


class Collection(Contract):
    """
    A whole file of studies.

    Each study keeps its own folder of results; a job that two of them have in common, such as a
    training that serves two tasks, is done once.
    """

    collection: Name
    title: str = ""
    datasets: dict[str, str] = Field(
        default_factory=dict,
        description="What each dataset is, by its name, for whoever has to bring it.",
    )
    studies: tuple[Study, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        names = [study.study for study in self.studies]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two studies are named {twice!r}")
        unknown = self.datasets.keys() - {study.dataset for study in self.studies}
        if unknown:
            raise ValueError(f"datasets.{min(unknown)} is not the dataset of any study")
        return self
