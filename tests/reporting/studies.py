"""Study folders as `reseed run` leaves them, from simulated scores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reseed import statistics
from reseed.contracts.digests import document_digest
from reseed.contracts.files import write_json_atomically
from reseed.contracts.run import Hardware, MemberRecord, Program, RunRecord, TrainingData
from reseed.contracts.seeds import DEFAULT_VARY, Seeds, SeedStream

if TYPE_CHECKING:
    from pathlib import Path

TWO_METHODS = {"planes_2d": (1.70, 0.10), "volume_3d": (1.78, 0.05)}
FOUR_METHODS = {**TWO_METHODS, "attention": (2.2, 0.10), "radiomics": (1.1, 0.02)}
BEGIN = datetime(2026, 7, 1, 9, 0, tzinfo=UTC)


def simulated_scores(
    methods: dict[str, tuple[float, float]], *, n_runs: int = 8, n_cases: int = 200
) -> pd.DataFrame:
    """
    A score table by the structure of Roe and Metz: effects of cases, methods on cases, runs, and noise.

    Parameters
    ----------
    methods
        Mean separation of the classes, and the SD of that separation over retrainings.
    n_runs, n_cases
        Runs of each method; cases, two a patient, one in three positive.
    """
    rng = np.random.default_rng(20230711)
    reference = (np.arange(n_cases) % 3 == 0).astype(int)
    of_case = rng.normal(scale=0.7, size=n_cases)
    frames = []
    for method, (separation, spread) in methods.items():
        of_method = rng.normal(scale=0.3, size=n_cases)
        for run in range(n_runs):
            latent = reference * rng.normal(separation, spread) + of_case + of_method
            frames.append(
                pd.DataFrame(
                    {
                        "method": method,
                        "run": run,
                        "case": [f"case-{k:03}" for k in range(n_cases)],
                        "score": latent + rng.normal(scale=0.5, size=n_cases),
                        "reference": reference,
                        "patient": [f"patient-{k // 2:03}" for k in range(n_cases)],
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def comparisons(table: pd.DataFrame, *, metrics: tuple[str, ...] = ("auroc", "ap")) -> dict[str, Any]:
    """comparisons.json of a score table: every metric under every scope that its runs allow."""
    methods = list(dict.fromkeys(table["method"]))
    several = table.groupby("method")["run"].nunique().min() > 1
    scopes = list(statistics.Scope) if several else [statistics.Scope.TRAINED_MODELS]
    parts = []
    for metric in metrics:
        found = {}
        if len(methods) > 1:
            found = {
                scope.value: statistics.compare(
                    table, metric=metric, scope=scope.value, baseline=methods[0]
                ).to_json()
                for scope in scopes
            }
        summary = [] if found else [f"{methods[0]} is the only method: there is nothing to compare it with"]
        parts.append({"metric": metric, "summary": summary, "scopes": found})
    return {
        "schema_version": "1.0",
        "study": "quickstart",
        "task": "nodule_malignancy",
        "title": "Malignancy of lung nodules",
        "case_noun": "nodules",
        "baseline": methods[0],
        "confidence_level": 0.95,
        "metrics": parts,
    }


def run_record(method: str, run: int, place: int, *, n_members: int = 3, **changes: Any) -> RunRecord:
    """run.json of one run; `place` is its number among all runs of the study."""
    members = tuple(_member(method, run, member, place) for member in range(n_members))
    known: dict[str, Any] = {
        "study": "quickstart",
        "study_entropy": "20230711",
        "method": method,
        "run": run,
        "vary": DEFAULT_VARY,
        "settings": {
            "dimension": 2 if method == "planes_2d" else 3,
            "epochs": 24,
            "augment": True,
            "optimiser": "adam",
        },
        "program": Program(
            executor="process",
            algorithm="nodule_malignancy",
            version="1.0.0",
            digest=document_digest(["program"]),
            git_commit="6075079d3c1f6c3f0c8f2a0e7d4b9a1f2e3d4c5b",
            git_is_clean=True,
        ),
        "data": TrainingData(dataset="lidc-nodules", version="1.0", digest=document_digest(["data"])),
        "members": members,
        "weights_digest": document_digest([member.weights for member in members]),
        "jobs": {f"train/{method}/{run}/{member.member}": member.job for member in members},
        "hours": sum(member.hours for member in members),
        "packages": {
            "numpy": "2.3.1",
            "pandas": "2.3.0",
            "pydantic": "2.11.7",
            "reseed": "0.1.0",
            "torch": "2.13.0",
        },
        "hardware": Hardware(
            machine="x86_64", system="Linux 6.1", processor="Example CPU @ 2.40GHz", n_cpus=2, memory_gib=7.8
        ),
    }
    return RunRecord(**{**known, **changes})


def _member(method: str, run: int, member: int, place: int) -> MemberRecord:
    draw = np.random.default_rng([place, member]).integers(2**32, size=5)
    seeds = {stream.value: int(seed) for stream, seed in zip(SeedStream, draw, strict=True)}
    started = BEGIN + timedelta(seconds=12 * place + 4 * member)
    return MemberRecord(
        member=member,
        job=document_digest([method, run, member]),
        seeds=Seeds(**{**seeds, "split": 77}),
        weights={"weights.pt": document_digest([method, run, member, "weights"])},
        started=started,
        ended=started + timedelta(seconds=9),
        n_attempts=1,
        hours=0.0025,
        gpus=0,
        peak_memory_mib=412.5,
    )


def write_study(folder: Path, table: pd.DataFrame, *, with_records: bool = True) -> Path:
    """Lay out comparisons.json, scores.csv and every run.json."""
    write_json_atomically(folder / "comparisons.json", comparisons(table))
    table.to_csv(folder / "scores.csv", index=False)
    if with_records:
        keys = table[["method", "run"]].drop_duplicates().itertuples(index=False)
        for place, (method, run) in enumerate(keys):
            target = folder / "runs" / str(method) / str(run) / "run.json"
            write_json_atomically(target, run_record(str(method), int(run), place))
    return folder
