"""Metrics documents of submissions with a known order, for tests of leaderboards."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import rankdata

from reseed.contracts.metrics import Aggregate, CaseResult, Metrics
from reseed.service.domain.leaderboard import Entry


def metrics_of(
    strength: float, rng: np.random.Generator, *, n_cases: int = 60, first_case: int = 1, **values: Any
) -> Metrics:
    """One run; `strength` is how far positive cases score above negative ones."""
    reference = (np.arange(n_cases) < n_cases // 3).astype(float)
    common = np.random.default_rng(11).standard_normal(n_cases)
    score = strength * reference + 0.5 * common + 0.6 * rng.standard_normal(n_cases)
    n_positive = reference.sum()
    above = rankdata(score)[reference == 1].sum() - n_positive * (n_positive + 1) / 2
    auroc = float(above / (n_positive * (n_cases - n_positive)))
    return Metrics(
        task="nodule_malignancy",
        confidence_level=0.95,
        aggregates={"auroc": Aggregate(value=auroc)},
        results=tuple(
            CaseResult(
                case_id=f"case-{first_case + i:03d}",
                patient=f"p{i // 2:03d}",
                reference=float(reference[i]),
                score=float(score[i]),
            )
            for i in range(n_cases)
        ),
        **values,
    )


def entry(name: str, strength: float, n_runs: int, rng: np.random.Generator, **values: Any) -> Entry:
    """A submission of so many runs."""
    return Entry(
        key=f"key of {name}",
        name=name,
        metrics=tuple(metrics_of(strength, rng, **values) for _ in range(n_runs)),
    )
