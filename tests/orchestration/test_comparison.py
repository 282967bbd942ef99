"""The comparison of a study, whatever its task."""

from __future__ import annotations

import numpy as np

from reseed.contracts.metrics import Aggregate, CaseResult, Metrics
from reseed.orchestration.comparison import CompareConfig, score_files, study_comparison
from reseed.scoring.tables import metric_tables


def _segmentation(rng: np.random.Generator, *, bonus: float) -> Metrics:
    """Dice and Hausdorff distance of a run on twelve cases, drawn."""
    values = [
        {"dsc": float(rng.uniform(0.7, 0.8) + bonus), "hd": float(rng.uniform(4, 9))} for _ in range(12)
    ]
    return Metrics(
        task="organ",
        confidence_level=0.95,
        aggregates={
            key: Aggregate(value=float(np.mean([value[key] for value in values]))) for key in ("dsc", "hd")
        },
        results=tuple(
            CaseResult(case_id=f"case-{number:02}", metrics=value) for number, value in enumerate(values)
        ),
    )


def _config(**changes: object) -> CompareConfig:
    return CompareConfig.model_validate(
        {
            "study": "s", "task": "organ", "title": "Organ", "case_noun": "scans", "metrics": ["dsc", "hd"],
            "baseline": "a", "confidence_level": 0.95, "entropy": "0", "runs": [],
            **changes,
        }
    )  # fmt: skip


def test_metrics_with_tables_of_their_own_are_compared_and_kept_apart():
    """A segmentation's Dice and Hausdorff distance each have a table, a file and a comparison."""
    rng = np.random.default_rng(1)
    metrics = {
        (method, run): _segmentation(rng, bonus=0.1 if method == "b" else 0.0)
        for method in "ab"
        for run in range(4)
    }
    tables = metric_tables(metrics, ["dsc", "hd"])

    document = study_comparison(tables, _config())

    assert list(score_files(tables)) == ["scores.csv", "scores-hd.csv"]
    assert [metric["metric"] for metric in document["metrics"]] == ["dsc", "hd"]
    dice, distance = (metric["scopes"]["population"] for metric in document["metrics"])
    assert dice["pairs"][0]["better"] == "b"
    assert dice["metric"]["higher_is_better"] is True
    assert distance["metric"]["higher_is_better"] is False
    assert "12 scans" in document["metrics"][0]["summary"][0]


def test_one_run_a_method_is_compared_as_trained_models_only():
    """Without a second run nothing is known of retraining, and nothing is said of it."""
    rng = np.random.default_rng(2)
    metrics = {(method, 0): _segmentation(rng, bonus=0.0) for method in "ab"}

    document = study_comparison(metric_tables(metrics, ["dsc"]), _config(metrics=["dsc"]))

    assert list(document["metrics"][0]["scopes"]) == ["trained_models"]


def test_one_method_has_nothing_to_be_compared_with():
    """A study of one method ends with that sentence and no comparison."""
    rng = np.random.default_rng(3)
    metrics = {("a", run): _segmentation(rng, bonus=0.0) for run in range(3)}

    (metric,) = study_comparison(metric_tables(metrics, ["dsc"]), _config(metrics=["dsc"]))["metrics"]

    assert metric["scopes"] == {}
    assert metric["summary"] == ["a is the only method: there is nothing to compare it with"]
