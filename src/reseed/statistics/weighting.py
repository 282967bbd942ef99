"""Random weightings of the cases: patients drawn with replacement, in blocks of bounded size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reseed.statistics.scores import FloatArray, IntArray, RunLayout

_BLOCK_ELEMENTS = 128_000  # about 1 MiB of weights at a time: counting draws stays in the cache


def bootstrap_weights(
    layout: RunLayout,
    n_replicates: int,
    rng: np.random.Generator,
    *,
    stratum_of_patient: IntArray | None = None,
) -> Iterator[FloatArray]:
    """
    Weights of bootstrap replicates, patients drawn with replacement and their cases with them.

    Parameters
    ----------
    layout
        Cases and their patients.
    n_replicates
        Number of weightings in all.
    rng
        Source of randomness.
    stratum_of_patient
        Shape (n_patients,): patients are drawn within each stratum, which keeps its size.

    Yields
    ------
    FloatArray
        Blocks of shape (n_block, n_cases).
    """
    n = layout.n_patients
    strata = [] if stratum_of_patient is None else _members(stratum_of_patient)
    block = max(1, min(n_replicates, _BLOCK_ELEMENTS // max(n, layout.n_cases)))
    for start in range(0, n_replicates, block):
        rows = min(block, n_replicates - start)
        counts = np.empty((rows, n), dtype=np.int64) if strata else _multinomial_counts(rows, n, rng)
        for members in strata:
            counts[:, members] = _multinomial_counts(rows, len(members), rng)
        yield (counts[:, layout.patient_of_case] if layout.clustered else counts).astype(np.float64)


def _members(stratum_of_patient: IntArray) -> list[IntArray]:
    return [np.flatnonzero(stratum_of_patient == stratum) for stratum in np.unique(stratum_of_patient)]


def _multinomial_counts(rows: int, n: int, rng: np.random.Generator) -> IntArray:
    drawn = rng.integers(0, n, size=(rows, n))
    drawn += np.arange(rows)[:, None] * n
    return np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)


def stratum_of_patients(layout: RunLayout, reference: IntArray) -> IntArray:
    """Class of each patient, shape (n_patients,): 1 if any of its cases is positive, else 0."""
    stratum = np.zeros(layout.n_patients, dtype=np.int64)
    np.maximum.at(stratum, layout.patient_of_case, reference)
    return stratum
