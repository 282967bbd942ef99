"""Tables and reference data that the tests of the statistics share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

settings.register_profile("statistics", deadline=None)  # a busy machine is not a failure
settings.load_profile("statistics")

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def oracles() -> Path:
    """Folder of the reference numbers; the test skips where it is absent."""
    folder = REPOSITORY.parent / "shared" / "oracles"
    if not folder.is_dir():
        pytest.skip("reference data is not part of the project")
    return folder


@pytest.fixture(scope="session")
def vandyke(oracles) -> pd.DataFrame:
    """VanDyke's ratings as a score table: treatments are methods, readers are runs."""
    ratings = pd.read_csv(oracles / "vandyke.csv", dtype=str)
    return pd.DataFrame(
        {
            "method": ratings["treatment"],
            "run": ratings["reader"],
            "case": ratings["case"],
            "score": ratings["rating"].astype(float),
            "reference": ratings["truth"].astype(int),
        }
    )


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20230711)


def case_table(score: np.ndarray, run_counts: list[int], reference: np.ndarray | None = None) -> pd.DataFrame:
    """Score table of an array (n_cases, n_runs); methods A, B, …"""
    rows = []
    names = [(chr(65 + i), str(j)) for i, count in enumerate(run_counts) for j in range(count)]
    for column, (method, run) in enumerate(names):
        frame = pd.DataFrame({"method": method, "run": run, "case": [f"c{k}" for k in range(len(score))]})
        frame["score"] = score[:, column]
        if reference is not None:
            frame["reference"] = reference
        rows.append(frame)
    return pd.concat(rows, ignore_index=True)


def simulated_table(
    rng: np.random.Generator, run_counts: list[int], *, n_positive: int = 20, n_negative: int = 30
) -> pd.DataFrame:
    """Latent-normal scores with case, method × case and run × case effects."""
    n = n_positive + n_negative
    reference = (np.arange(n) < n_positive).astype(int)
    case = rng.normal(size=n) + 1.2 * reference
    columns = []
    for count in run_counts:
        of_method = case + 0.4 * rng.normal(size=n)
        columns += [
            of_method + 0.3 * rng.normal(size=n) + 0.1 * rng.normal() * reference for _ in range(count)
        ]
    return case_table(np.stack(columns, axis=1), run_counts, reference)
