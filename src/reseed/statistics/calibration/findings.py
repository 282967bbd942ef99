"""What a calibration study found: rates with their Monte Carlo intervals, as lines, a table and JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri

from reseed.statistics.calibration.procedures import PROCEDURES
from reseed.statistics.calibration.study import LEVELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reseed.statistics.calibration.study import CellResult

SCHEMA = "reseed.calibration/1"
_AT = LEVELS.index(0.05)
_PAPER_WEIGHTS = {"csPCa": 42, "PaC": 42, "LNm": 90}  # ordered pairs of runs of one method in the seed paper


@dataclass(frozen=True)
class Rate:
    """A share of n with its 95 % Wilson interval."""

    share: float
    low: float
    high: float
    n: int


def rate(count: int, n: int) -> Rate:
    """Share and Wilson interval of `count` out of `n`; NaN for none."""
    if n == 0:
        return Rate(np.nan, np.nan, np.nan, 0)
    z = float(ndtri(0.975))
    share = count / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))) / (1 + z * z / n)
    return Rate(share, centre - half, centre + half, n)


def findings_document(results: Sequence[CellResult], *, seed: int) -> dict[str, Any]:
    """
    The study as finite JSON: one record for every cell and procedure.

    Keys: schema, seed, levels, conventional_rate (or null), cells: [{design, name, null, metric, run_counts,
    difference, n_undefined, procedure, words, n, rejected: [{level, share, low, high}], coverage}].
    """
    conventional = paper_conventional_rate(results)
    return {
        "schema": SCHEMA,
        "seed": seed,
        "levels": list(LEVELS),
        "conventional_rate": None if conventional is None else vars(conventional),
        "cells": [_record(result, name) for result in results for name in result.cell.procedures],
    }


def _record(result: CellResult, procedure: str) -> dict[str, Any]:
    cell, counts = result.cell, result.counts[procedure]
    rejected = [(level, rate(count, counts.n)) for level, count in zip(LEVELS, counts.rejected, strict=True)]
    coverage = rate(counts.covered, counts.n_intervals)
    return {
        "design": cell.design,
        "name": cell.name,
        "null": cell.null,
        "metric": cell.metric,
        "run_counts": list(cell.run_counts),
        "difference": cell.difference,
        "n_undefined": result.n_undefined,
        "procedure": procedure,
        "words": PROCEDURES[procedure][1],
        "n": counts.n,
        "rejected": [
            {"level": level, "share": found.share, "low": found.low, "high": found.high}
            for level, found in rejected
            if found.n
        ],
        "coverage": vars(coverage) if coverage.n else None,
    }


def paper_conventional_rate(results: Sequence[CellResult]) -> Rate | None:
    """Claims of the one-sided paired bootstrap at .05, the three tasks weighted as in the seed paper."""
    found = {
        result.cell.name: result.counts["single_runs_bootstrap"]
        for result in results
        if result.cell.design == "1 paper" and "single_runs_bootstrap" in result.counts
    }
    if set(found) != set(_PAPER_WEIGHTS) or any(counts.n == 0 for counts in found.values()):
        return None
    total = sum(_PAPER_WEIGHTS.values())
    share = variance = 0.0
    for task, weight in _PAPER_WEIGHTS.items():
        own = found[task].rejected[_AT] / found[task].n
        share += weight / total * own
        variance += (weight / total) ** 2 * own * (1 - own) / found[task].n
    half = float(ndtri(0.975)) * float(np.sqrt(variance))
    return Rate(share, share - half, share + half, sum(counts.n for counts in found.values()))


def findings_lines(results: Sequence[CellResult]) -> Iterator[str]:
    """The study for the terminal: each cell with its rates at .05, then the population scope's extremes."""
    for result in results:
        cell = result.cell
        truth = cell.null if cell.difference == 0 else f"true difference {cell.difference:+.3f}, {cell.null}"
        runs = " v ".join(str(count) for count in cell.run_counts)
        yield f"{cell.design} · {cell.name} · {cell.metric} · {runs} runs · {truth}"
        for name in cell.procedures:
            yield f"    {_rate_words(result, name)}   {PROCEDURES[name][1]}"
    conventional = paper_conventional_rate(results)
    if conventional is not None:
        yield (
            f"the convention on the seed paper's tasks, weighted as there: {100 * conventional.share:.1f} % "
            f"({100 * conventional.low:.1f} to {100 * conventional.high:.1f}); there it was 26 of 174, 15 %"
        )
    yield from _extremes(results)


