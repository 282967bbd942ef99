"""Average precision under case weights: over cases, and over lesion candidates pooled across cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reseed.statistics.kernels import Kernel

if TYPE_CHECKING:
    from reseed.statistics.scores import BoolArray, FloatArray, IntArray, RunLayout


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
        """As `Kernel.leave_one_out`; without case weights by prefix sums, one pass over the rows."""
        if self.layout.weighted:
            return super().leave_one_out()
        patient, n_patients = self.layout.patient_of_case, self.layout.n_patients
        return np.stack([run.average_precision_without(patient, n_patients) for run in self._runs], axis=1)


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
        self._is_hit = hit[: len(self._case)]
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
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = np.where(ranked > 0, hits / ranked, 0.0)
            return np.where(lesions > 0, (gained * precision).sum(axis=0) / lesions, np.nan)

    def average_precision_without(self, patient_of_case: IntArray, n_patients: int) -> FloatArray:
        """
        Average precision with each patient left out in turn, shape (n_patients,), all weights 1.

        Without a patient, step g contributes gained_g · (hits_g - a) / (ranked_g - b), where a and b count
        the patient's own hits and rows so far. Between two of its rows a and b are constant, so prefix
        sums over the steps, one pair for each b, give every patient's sum.
        """
        lesions = np.bincount(patient_of_case[self._hit_case], minlength=n_patients)
        lesions += np.bincount(patient_of_case[self._missed_case], minlength=n_patients)
        left = lesions.sum() - lesions
        if not len(self._hit_case):
            return np.where(left > 0, 0.0, np.nan)
        rows = _OwnRows.of(patient_of_case[self._case], self._is_hit, self._end)
        gained = np.diff(self._first_hit, append=len(self._hit_case)).astype(np.float64)
        hits = np.cumsum(gained)
        own = np.arange(rows.b.max() + 1)[:, None]
        inverse = 1 / np.maximum(self._end - own, 1)  # ranked_g >= b, and hits_g = a where they are equal
        with_hits, alone = _prefix_sums(gained * hits * inverse), _prefix_sums(gained * inverse)
        stretch = with_hits[rows.b, rows.until] - with_hits[rows.b, rows.step]
        stretch -= rows.a * (alone[rows.b, rows.until] - alone[rows.b, rows.step])
        at = rows.last_of_step[rows.hit]
        stretch[rows.hit] -= (hits[rows.step[at]] - rows.a[at]) * inverse[rows.b[at], rows.step[at]]
        total = np.full(n_patients, with_hits[0, -1])
        total[rows.patient[rows.first]] = with_hits[0, rows.step[rows.first]]
        total += np.bincount(rows.patient, stretch, n_patients)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(left > 0, total / left, np.nan)


def _prefix_sums(values: FloatArray) -> FloatArray:
    """Sums of the first 0, 1, … columns, shape (rows, columns + 1)."""
    sums = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=sums[:, 1:])
    return sums


@dataclass(frozen=True)
class _OwnRows:
    """Ranked rows sorted by patient and step, with each patient's running counts of hits (a) and rows (b)."""

    patient: IntArray
    step: IntArray
    hit: BoolArray
    a: IntArray
    b: IntArray
    until: IntArray  # step of the patient's next row, or the number of steps
    first: IntArray  # first row of each patient
    last_of_step: IntArray  # last row of the same patient and step

    @classmethod
    def of(cls, patient: IntArray, hit: BoolArray, end: IntArray) -> _OwnRows:
        """Rows in the order of the ranking; `end` is the number of rows ranked at each step."""
        step = np.searchsorted(end, np.arange(len(patient)), side="right")
        order = np.lexsort((step, patient))
        patient, step, hit = patient[order], step[order], hit[order]
        place = np.arange(len(patient))
        first = np.flatnonzero(np.diff(patient, prepend=-1))
        own_first = np.repeat(first, np.diff(first, append=len(patient)))
        running = np.cumsum(hit.astype(np.int64))
        until = np.append(step[1:], len(end))
        until[np.append(first[1:] - 1, len(patient) - 1)] = len(end)
        ends_step = np.flatnonzero(np.append((np.diff(patient) != 0) | (np.diff(step) != 0), True))
        return cls(
            patient=patient,
            step=step,
            hit=hit,
            a=running - running[own_first] + hit[own_first].astype(np.int64),
            b=place - own_first + 1,
            until=until,
            first=first,
            last_of_step=ends_step[np.searchsorted(ends_step, place)],
        )
