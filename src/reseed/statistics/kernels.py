"""
The one primitive: the metric of every run under many weightings of the cases.

    kernel.weighted(W)   W: (n_weightings, n_cases), non-negative   ->   (n_weightings, n_runs)

A row of ones is the observed value, ones with a zero a leave-one-out, a multinomial row a bootstrap
replicate; the cases of a patient share their weight. The table's own case weights multiply W.
NaN marks a weighting under which the metric is undefined.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from reseed.statistics.scores import (
        CaseScores,
        FloatArray,
        IntArray,
        RunLayout,
    )

BLOCK = 64  # weightings worked on at once: the working set of 1000 cases stays in the cache


class Kernel(ABC):
    """A metric bound to scores; works through the weightings in blocks of `BLOCK`."""

    block = BLOCK

    def __init__(self, layout: RunLayout) -> None:
        self.layout = layout

    @abstractmethod
    def _weighted(self, Wt: FloatArray) -> FloatArray:
        """Metric under a block of weightings; Wt (n_cases, n_block) -> (n_runs, n_block)."""

    def weighted(self, W: FloatArray) -> FloatArray:
        """
        Metric of every run under every weighting of the cases.

        Parameters
        ----------
        W
            Shape (n_weightings, n_cases), non-negative.

        Returns
        -------
        FloatArray
            Shape (n_weightings, n_runs); NaN where undefined.
        """
        W = np.atleast_2d(W)
        values = np.empty((len(W), self.layout.n_runs))
        weight = self.layout.case_weight[:, None]
        for start in range(0, len(W), self.block):
            rows = slice(start, start + self.block)
            Wt = np.ascontiguousarray(W[rows].T, dtype=np.float64)
            if self.layout.weighted:
                Wt *= weight
            values[rows] = self._weighted(Wt).T
        return values

    def observed(self) -> FloatArray:
        """Metric of every run, shape (n_runs,)."""
        return np.asarray(self.weighted(np.ones((1, self.layout.n_cases)))[0])

    def leave_one_out(self) -> FloatArray:
        """Metric of every run with each patient left out in turn, shape (n_patients, n_runs)."""
        n_patients = self.layout.n_patients
        values = np.empty((n_patients, self.layout.n_runs))
        for start in range(0, n_patients, 8 * self.block):
            patients = np.arange(start, min(start + 8 * self.block, n_patients))
            keep = self.layout.patient_of_case[None, :] != patients[:, None]
            values[patients] = self.weighted(keep.astype(np.float64))
        return values


class MeanKernel(Kernel):
    """Mean of per-case values; an undefined case leaves the numerator and the denominator."""

    block = 1024

    def __init__(self, scores: CaseScores) -> None:
        super().__init__(scores.layout)
        defined = ~np.isnan(scores.score)
        self._values = np.where(defined, scores.score, 0.0)
        self._defined = None if defined.all() else defined.astype(np.float64)

    def _weighted(self, Wt: FloatArray) -> FloatArray:
        total = self._values.T @ Wt
        weight = Wt.sum(axis=0)[None, :] if self._defined is None else self._defined.T @ Wt
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(weight > 0, total / weight, np.nan))


class ArithmeticMeanKernel(Kernel):
    """The arithmetic mean of several metrics of the same scores, such as the PI-CAI ranking score."""

    def __init__(self, parts: list[Kernel]) -> None:
        super().__init__(parts[0].layout)
        self._parts = parts

    def _weighted(self, Wt: FloatArray) -> FloatArray:
        total = self._parts[0]._weighted(Wt)
        for part in self._parts[1:]:
            total = total + part._weighted(Wt)
        return total / len(self._parts)

    def leave_one_out(self) -> FloatArray:
        return np.asarray(np.mean([part.leave_one_out() for part in self._parts], axis=0))


class FunctionKernel(Kernel):
    """Any function f(reference, score, weights) of one run's rows, one call per weighting and run."""

    def __init__(
        self,
        layout: RunLayout,
        function: Callable[..., float],
        runs: list[tuple[IntArray, FloatArray, IntArray | None]],
    ) -> None:
        super().__init__(layout)
        self._function = function
        self._runs = runs

    def _weighted(self, Wt: FloatArray) -> FloatArray:
        values = np.empty((len(self._runs), Wt.shape[1]))
        for j, (case, score, reference) in enumerate(self._runs):
            for b in range(Wt.shape[1]):
                values[j, b] = self._function(reference, score, Wt[case, b])
        return values
