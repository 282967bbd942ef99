"""Designed studies: which run shares which seed with which other."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from reseed.contracts.model import Contract
from reseed.contracts.seeds import VariationSource

Levels = dict[VariationSource, int]
"""The level of each source of the design, counted from 0."""


class DesignKind(StrEnum):
    """How the levels of several sources are combined into runs."""

    CROSSED = "crossed"
    ORTHOGONAL = "orthogonal"
    ONE_AT_A_TIME = "one_at_a_time"


class Design(Contract):
    """
    A designed experiment on the sources of variation between retrainings.

    `crossed`: every level of each source with every level of the others. `orthogonal`: an orthogonal array
    of strength 2, every level of each source with every level of each *one* other; p² runs for up to p + 1
    sources of p levels, p a prime. `one_at_a_time`: a first run, and for each source further runs that
    differ from it in that source alone.

    `nondeterminism` is no seed: its levels are repetitions with equal seeds, of every run; of the first run
    when one source at a time is varied.
    """

    kind: DesignKind
    levels: dict[VariationSource, Annotated[int, Field(ge=2, le=1000)]] = Field(min_length=1)

    @model_validator(mode="after")
    def _array_exists(self) -> Self:
        if self.kind is not DesignKind.ORTHOGONAL:
            return self
        counts = sorted({count for source, count in self.levels.items() if _is_seeded(source)})
        n_sources = sum(map(_is_seeded, self.levels))
        if len(counts) != 1 or not _is_prime(counts[0]):
            raise ValueError(f"an orthogonal design needs one prime number of levels for all, got {counts}")
        if n_sources < 2:
            raise ValueError("an orthogonal design needs two or more sources with seeds, got one")
        if n_sources > counts[0] + 1:
            most = counts[0] + 1
            raise ValueError(
                f"an orthogonal design of {counts[0]} levels has room for {most} sources, got {n_sources}"
            )
        return self

    @property
    def seeded(self) -> tuple[VariationSource, ...]:
        """The sources that have seeds; in one order, however a document lists them."""
        return tuple(source for source in VariationSource if source in self.levels and _is_seeded(source))

    @property
    def n_repetitions(self) -> int:
        """Runs of equal seeds, in every cell or in the first."""
        return self.levels.get(VariationSource.NONDETERMINISM, 1)

    @property
    def n_runs(self) -> int:
        """Runs of each method."""
        counts = [self.levels[source] for source in self.seeded]
        match self.kind:
            case DesignKind.CROSSED:
                return math.prod(counts) * self.n_repetitions
            case DesignKind.ORTHOGONAL:
                return counts[0] ** 2 * self.n_repetitions
            case DesignKind.ONE_AT_A_TIME:
                return self.n_repetitions + sum(count - 1 for count in counts)

    def levels_of(self, run: int) -> Levels:
        """
        The level of every source in a run.

        Repetitions come last: the first runs of a design are the same experiment without them.
        """
        n_cells = self.n_runs - self._n_repeated_runs
        repetition, cell = (0, run) if run < n_cells else divmod(run, n_cells)
        if self.kind is DesignKind.ONE_AT_A_TIME and run >= n_cells:
            repetition, cell = run - n_cells + 1, 0
        levels = {**self._cell(cell), VariationSource.NONDETERMINISM: repetition}
        return {source: levels[source] for source in VariationSource if source in self.levels}

    @property
    def _n_repeated_runs(self) -> int:
        if self.kind is DesignKind.ONE_AT_A_TIME:
            return self.n_repetitions - 1
        return self.n_runs - self.n_runs // self.n_repetitions

    def _cell(self, cell: int) -> Levels:
        seeded = self.seeded
        if self.kind is DesignKind.CROSSED:
            levels = {}
            for source in reversed(seeded):
                cell, levels[source] = divmod(cell, self.levels[source])
            return levels
        if self.kind is DesignKind.ORTHOGONAL:
            p = self.levels[seeded[0]]
            first, second = divmod(cell, p)
            columns = [first, *((second + factor * first) % p for factor in range(p))]
            return dict(zip(seeded, columns, strict=False))
        levels = dict.fromkeys(seeded, 0)
        for source in seeded:
            n_others = self.levels[source] - 1
            if 0 < cell <= n_others:
                return {**levels, source: cell}
            cell -= n_others
        return levels


def _is_seeded(source: VariationSource) -> bool:
    return source is not VariationSource.NONDETERMINISM


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, math.isqrt(number) + 1))
