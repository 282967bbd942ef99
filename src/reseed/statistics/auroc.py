"""Area under the ROC curve under case weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reseed.statistics.kernels import Kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reseed.statistics.scores import FloatArray, IntArray, RunLayout


class AurocKernel(Kernel):
    """
    Area under the ROC curve over rows, ties counted one half.

    Rows are the cases themselves, or each case's highest lesion candidate, or lesions that carry their
    case's weight. For every run the negatives are sorted once; a weighting then costs one cumulative sum.
    """

    def __init__(self, layout: RunLayout, runs: list[tuple[IntArray, FloatArray, IntArray]]) -> None:
        super().__init__(layout)
        self._runs = [_SortedRun(case, score, reference) for case, score, reference in runs]

    def _weighted(self, Wt: FloatArray) -> FloatArray:
        values = np.empty((len(self._runs), Wt.shape[1]))
        for j, run in enumerate(self._runs):
            values[j] = run.auroc(Wt)
        return values

    def placements(self) -> tuple[FloatArray, FloatArray]:
        """
        Weighted placement sums and within-patient sums of every run.

        Returns
        -------
        sums
            Shape (n_cases, n_runs): Σ over all rows of the other class of w w' ψ, summed over a case's rows.
        within
            Shape (n_patients, n_runs): Σ of w w' ψ over pairs of rows of the same patient.
        """
        of_positive, of_negative = self.placements_by_class()
        within = np.zeros((self.layout.n_patients, len(self._runs)))
        if self.layout.clustered or not self.rows_are_cases:
            for j, run in enumerate(self._runs):
                run.add_within(self.layout, within[:, j])
        return of_positive + of_negative, within

    def placements_by_class(self) -> tuple[FloatArray, FloatArray]:
        """Placement sums of each case's positive and of its negative rows, both (n_cases, n_runs)."""
        of_positive = np.empty((self.layout.n_cases, len(self._runs)))
        of_negative = np.empty_like(of_positive)
        for j, run in enumerate(self._runs):
            of_positive[:, j], of_negative[:, j] = run.placement_sums(self.layout.case_weight)
        return of_positive, of_negative

    @property
    def rows_are_cases(self) -> bool:
        """Whether every case is exactly one row, positive or negative."""
        positive, negative = self.class_weights()
        return bool(((positive + negative) == self.layout.case_weight[:, None]).all())

    def products_of_wins(self) -> FloatArray:
        """Σ over all pairs of rows of ψ_i ψ_j, shape (n_runs, n_runs), one positive at a time in memory."""
        wins_of_run = [run.wins_in_case_order() for run in self._runs]
        products = np.zeros((len(self._runs), len(self._runs)))
        for rows in zip(*wins_of_run, strict=True):
            block = np.stack(rows)
            products += block @ block.T
        return products

    def class_weights(self) -> tuple[FloatArray, FloatArray]:
        """Total weight of each case's positive and negative rows, both (n_cases, n_runs)."""
        positive = np.empty((self.layout.n_cases, len(self._runs)))
        negative = np.empty_like(positive)
        weight, n = self.layout.case_weight, self.layout.n_cases
        for j, run in enumerate(self._runs):
            positive[:, j] = np.bincount(run.positive_case, minlength=n) * weight
            negative[:, j] = np.bincount(run.negative_case, minlength=n) * weight
        return positive, negative

    def leave_one_out(self) -> FloatArray:
        """As `Kernel.leave_one_out`, in closed form from the placements."""
        sums, within = self.placements()
        patient, n_patients = self.layout.patient_of_case, self.layout.n_patients
        positive, negative = self.class_weights()
        total = sums.sum(axis=0) / 2  # every pair is counted once from each side
        left = total - _by_patient(sums, patient, n_patients) + within
        pairs = (positive.sum(axis=0) - _by_patient(positive, patient, n_patients)) * (
            negative.sum(axis=0) - _by_patient(negative, patient, n_patients)
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(pairs > 0, left / pairs, np.nan)


def _by_patient(values: FloatArray, patient: IntArray, n_patients: int) -> FloatArray:
    if n_patients == len(values):
        out = np.empty_like(values)
        out[patient] = values
        return out
    sums = np.zeros((n_patients, values.shape[1]))
    np.add.at(sums, patient, values)
    return sums


class _SortedRun:
    """One run's positives placed among its sorted negatives."""

    def __init__(self, case: IntArray, score: FloatArray, reference: IntArray) -> None:
        positive = reference == 1
        by_score = np.argsort(score[~positive], kind="stable")
        self.negative_case = case[~positive][by_score]
        self.negative_score = score[~positive][by_score]
        by_score = np.argsort(score[positive], kind="stable")
        self.positive_case = case[positive][by_score]
        self.positive_score = score[positive][by_score]
        self._below = np.searchsorted(self.negative_score, self.positive_score, side="left")
        self._not_above = np.searchsorted(self.negative_score, self.positive_score, side="right")
        self._ties = not np.array_equal(self._below, self._not_above)

    def auroc(self, Wt: FloatArray) -> FloatArray:
        w_positive, w_negative = Wt[self.positive_case], Wt[self.negative_case]
        cumulative = np.zeros((len(w_negative) + 1, Wt.shape[1]))
        np.cumsum(w_negative, axis=0, out=cumulative[1:])
        won = cumulative[self._below]
        if self._ties:
            won += cumulative[self._not_above]
            won *= 0.5
        pairs = w_positive.sum(axis=0) * cumulative[-1]
        won *= w_positive
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(pairs > 0, won.sum(axis=0) / pairs, np.nan)

    def placement_sums(self, case_weight: FloatArray) -> tuple[FloatArray, FloatArray]:
        w_positive, w_negative = case_weight[self.positive_case], case_weight[self.negative_case]
        cumulative = np.concatenate([[0.0], np.cumsum(w_negative)])
        of_positive = w_positive * (cumulative[self._below] + cumulative[self._not_above]) / 2
        above = np.concatenate([np.cumsum(w_positive[::-1])[::-1], [0.0]])
        not_below = np.searchsorted(self.positive_score, self.negative_score, side="left")
        strictly = np.searchsorted(self.positive_score, self.negative_score, side="right")
        of_negative = w_negative * (above[not_below] + above[strictly]) / 2
        n = len(case_weight)
        by_case = np.zeros((2, n))
        np.add.at(by_case[0], self.positive_case, of_positive)
        np.add.at(by_case[1], self.negative_case, of_negative)
        return by_case[0], by_case[1]

    def add_within(self, layout: RunLayout, within: FloatArray) -> None:
        """Add Σ w w' ψ over the pairs of rows of one patient, for patients with rows of both classes."""
        patient_p = layout.patient_of_case[self.positive_case]
        patient_n = layout.patient_of_case[self.negative_case]
        for patient in np.intersect1d(patient_p, patient_n):
            p, n = np.flatnonzero(patient_p == patient), np.flatnonzero(patient_n == patient)
            won = _wins(self.positive_score[p], self.negative_score[n])
            w_p, w_n = layout.case_weight[self.positive_case[p]], layout.case_weight[self.negative_case[n]]
            within[patient] += w_p @ won @ w_n

    def wins_in_case_order(self) -> Iterator[FloatArray]:
        """ψ (1, ½ or 0) of one positive after the other against all negatives, in the order of the cases."""
        by_case = np.argsort(self.negative_case, kind="stable")
        negative = self.negative_score[by_case]
        for p in np.argsort(self.positive_case, kind="stable"):
            yield (self.positive_score[p] > negative) + 0.5 * (self.positive_score[p] == negative)


def _wins(positive: FloatArray, negative: FloatArray) -> FloatArray:
    return np.asarray((positive[:, None] > negative) + 0.5 * (positive[:, None] == negative))
