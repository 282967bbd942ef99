"""Named seed streams: one for each source of variation between two retrainings."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from reseed.contracts.model import Contract

Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""A seed that numpy, torch and random all take as it is. Seed 0 is a seed."""


class SeedStream(StrEnum):
    """A source of variation that can be varied while the others are held."""

    WEIGHTS = "weights"
    ORDER = "order"
    AUGMENTATION = "augmentation"
    DROPOUT = "dropout"
    SPLIT = "split"


class VariationSource(StrEnum):
    """What can make two retrainings of a method differ: a seed stream, or nothing but the machine."""

    WEIGHTS = "weights"
    ORDER = "order"
    AUGMENTATION = "augmentation"
    DROPOUT = "dropout"
    SPLIT = "split"
    NONDETERMINISM = "nondeterminism"

    @property
    def stream(self) -> SeedStream | None:
        """The seed stream; None for nondeterminism, which has no seed."""
        return None if self is VariationSource.NONDETERMINISM else SeedStream(self.value)


DEFAULT_VARY = (
    VariationSource.WEIGHTS,
    VariationSource.ORDER,
    VariationSource.AUGMENTATION,
    VariationSource.DROPOUT,
)
"""What differs from run to run unless a study says otherwise: all but the cross-validation split."""


def seed_variable(stream: SeedStream) -> str:
    """The environment variable that carries the seed of a stream."""
    return f"RESEED_SEED_{stream.value.upper()}"


class Seeds(Contract):
    """The seeds of one job, by stream."""

    weights: Seed
    order: Seed
    augmentation: Seed
    dropout: Seed
    split: Seed

    def environment(self) -> dict[str, str]:
        """The variables that hand the seeds to a container, `RESEED_SEED_WEIGHTS` and so on."""
        return {variable: str(getattr(self, stream)) for stream, variable in _VARIABLES.items()}


_VARIABLES = {stream.value: seed_variable(stream) for stream in SeedStream}
