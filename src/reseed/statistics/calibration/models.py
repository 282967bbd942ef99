"""
Scores of runs drawn from models in which the truth is known.

Latent scores after Roe and Metz 1997 (Acad Radiol 4:298), for runs nested in methods: a case effect shared by
all, method × case, run × case, and a run effect for each class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.special import expit, ndtri

from reseed.statistics.scores import CandidateScores, CaseScores, Scores, layout_of_counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reseed.statistics.scores import FloatArray, IntArray, RunLayout


class ScoreModel(Protocol):
    """Draws the scores of one study; `difference` is the true difference of method A minus the others."""

    @property
    def difference(self) -> float: ...

    def draw(self, run_counts: Sequence[int], rng: np.random.Generator) -> Scores:
        """Scores of methods with so many runs each, on fresh cases."""
        ...


@dataclass(frozen=True)
class LatentModel:
    """
    Case scores for AUROC and AP: unit latent variance per class, split into the components.

    Parameters
    ----------
    n_positive, n_negative
        Cases of each class.
    auroc
        Expected AUROC of one run of every method but the first.
    run, run_case, method_case
        Variance components; the case effect has the rest of 1.
    difference
        Expected AUROC of the first method minus that of the others.
    run_ratio
        The first method's run variance over that of the others.
    n_levels
        Scores are cut into so many equal-width ratings; 0 leaves them continuous.
    """

    n_positive: int
    n_negative: int
    auroc: float
    run: float
    run_case: float
    method_case: float = 0.0
    difference: float = 0.0
    run_ratio: float = 1.0
    n_levels: int = 0

    def draw(self, run_counts: Sequence[int], rng: np.random.Generator) -> CaseScores:
        reference = np.repeat([1, 0], [self.n_positive, self.n_negative])
        n = len(reference)
        rest = 1 - self.run - self.run_case - self.method_case
        case = np.sqrt(rest) * rng.standard_normal(n)
        columns = []
        for i, count in enumerate(run_counts):
            of_method = case + np.sqrt(self.method_case) * rng.standard_normal(n)
            run = self.run * (self.run_ratio if i == 0 else 1.0)
            auroc = self.auroc + (self.difference if i == 0 else 0.0)
            shift = float(ndtri(auroc)) * np.sqrt(2 * (1 - self.run + run))
            for _ in range(count):
                of_class = np.sqrt(run) * rng.standard_normal(2)
                noise = np.sqrt(self.run_case) * rng.standard_normal(n)
                columns.append(of_method + noise + of_class[reference] + shift * reference)
        score = np.stack(columns, axis=1)
        return CaseScores(layout_of_counts(run_counts, n), _rated(score, self.n_levels), reference)


def _rated(score: FloatArray, n_levels: int) -> FloatArray:
    if n_levels == 0:
        return score
    return np.floor(np.clip((score + 2.0) / 5.0, 0, 1 - 1e-12) * n_levels)


@dataclass(frozen=True)
class LesionModel:
    """
    Lesion candidates: lesions in the positive cases, spots that invite false positives in every case.

    Latent scores of lesions and spots have the components of `LatentModel`; what stays below
    `threshold` is not reported. `separation` is the mean latent score of lesions, spots having 0.
    Methods differ only by chance, so the true difference is 0.
    """

    n_positive: int
    n_negative: int
    run: float
    run_case: float
    method_case: float = 0.0
    separation: float = 2.0
    threshold: float = 0.5
    n_spots: int = 3
    difference: float = 0.0

    def draw(self, run_counts: Sequence[int], rng: np.random.Generator) -> CandidateScores:
        case, is_lesion = self._places(rng)
        n_places, n_cases = len(case), self.n_positive + self.n_negative
        own = 1 - self.run - self.run_case - self.method_case
        shared = np.sqrt(own / 2) * (rng.standard_normal(n_cases)[case] + rng.standard_normal(n_places))
        rows: list[tuple[IntArray, FloatArray, IntArray]] = []
        for count in run_counts:
            of_method = shared + np.sqrt(self.method_case) * rng.standard_normal(n_places)
            for _ in range(count):
                of_class = np.sqrt(self.run) * rng.standard_normal(2)
                noise = np.sqrt(self.run_case) * rng.standard_normal(n_places)
                latent = of_method + noise + of_class[is_lesion] + self.separation * is_lesion
                rows.append(_reported(latent, case, is_lesion, self.threshold))
        layout: RunLayout = layout_of_counts(run_counts, n_cases)
        return CandidateScores(
            layout, tuple(r[0] for r in rows), tuple(r[1] for r in rows), tuple(r[2] for r in rows)
        )

    def _places(self, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
        lesions = np.repeat(np.arange(self.n_positive), 1 + (rng.random(self.n_positive) < 0.15))
        spots = np.repeat(np.arange(self.n_positive + self.n_negative), self.n_spots)
        case = np.concatenate([lesions, spots]).astype(np.int64)
        is_lesion = np.repeat([1, 0], [len(lesions), len(spots)]).astype(np.int64)
        return case, is_lesion


def _reported(
    latent: FloatArray, case: IntArray, is_lesion: IntArray, threshold: float
) -> tuple[IntArray, FloatArray, IntArray]:
    found = latent > threshold
    kept = found | (is_lesion == 1)
    return case[kept], np.where(found, expit(latent), np.nan)[kept], is_lesion[kept]


@dataclass(frozen=True)
class OverlapModel:
    """Per-case overlap such as Dice: logistic of a latent score with the components, about .87 on average."""

    n_cases: int
    run: float
    run_case: float
    method_case: float = 0.0
    case: float = 0.25
    difference: float = 0.0

    def draw(self, run_counts: Sequence[int], rng: np.random.Generator) -> CaseScores:
        case = 2.0 + np.sqrt(self.case) * rng.standard_normal(self.n_cases)
        columns = []
        for count in run_counts:
            of_method = case + np.sqrt(self.method_case) * rng.standard_normal(self.n_cases)
            for _ in range(count):
                noise = np.sqrt(self.run_case) * rng.standard_normal(self.n_cases)
                columns.append(expit(of_method + noise + np.sqrt(self.run) * rng.standard_normal()))
        return CaseScores(layout_of_counts(run_counts, self.n_cases), np.stack(columns, axis=1))


@dataclass(frozen=True)
class BetaModel:
    """The seed paper's appendix C: scores drawn afresh for each run, Beta(3, 2) or, benign, Beta(2, 6)."""

    n_positive: int = 300
    n_negative: int = 700
    difference: float = 0.0

    def draw(self, run_counts: Sequence[int], rng: np.random.Generator) -> CaseScores:
        n_runs = int(sum(run_counts))
        positive = rng.beta(3, 2, size=(self.n_positive, n_runs))
        negative = rng.beta(2, 6, size=(self.n_negative, n_runs))
        reference = np.repeat([1, 0], [self.n_positive, self.n_negative])
        layout = layout_of_counts(run_counts, self.n_positive + self.n_negative)
        return CaseScores(layout, np.concatenate([positive, negative]), reference)
