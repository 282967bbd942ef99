"""
The comparison of a study: the metrics of every run in, comparisons.json and scores.csv out.

Runs as a job of its own (`python -m reseed.orchestration.comparison`), laid out like a container:
what to compare in /opt/ml/input/config/compare.json, results in /output.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reseed.contracts.containers import ROOT_VARIABLE
from reseed.contracts.design import Design
from reseed.contracts.errors import UserError
from reseed.contracts.files import write_json_atomically
from reseed.contracts.metrics import Metrics
from reseed.contracts.model import Contract
from reseed.documents.reading import read_json
from reseed.scoring.tables import MetricTable, metric_tables, write_score_csv
from reseed.statistics import compare
from reseed.statistics.designed import variation_document, variation_summary
from reseed.statistics.result import Comparison
from reseed.statistics.settings import Scope
from reseed.statistics.words import summary_lines


class CompareConfig(Contract):
    """compare.json: what a compare job is asked for."""

    study: str
    task: str
    title: str
    case_noun: str
    metrics: tuple[str, ...]
    baseline: str
    confidence_level: float
    entropy: str
    runs: tuple[tuple[str, int, str], ...]
    design: Design | None = None


MetricsOfRuns = Mapping[tuple[str, int], Metrics]


def study_comparison(
    tables: Sequence[MetricTable], config: CompareConfig, metrics: MetricsOfRuns | None = None
) -> dict[str, Any]:
    """
    Every metric of a study under every scope that its runs allow.

    Parameters
    ----------
    tables
        For each metric the score table of all runs.
    config
        What to compare; its entropy seeds every bootstrap and sampled permutation, so that the
        same scores give the same document.
    metrics
        Of every run, by method and run; needed by a designed study alone, whose runs are not
        independent and are split by source of variation instead of being compared.

    Returns
    -------
    dict
        comparisons.json: for each metric the summary in words and a document by scope, or by method
        the variation by source.
    """
    return {
        "schema_version": "1.0",
        "study": config.study,
        "task": config.task,
        "title": config.title,
        "case_noun": config.case_noun,
        "baseline": config.baseline,
        "confidence_level": config.confidence_level,
        "metrics": [
            _metric_comparison(table, config)
            if config.design is None
            else _metric_variation(table, config, config.design, metrics or {})
            for table in tables
        ],
    }


def _metric_variation(
    scored: MetricTable, config: CompareConfig, design: Design, metrics: MetricsOfRuns
) -> dict[str, Any]:
    scores = scores_by_method(metrics, scored.metric)
    level = config.confidence_level
    summary = variation_summary(
        design,
        scores,
        metric=scored.metric,
        cases=f"{scored.table['case'].nunique()} {config.case_noun}",
        confidence_level=level,
    )
    variation = variation_document(design, scores, confidence_level=level)
    return {"metric": scored.metric, "summary": summary, "scopes": {}, "variation": variation}


def scores_by_method(metrics: MetricsOfRuns, metric: str) -> dict[str, dict[int, float]]:
    """The value of a metric by method and run."""
    found: dict[str, dict[int, float]] = {}
    for (method, run), result in metrics.items():
        if metric not in result.aggregates:
            raise UserError(f"{method}/{run}: metrics.json has no {metric!r}")
        found.setdefault(method, {})[run] = result.aggregates[metric].value
    return found


def _metric_comparison(scored: MetricTable, config: CompareConfig) -> dict[str, Any]:
    n_runs = scored.table.groupby("method")["run"].nunique()
    if len(n_runs) < 2:
        only = f"{n_runs.index[0]} is the only method: there is nothing to compare it with"
        return {"metric": scored.metric, "summary": [only], "scopes": {}}
    scopes = list(Scope) if n_runs.min() >= 2 else [Scope.TRAINED_MODELS]
    results = {scope.value: _compared(scored, scope, config) for scope in scopes}
    return {
        "metric": scored.metric,
        "summary": summary_lines(results, case_noun=config.case_noun),
        "scopes": {scope: result.to_json() for scope, result in results.items()},
    }


def _compared(scored: MetricTable, scope: Scope, config: CompareConfig) -> Comparison:
    return compare(
        scored.table,
        metric=scored.statistic,
        scope=scope.value,
        baseline=config.baseline,
        confidence_level=config.confidence_level,
        rng=np.random.default_rng(int(config.entropy)),
    )


def main(root: Path) -> None:
    """Read what is laid out below a root, compare, and write the results."""
    config = read_json(root / "opt/ml/input/config/compare.json", CompareConfig)
    metrics = {
        (method, run): read_json(root / folder.lstrip("/") / "metrics.json", Metrics)
        for method, run, folder in config.runs
    }
    tables = metric_tables(metrics, config.metrics)
    for name, table in score_files(tables).items():
        write_score_csv(root / "output" / name, table)
    write_json_atomically(root / "output/comparisons.json", study_comparison(tables, config, metrics))


def score_files(tables: Sequence[MetricTable]) -> dict[str, pd.DataFrame]:
    """
    The score tables by file name: scores.csv, and scores-<metric>.csv for each further one.

    Metrics that share a table, as those of one classification do, share its file.
    """
    files = {"scores.csv": tables[0].table}
    for scored in tables[1:]:
        if not any(scored.table is table for table in files.values()):
            files[f"scores-{scored.metric}.csv"] = scored.table
    return files


if __name__ == "__main__":
    try:
        main(Path(os.environ.get(ROOT_VARIABLE, "/")))
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None
