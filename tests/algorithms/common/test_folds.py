"""Cross-validation by patient."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algorithms.common.folds import fold_by_case, is_validation_case
from algorithms.common.member import Member
from reseed.contracts.errors import UserError

PATIENTS = [f"P{i % 40}" for i in range(70)]
LABELS = [int(i % 5 < 2) for i in range(70)]


def folds(seed, n_folds=3):
    return fold_by_case(PATIENTS, LABELS, n_folds=n_folds, rng=np.random.default_rng(seed))


class TestFoldByCase:
    @given(
        cases=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 1)), min_size=30, max_size=60),
        seed=st.integers(0, 2**32 - 1),
    )
    def test_patients_stay_together(self, cases, seed):
        """
        No patient is in two folds, every fold is used, and folds differ by at most one patient
        for each dealt round that was not full.
        """
        patients = [f"P{patient}" for patient, _ in cases] + ["Q1", "Q2", "Q3"]
        labels = [label for _, label in cases] + [0, 0, 1]

        fold = fold_by_case(patients, labels, n_folds=3, rng=np.random.default_rng(seed))

        of_patient = defaultdict(set)
        for patient, index in zip(patients, fold.tolist(), strict=True):
            of_patient[patient].add(index)
        assert all(len(indices) == 1 for indices in of_patient.values())
        sizes = np.bincount([indices.pop() for indices in of_patient.values()], minlength=3)
        assert np.ptp(sizes) <= 1

    def test_stratified(self):
        """
        Of 20 positive and 40 negative patients each of three folds has 6 or 7 positive ones.
        """
        patients = [f"P{i}" for i in range(60)]
        labels = [int(i < 20) for i in range(60)]

        fold = fold_by_case(patients, labels, n_folds=3, rng=np.random.default_rng(0))

        assert set(np.bincount(fold[:20]).tolist()) <= {6, 7}

    def test_seed_decides(self):
        """
        The same seed gives the same folds, another one others.
        """
        assert (folds(0) == folds(0)).all()
        assert (folds(0) != folds(1)).any()

    def test_more_folds_than_patients(self):
        """
        A fold without a patient is refused.
        """
        with pytest.raises(UserError, match="3 folds need as many patients, got 2"):
            fold_by_case(["A", "B"], [0, 1], n_folds=3, rng=np.random.default_rng(0))


class TestIsValidationCase:
    def test_members_share_the_cases(self):
        """
        Each case is held out by exactly one member of an ensemble.
        """
        held_out = [
            is_validation_case(Member(index, 3), PATIENTS, LABELS, rng=np.random.default_rng(5))
            for index in range(3)
        ]

        assert (np.sum(held_out, axis=0) == 1).all()

    def test_single_model(self):
        """
        A single model holds out about a fifth.
        """
        held_out = is_validation_case(Member(0, 1), PATIENTS, LABELS, rng=np.random.default_rng(5))

        assert held_out.mean() == pytest.approx(0.2, abs=0.05)

    def test_one_class(self):
        """
        Validation without both classes has no AUC: refused.
        """
        labels = [1, *[0] * 9]
        patients = [f"P{i}" for i in range(10)]

        def hold_out_every_fold():
            for index in range(5):
                is_validation_case(Member(index, 5), patients, labels, rng=np.random.default_rng(0))

        with pytest.raises(UserError, match=r"must hold both classes, got \d cases of classes \[0\]"):
            hold_out_every_fold()
