"""
Real retrainings: the runs of one method split into two groups, which differ by nothing but their seeds.

The runs come from a score table of the user's, or from a small network retrained on the spot: a layer of
random features with a ridge readout, its seed drawing the features and the bootstrap of the training set.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING

import numpy as np

from reseed.contracts.errors import UserError
from reseed.statistics.scores import CandidateScores, CaseScores, RunLayout, Scores, layout_of_counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reseed.statistics.scores import FloatArray, IntArray

FEWEST_RUNS = 4
_N_INPUTS, _N_FEATURES, _RIDGE = 12, 40, 3.0


@dataclass(frozen=True)
class RetrainedNetwork:
    """
    A small network retrained on one training set and shown one test set; a fresh draw is a fresh task.

    Only the seed of the features and of the bootstrap differs between runs, so no method is better.
    """

    n_train: int = 200
    n_positive: int = 60
    n_negative: int = 90
    difference: float = 0.0

    def draw(self, run_counts: Sequence[int], rng: np.random.Generator) -> CaseScores:
        direction = rng.standard_normal(_N_INPUTS)
        train, train_class = _patients(self.n_train // 2, self.n_train - self.n_train // 2, direction, rng)
        test, reference = _patients(self.n_positive, self.n_negative, direction, rng)
        n_runs = int(sum(run_counts))
        score = np.stack([_retrained_scores(train, train_class, test, rng) for _ in range(n_runs)], axis=1)
        return CaseScores(layout_of_counts(run_counts, len(reference)), score, reference)


def _patients(
    n_positive: int, n_negative: int, direction: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, IntArray]:
    reference = np.repeat([1, 0], [n_positive, n_negative])
    inputs = rng.standard_normal((len(reference), _N_INPUTS))
    inputs += np.outer(reference, 1.1 * direction / np.linalg.norm(direction))
    inputs[:, 0] += 0.5 * inputs[:, 1] * inputs[:, 2]
    return inputs, reference.astype(np.int64)


def _retrained_scores(
    train: FloatArray, train_class: IntArray, test: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Test scores of one retraining: random ReLU features, ridge readout, bootstrapped training set."""
    weights = rng.standard_normal((train.shape[1], _N_FEATURES)) / np.sqrt(train.shape[1])
    bias = rng.standard_normal(_N_FEATURES)
    drawn = rng.integers(0, len(train), size=len(train))
    hidden = np.maximum(train[drawn] @ weights + bias, 0)
    gram = hidden.T @ hidden + _RIDGE * np.eye(_N_FEATURES)
    readout = np.linalg.solve(gram, hidden.T @ (2.0 * train_class[drawn] - 1))
    return np.asarray(np.maximum(test @ weights + bias, 0) @ readout)


@dataclass(frozen=True)
class SplitRuns:
    """
    The splits of one method's runs, from a score table; split i goes with simulation i, all when they fit.

    Methods A and B of a split are halves of the runs (the larger first) of one method.
    """

    scores: Scores = field(repr=False)
    splits: tuple[tuple[int, ...], ...] = field(repr=False)
    difference: float = 0.0

    def draw_split(self, index: int) -> Scores:
        """Scores with the runs of one split relabelled as two methods."""
        first = self.splits[index % len(self.splits)]
        others = tuple(run for run in range(self.scores.layout.n_runs) if run not in first)
        return relabelled_runs(self.scores, [first, others])

    def draw(self, run_counts: Sequence[int], rng: np.random.Generator) -> Scores:
        """A random split; `run_counts` must be those of the halves."""
        if list(run_counts) != [len(self.splits[0]), self.scores.layout.n_runs - len(self.splits[0])]:
            raise UserError(f"a split has halves of {len(self.splits[0])} runs, got {list(run_counts)}")
        return self.draw_split(int(rng.integers(len(self.splits))))


def all_splits(n_runs: int) -> tuple[tuple[int, ...], ...]:
    """Every way to halve the runs; mirror images counted once when the halves are equal."""
    if n_runs < FEWEST_RUNS:
        raise UserError(f"splitting a method's runs needs {FEWEST_RUNS} or more of them, got {n_runs}")
    size = (n_runs + 1) // 2
    every = combinations(range(n_runs), size)
    if 2 * size == n_runs:
        return tuple(split for _, split in zip(range(comb(n_runs, size) // 2), every, strict=False))
    return tuple(every)


def relabelled_runs(scores: Scores, groups: Sequence[Sequence[int]]) -> Scores:
    """Scores of chosen runs only, each group of runs one method."""
    chosen = [run for group in groups for run in group]
    layout = _grouped_layout(scores.layout, groups)
    if isinstance(scores, CaseScores):
        return CaseScores(layout, scores.score[:, chosen], scores.reference)
    return CandidateScores(
        layout,
        tuple(scores.row_case[run] for run in chosen),
        tuple(scores.row_score[run] for run in chosen),
        tuple(scores.row_reference[run] for run in chosen),
    )


def _grouped_layout(layout: RunLayout, groups: Sequence[Sequence[int]]) -> RunLayout:
    plain = layout_of_counts([len(group) for group in groups], layout.n_cases)
    return RunLayout(
        methods=plain.methods,
        runs=plain.runs,
        method_of_run=plain.method_of_run,
        cases=layout.cases,
        patient_of_case=layout.patient_of_case,
        case_weight=layout.case_weight,
        clustered=layout.clustered,
        weighted=layout.weighted,
    )
