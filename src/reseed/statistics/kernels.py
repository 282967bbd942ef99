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

from reseed.statistics.scores import CASE_ONLY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reseed.statistics.scores import (
        BoolArray,
        CandidateScores,
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


class AveragePrecisionKernel(Kernel):
    """
    Average precision over rows, as a step integral; tied rows enter together.

    Each distinct score adds (recall gained) · (precision there). Rows that were not found (`found`
    False) stay at the bottom of the ranking with precision 0: they lower the recall only. That is the
    PI-CAI definition for lesion candidates pooled across cases, with every candidate carrying its
    case's weight. With all rows found it is the common average precision.
    """

    def __init__(
        self, layout: RunLayout, runs: list[tuple[IntArray, FloatArray, IntArray, BoolArray]]
    ) -> None:
        super().__init__(layout)
        self._runs = [_RankedRun(*run) for run in runs]

    def _weighted(self, Wt: FloatArray) -> FloatArray:
        values = np.empty((len(self._runs), Wt.shape[1]))
        for j, run in enumerate(self._runs):
            values[j] = run.average_precision(Wt)
        return values

    def leave_one_out(self) -> FloatArray:
        """As `Kernel.leave_one_out`, by taking each patient's own rows out of the running totals."""
        layout = self.layout
        return np.stack(
            [
                run.average_precision_without(layout.patient_of_case, layout.case_weight, layout.n_patients)
                for run in self._runs
            ],
            axis=1,
        )


class _RankedRun:
    """One run's rows ranked by falling score, cut into one segment per distinct score of a positive."""

    def __init__(self, case: IntArray, score: FloatArray, reference: IntArray, found: BoolArray) -> None:
        self._missed_case = case[~found & (reference == 1)]
        order = np.argsort(-score[found], kind="stable")
        self._case = case[found][order]
        ranked, hit = score[found][order], reference[found][order] == 1
        self._hit_case = self._case[hit]
        hit_score = ranked[hit]
        first = np.flatnonzero(np.diff(hit_score, prepend=np.inf))  # first hit of each distinct score
        self._first_hit = first
        self._tied_hits = len(first) < len(hit_score)
        self._end = np.searchsorted(-ranked, -hit_score[first], side="right")
        self._case = self._case[: self._end[-1]] if len(first) else self._case[:0]
        self._start = np.concatenate([[0], self._end[:-1]]) if len(first) else self._end

    def average_precision(self, Wt: FloatArray) -> FloatArray:
        w_hit = Wt[self._hit_case]
        lesions = w_hit.sum(axis=0) + Wt[self._missed_case].sum(axis=0)
        if not len(self._hit_case):
            return np.where(lesions > 0, 0.0, np.nan)
        gained = np.add.reduceat(w_hit, self._first_hit, axis=0) if self._tied_hits else w_hit
        ranked = np.add.reduceat(Wt[self._case], self._start, axis=0)
        np.cumsum(ranked, axis=0, out=ranked)
        hits = np.cumsum(gained, axis=0)
        return _step_integral(gained, hits, ranked, lesions)

    def average_precision_without(
        self, patient_of_case: IntArray, case_weight: FloatArray, n_patients: int
    ) -> FloatArray:
        """Average precision with each patient left out in turn, shape (n_patients,)."""
        w_case, w_hit = case_weight[self._case], case_weight[self._hit_case]
        w_missed = case_weight[self._missed_case]
        lesions = w_hit.sum() + w_missed.sum()
        lesions = lesions - np.bincount(patient_of_case[self._hit_case], w_hit, n_patients)
        lesions -= np.bincount(patient_of_case[self._missed_case], w_missed, n_patients)
        lesions[lesions < 1e-9] = 0.0  # what is left of a subtraction
        if not len(self._hit_case):
            return np.where(lesions > 0, 0.0, np.nan)
        n_steps = len(self._first_hit)
        step_of_hit = np.searchsorted(self._first_hit, np.arange(len(self._hit_case)), side="right") - 1
        step_of_case = np.searchsorted(self._end, np.arange(len(self._case)), side="right")
        gained = _left_out_steps(step_of_hit, patient_of_case[self._hit_case], w_hit, (n_steps, n_patients))
        ranked = _left_out_steps(step_of_case, patient_of_case[self._case], w_case, (n_steps, n_patients))
        np.cumsum(ranked, axis=0, out=ranked)
        return _step_integral(gained, np.cumsum(gained, axis=0), ranked, lesions)


def _left_out_steps(
    step: IntArray, patient: IntArray, weight: FloatArray, shape: tuple[int, int]
) -> FloatArray:
    """Weight that each step holds without each patient, shape (n_steps, n_patients)."""
    own = np.bincount(step * shape[1] + patient, weight, shape[0] * shape[1]).reshape(shape)
    return np.asarray(np.bincount(step, weight, shape[0])[:, None] - own)


def _step_integral(
    gained: FloatArray, hits: FloatArray, ranked: FloatArray, lesions: FloatArray
) -> FloatArray:
    """Σ over steps of recall gained times precision; arrays (n_steps, n_block), lesions (n_block,)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(ranked > 0, hits / ranked, 0.0)
        return np.where(lesions > 0, (gained * precision).sum(axis=0) / lesions, np.nan)


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


def auroc_of_cases(scores: CaseScores) -> AurocKernel:
    """AUROC over cases."""
    case, reference = np.arange(scores.layout.n_cases), _reference(scores)
    return AurocKernel(scores.layout, [(case, column, reference) for column in scores.score.T])


def average_precision_of_cases(scores: CaseScores) -> AveragePrecisionKernel:
    """Average precision over cases."""
    case, reference = np.arange(scores.layout.n_cases), _reference(scores)
    found = np.ones(len(case), dtype=bool)
    return AveragePrecisionKernel(
        scores.layout, [(case, column, reference, found) for column in scores.score.T]
    )


def _reference(scores: CaseScores) -> IntArray:
    if scores.reference is None:
        raise ValueError("scores without reference have no classes")
    return scores.reference


def highest_candidates(scores: CandidateScores) -> list[tuple[IntArray, FloatArray, IntArray]]:
    """Each run's cases with their highest candidate (0 where nothing was found), and which hold a lesion."""
    n_cases = scores.layout.n_cases
    runs = []
    for case, score, reference in zip(scores.row_case, scores.row_score, scores.row_reference, strict=True):
        highest, lesion = np.zeros(n_cases), np.zeros(n_cases, dtype=np.int64)
        np.maximum.at(highest, case, np.nan_to_num(score, nan=0.0))
        np.maximum.at(lesion, case, (reference == 1).astype(np.int64))
        runs.append((np.arange(n_cases), highest, lesion))
    return runs


def pooled_candidates(scores: CandidateScores) -> list[tuple[IntArray, FloatArray, IntArray]]:
    """Each run's lesions and false positives pooled across cases, with score 0 where nothing was found."""
    runs = []
    for case, score, reference in zip(scores.row_case, scores.row_score, scores.row_reference, strict=True):
        counts = reference != CASE_ONLY
        runs.append((case[counts], np.nan_to_num(score[counts], nan=0.0), reference[counts]))
    return runs
