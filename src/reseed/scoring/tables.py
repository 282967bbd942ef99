"""Score tables: the results of many runs, one row per method, run and case."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from reseed.contracts.files import write_text_atomically
from reseed.contracts.metrics import Metrics

COLUMNS = ("method", "run", "case", "score", "reference", "patient")


def score_table(metrics_by_run: Mapping[tuple[str, int], Metrics]) -> pd.DataFrame:
    """
    The per-case results of many runs as one long table.

    Parameters
    ----------
    metrics_by_run
        The metrics of each run, by method and run number.

    Returns
    -------
    pandas.DataFrame
        Columns method, run, case, score, reference, patient; sorted by method, run (as a number)
        and case, whatever the order of the mapping. `patient` is empty where the reference
        standard does not say.
    """
    rows = [
        (method, run, result.case_id, result.score, result.reference, result.patient)
        for (method, run), metrics in metrics_by_run.items()
        for result in metrics.results
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values(["method", "run", "case"], kind="stable", ignore_index=True)


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