def _rate_words(result: CellResult, name: str) -> str:
    counts = result.counts[name]
    found = rate(counts.rejected[_AT], counts.n)
    cover = rate(counts.covered, counts.n_intervals)
    covers = f"covers {100 * cover.share:5.1f} %" if cover.n else " " * 14
    return f"{100 * found.share:5.1f} % ({100 * found.low:4.1f} to {100 * found.high:4.1f})   {covers}"


def population_cells(results: Sequence[CellResult], *, fewest_runs: int = 5) -> list[CellResult]:
    """Null cells of two methods, with enough runs a side, in which the population scope was tested."""
    return [
        result
        for result in results
        if "welch" in result.counts
        and result.counts["welch"].n
        and result.cell.difference == 0
        and len(result.cell.run_counts) == 2
        and min(result.cell.run_counts) >= fewest_runs
    ]


def _extremes(results: Sequence[CellResult]) -> Iterator[str]:
    chosen = population_cells(results)
    if not chosen:
        return
    shares = [result.counts["welch"].rejected[_AT] / result.counts["welch"].n for result in chosen]
    yield (
        f"population scope, {len(chosen)} null cells with 5 or more runs a side: "
        f"{100 * min(shares):.1f} % to {100 * max(shares):.1f} % claim a difference at .05"
    )
    covers = [
        result.counts["welch"].covered / result.counts["welch"].n_intervals
        for result in results
        if "welch" in result.counts
        and result.counts["welch"].n_intervals
        and min(result.cell.run_counts) >= 5
    ]
    yield f"its 95 % intervals cover the truth in {100 * min(covers):.1f} % to {100 * max(covers):.1f} %"


_TABLE_COLUMNS = {
    "single_runs": "one run of each (convention)",
    "averaged_runs": "runs averaged, paired over cases",
    "permutation": "test_set: permutation",
    "welch": "**population (default)**",
    "pooled": "population, pooled",
    "crossed_bootstrap": "population, crossed bootstrap",
    "moderated": "population, moderated",
    "run_bootstrap": "bootstrap of runs alone",
    "single_runs_bootstrap": "one run of each, bootstrap, one-sided",
    "mann_whitney_one_sided": "test_set: Mann-Whitney, one-sided",
    "smallest_unadjusted": "any pair, not adjusted",
    "smallest_holm": "any pair, Holm",
    "smallest_max_t": "any pair, max-T",
    "smallest_permuted_max_t": "any pair, test_set, closed max-T",
}


def findings_table(results: Sequence[CellResult]) -> str:
    """
    Markdown: for each design the share of studies that claim a difference at .05, in per cent.

    Beside the population scope stands the coverage of its 95 % intervals.
    """
    parts = []
    for design in dict.fromkeys(result.cell.design for result in results):
        own = [result for result in results if result.cell.design == design]
        for procedures in dict.fromkeys(result.cell.procedures for result in own):
            rows = [result for result in own if result.cell.procedures == procedures]
            parts.append(f"**{design}**\n\n{_table_of(rows, procedures)}")
    return "\n\n".join(parts)


def _table_of(results: Sequence[CellResult], procedures: Sequence[str]) -> str:
    covers = "welch" in procedures
    names = [_TABLE_COLUMNS[name] for name in procedures] + (["covers"] if covers else [])
    lines = [
        "| cell | metric | runs | truth | " + " | ".join(names) + " |",
        "|---|---|---|---|" + "--:|" * len(names),
    ]
    for result in results:
        cell = result.cell
        truth = cell.null if cell.difference == 0 else f"+{cell.difference:.2f}, {cell.null}"
        shares = [_per_cent(result.counts[name].rejected[_AT], result.counts[name].n) for name in procedures]
        if covers:
            shares.append(_per_cent(result.counts["welch"].covered, result.counts["welch"].n_intervals))
        runs = " v ".join(str(count) for count in cell.run_counts)
        lines.append(f"| {cell.name} | {cell.metric} | {runs} | {truth} | " + " | ".join(shares) + " |")
    return "\n".join(lines)


def _per_cent(count: int, n: int) -> str:
    return f"{100 * count / n:.1f}" if n else ""
