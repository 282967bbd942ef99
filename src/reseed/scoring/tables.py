"""Score tables: the results of many runs, one row per method, run and case, or lesion of a case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from reseed.contracts.errors import UserError
from reseed.contracts.files import write_text_atomically
from reseed.contracts.metrics import CaseResult, Metrics
from reseed.scoring.lesion_rows import lesion_table_rows, needs_ranks
from reseed.scoring.measures import SEGMENTATION, measure_of

COLUMNS = ("method", "run", "case", "score", "reference", "patient")

MetricsByRun: TypeAlias = Mapping[tuple[str, int], Metrics]
_Row: TypeAlias = tuple[str, float | None, float | None, str | None]


@dataclass(frozen=True)
class MetricTable:
    """A score table for one metric, and what `reseed.statistics.compare` calls the metric."""

    metric: str
    statistic: str
    table: pd.DataFrame = field(repr=False)


def score_table(metrics_by_run: MetricsByRun, metric: str | None = None) -> pd.DataFrame:
    """
    The per-case results of many runs as one long table.

    Parameters
    ----------
    metrics_by_run
        The metrics of each run, by method and run number.
    metric
        Of a segmentation, the metric whose values per case are wanted, such as `dsc` or
        `dsc_anterior`; not needed when there is one. Other tasks have one table for all metrics.

    Returns
    -------
    pandas.DataFrame
        Columns method, run, case, score, reference, patient; sorted by method, run (as a number)
        and case, whatever the order of the mapping. Of a segmentation there is no reference. Of a
        detection or a classification of lesions a case has a row for each lesion: `reference` is 1
        for a hit or a missed lesion, 0 for a false positive, and empty for a score of the case alone;
        `score` is empty for a missed lesion. `patient` is empty where the reference standard does
        not say, and left out where it never does.

    Raises
    ------
    UserError
        When there are several metrics per case and none is named, or it is not in every result.
    """
    results = [result for metrics in metrics_by_run.values() for result in metrics.results]
    has_lesions = any(result.lesions is not None for result in results)
    value = _value_key(results, metric)
    as_ranks = has_lesions and any(needs_ranks(metrics.results) for metrics in metrics_by_run.values())
    rows: list[tuple[str, int, str, float | None, float | None, str | None]] = []
    for (method, run), metrics in metrics_by_run.items():
        found = (
            _lesion_rows(metrics, as_ranks=as_ranks) if has_lesions else _case_rows(metrics.results, value)
        )
        rows += [(method, run, *row) for row in found]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    if value is not None:
        table = table.drop(columns="reference")
    if rows and all(row[-1] is None for row in rows):
        table = table.drop(columns="patient")
    return table.sort_values(["method", "run", "case"], kind="stable", ignore_index=True)


def metric_tables(metrics_by_run: MetricsByRun, metrics: Iterable[str]) -> list[MetricTable]:
    """
    For each metric the table that it is computed of; metrics of one table share it.

    Raises
    ------
    UserError
        When runs cannot be compared by a metric, or a run does not have it.
    """
    tables: dict[str | None, pd.DataFrame] = {}
    found = []
    for metric in metrics:
        measure = measure_of(metric)
        if measure is None or measure.statistic is None:
            raise UserError(f"runs cannot be compared by metric {metric!r}")
        for (method, run), each in metrics_by_run.items():
            if metric not in each.aggregates:
                known = ", ".join(each.aggregates)
                raise UserError(f"method {method!r} run {run}: has no metric {metric!r}; it has {known}")
        key = metric if measure.rows == "values" else None
        if key not in tables:
            tables[key] = score_table(metrics_by_run, key)
        found.append(MetricTable(metric, measure.statistic, tables[key]))
    return found


def _value_key(results: Iterable[CaseResult], metric: str | None) -> str | None:
    """Which of the values per case a table is of; None when cases have a score instead."""
    keys = {key: None for result in results for key in result.metrics}
    if not keys:
        return None
    if metric is None:
        main = [key for key in keys if key in SEGMENTATION]
        if len(main) != 1:
            raise UserError(f"cases have several metrics, name one: {', '.join(keys)}")
        return main[0]
    if metric not in keys:
        raise UserError(f"cases have no metric {metric!r}; they have {', '.join(keys)}")
    return metric


def _case_rows(results: Iterable[CaseResult], value: str | None) -> list[_Row]:
    if value is None:
        return [(result.case_id, result.score, result.reference, result.patient) for result in results]
    return [(result.case_id, result.metrics.get(value), None, result.patient) for result in results]


def _lesion_rows(metrics: Metrics, *, as_ranks: bool) -> list[_Row]:
    return [
        (row.case_id, row.score, row.reference, row.patient)
        for row in lesion_table_rows(metrics.results, as_ranks=as_ranks)
    ]


def score_csv(table: pd.DataFrame) -> str:
    """
    A score table as CSV text: the same table always gives the same bytes.

    Numbers are the shortest decimals that read back as the same double, so that nothing is lost;
    whole labels are written without a decimal.
    """
    written = table.copy()
    for column in ("score", "reference", "weight"):
        if column in written:
            written[column] = written[column].map(_number_text)
    return str(written.to_csv(index=False, lineterminator="\n"))


def write_score_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a score table as CSV, whole or not at all."""
    write_text_atomically(path, score_csv(table))


def _number_text(value: float | None) -> str:
    if value is None or pd.isna(value):
        return ""
    number = float(value)
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number)
