"""
How much each source of variation moves the score of a retraining on these cases: designed retrainings.

Model of a crossed design: score = mean + Σ effect of the level of each source + interaction of the cell +
nondeterminism, all independent and normal. With every pair of levels met equally often, the mean square of
source s has expectation σ²_nondeterminism + n σ²_interaction + (N/L_s) σ²_s, for N runs, L_s levels and n
repetitions of a cell; components are differences of mean squares (ANOVA, or method of moments, estimators;
Searle, Casella and McCulloch 1992, "Variance Components", chapter 4), unbiased whatever the distribution.

Intervals: χ² where a component is one mean square; where it is a difference of two, the modified large
sample interval of Ting, Burdick, Graybill, Jeyaratnam and Lu (1990, J Stat Comput Simul 35:135), as given
by Burdick and Graybill (1992, "Confidence Intervals on Variance Components", section 3.3); of the sum,
Satterthwaite's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import chi2
from scipy.stats import f as f_distribution

from reseed.contracts.errors import UserError
from reseed.statistics.words import number

if TYPE_CHECKING:
    from reseed.statistics.scores import FloatArray, IntArray

INTERACTION = "interaction"
REST = "interaction and nondeterminism"
NONDETERMINISM = "nondeterminism"
TOGETHER = "all together"


@dataclass(frozen=True)
class SourceVariation:
    """
    One source of the variance between retrainings.

    Attributes
    ----------
    source
        A seed stream, `nondeterminism`, `interaction`, both of these, or all together.
    n_levels
        How many levels were tried; None for what has none of its own.
    df
        Degrees of freedom of its mean square; Satterthwaite's for the sum.
    variance, low, high
        The estimate, which may be below 0, and its interval, which is not.
    """

    source: str
    n_levels: int | None
    df: float
    variance: float
    low: float
    high: float

    @property
    def sd(self) -> float:
        """Standard deviation over retrainings that differ in this source; 0 for an estimate below 0."""
        return math.sqrt(max(self.variance, 0.0))

    def to_json(self) -> dict[str, Any]:
        """As comparisons.json holds it; an end without limit is null."""
        ends = {"sd": self.sd, "sd_low": math.sqrt(self.low), "sd_high": math.sqrt(self.high)}
        document = {**asdict(self), **ends}
        return {key: None if value == math.inf else value for key, value in document.items()}


@dataclass(frozen=True)
class _MeanSquare:
    value: float
    df: int


def crossed_variation(
    score: FloatArray, levels: Mapping[str, IntArray], *, confidence_level: float = 0.95
) -> tuple[SourceVariation, ...]:
    """
    The sources of a design in which any two levels of two sources meet equally often.

    Parameters
    ----------
    score
        Metric of every run, shape (n_runs,).
    levels
        For each seeded source the level of every run. Runs that share all of them are repetitions.
    confidence_level
        Of the intervals.

    Returns
    -------
    tuple of SourceVariation
        The sources as given; what is not additive in them; nondeterminism, where there are repetitions;
        and the variance of one retraining in which all are drawn anew.

    Raises
    ------
    UserError
        When the design is not balanced, or no run is left to tell sources from chance.
    """
    _check_balance(levels)
    score = np.asarray(score, dtype=np.float64)
    n_runs, deviations = len(score), score - score.mean()
    cells = _cells(levels, n_runs)
    n_cells = int(cells.max()) + 1
    n_repetitions = n_runs // n_cells
    main = {name: _between(deviations, level) for name, level in levels.items()}
    within = None
    total_of_cells = float(deviations @ deviations)
    if n_repetitions > 1:
        means = np.bincount(cells, weights=deviations) / n_repetitions
        total_of_cells = n_repetitions * float(means @ means)
        of_runs = deviations - means[cells]
        within = _MeanSquare(float(of_runs @ of_runs) / (n_runs - n_cells), n_runs - n_cells)
    df_rest = n_cells - 1 - sum(square.df for square in main.values())
    rest = None
    if df_rest > 0 and len(main) != 1:
        between = sum(square.value * square.df for square in main.values())
        rest = _MeanSquare(max(total_of_cells - between, 0.0) / df_rest, df_rest)
    error = rest or within
    if error is None and len(main) > 1:
        raise UserError(
            f"{n_runs} runs cannot tell {len(main)} sources from chance: fewer sources, or repetitions "
            "(nondeterminism), leave some runs over"
        )
    level = confidence_level
    rows = [
        _difference(name, square, error, n_runs / _n_levels(levels[name]), _n_levels(levels[name]), level)
        for name, square in main.items()
    ]
    if rest is not None and within is not None:
        rows.append(_difference(INTERACTION, rest, within, n_repetitions, None, level))
    elif rest is not None:
        rows.append(_alone(REST, rest, None, level))
    if within is not None:
        rows.append(_alone(NONDETERMINISM, within, n_repetitions, level))
    squares = {name: (square, _n_levels(levels[name]) / n_runs) for name, square in main.items()}
    return (*rows, _sum(rows, _weights(squares, rest, within, n_repetitions), level))


def one_at_a_time_variation(
    scores: Mapping[str, FloatArray], *, confidence_level: float = 0.95
) -> tuple[SourceVariation, ...]:
    """
    The sources of a design in which a first run was repeated with one source varied at a time.

    Parameters
    ----------
    scores
        For each source the metric of the first run and of those that differ from it in that source alone;
        `nondeterminism` for repetitions of the first. Without these a source's variance includes theirs.
    confidence_level
        Of the intervals.

    Returns
    -------
    tuple of SourceVariation
        As of a crossed design; that the sources add up is an assumption here, not seen in the runs.
    """
    squares = {name: _spread(np.asarray(score, dtype=np.float64)) for name, score in scores.items()}
    within = squares.get(NONDETERMINISM)
    rows = [
        _alone(name, square, square.df + 1, confidence_level)
        if name == NONDETERMINISM
        else _difference(name, square, within, 1.0, square.df + 1, confidence_level)
        for name, square in squares.items()
    ]
    seeded = [square for name, square in squares.items() if name != NONDETERMINISM]
    parts = [(square, 1.0) for square in seeded]
    if within is not None:
        parts.append((within, 1.0 - len(seeded)))
    return (*rows, _sum(rows, parts, confidence_level))


def undesigned_variation(score: FloatArray, *, confidence_level: float = 0.95) -> SourceVariation:
    """The variance over independent retrainings, whatever varied between them together."""
    return _alone(TOGETHER, _spread(np.asarray(score, dtype=np.float64)), None, confidence_level)


def variation_lines(rows: Sequence[SourceVariation], *, confidence_level: float = 0.95) -> list[str]:
    """The sources as a table of plain text, the widest first and the sum last."""
    ordered = [*sorted(rows[:-1], key=lambda row: -row.variance), rows[-1]]
    header = ("source", "levels", "SD over retrainings", f"{100 * confidence_level:g} % interval")
    table = [header]
    table += [
        (
            row.source,
            "" if row.n_levels is None else str(row.n_levels),
            sd_text(row.sd),
            f"{sd_text(math.sqrt(row.low))} to {sd_text(math.sqrt(row.high))}",
        )
        for row in ordered
    ]
    widths = [max(len(line[column]) for line in table) for column in range(4)]
    return [
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip()
        for line in table
    ]


def sd_text(sd: float) -> str:
    """A standard deviation with two digits that count, at least three decimals: .0024, .014."""
    if sd == 0 or sd >= 0.1 or math.isinf(sd):
        return "0" if sd == 0 else number(sd)
    decimals = min(max(3, 1 - math.floor(math.log10(sd))), 7)
    return f"{sd:.{decimals}f}".removeprefix("0")


def difference_interval(
    larger: float, df_larger: int, smaller: float, df_smaller: int, *, confidence_level: float
) -> tuple[float, float]:
    """
    Modified large sample interval of the difference of two expected mean squares, not cut at 0.

    Burdick and Graybill (1992), section 3.3, with equal tails.
    """
    tail = (1 - confidence_level) / 2
    upper_f, lower_f = f_distribution.isf([tail, 1 - tail], df_larger, df_smaller)
    g1, h1 = _margins(df_larger, tail)
    g2, h2 = _margins(df_smaller, tail)
    g12 = ((upper_f - 1) ** 2 - (g1 * upper_f) ** 2 - h2**2) / upper_f
    h12 = ((1 - lower_f) ** 2 - (h1 * lower_f) ** 2 - g2**2) / lower_f
    below = (g1 * larger) ** 2 + (h2 * smaller) ** 2 + g12 * larger * smaller
    above = (h1 * larger) ** 2 + (g2 * smaller) ** 2 + h12 * larger * smaller
    return (
        larger - smaller - math.sqrt(max(below, 0.0)),
        larger - smaller + math.sqrt(max(above, 0.0)),
    )


def _margins(df: int, tail: float) -> tuple[float, float]:
    """1 − 1/F and 1/F − 1 of an expected mean square alone, whose F has endless second df."""
    return 1 - df / float(chi2.isf(tail, df)), df / float(chi2.isf(1 - tail, df)) - 1


def _difference(
    name: str,
    square: _MeanSquare,
    error: _MeanSquare | None,
    n_runs_of_level: float,
    n_levels: int | None,
    confidence_level: float,
) -> SourceVariation:
    if error is None:
        return _alone(name, square, n_levels, confidence_level)
    low, high = difference_interval(
        square.value, square.df, error.value, error.df, confidence_level=confidence_level
    )
    return SourceVariation(
        source=name,
        n_levels=n_levels,
        df=float(square.df),
        variance=(square.value - error.value) / n_runs_of_level,
        low=max(low, 0.0) / n_runs_of_level,
        high=max(high, 0.0) / n_runs_of_level,
    )


def _alone(
    name: str, square: _MeanSquare, n_levels: int | None, confidence_level: float, *, df: float | None = None
) -> SourceVariation:
    freedom = float(square.df) if df is None else df
    tail = (1 - confidence_level) / 2
    upper, lower = chi2.isf([tail, 1 - tail], freedom)
    low = freedom * square.value / float(upper)
    # a sum of next to no degrees of freedom has no upper limit; what never varied has 0
    high = freedom * square.value / float(lower) if lower > 0 else math.inf if square.value > 0 else 0.0
    return SourceVariation(name, n_levels, freedom, square.value, low, high)


def _sum(
    rows: Sequence[SourceVariation], parts: Sequence[tuple[_MeanSquare, float]], confidence_level: float
) -> SourceVariation:
    """The variance of a retraining in which everything is drawn anew: a weighted sum of mean squares."""
    variance = sum(row.variance for row in rows)
    noise = sum((weight * square.value) ** 2 / square.df for square, weight in parts)
    if variance <= 0 or noise == 0:
        highest = max((row.high for row in rows), default=0.0)
        return SourceVariation(TOGETHER, None, 0.0, variance, 0.0, highest)
    df = variance**2 / noise
    return _alone(TOGETHER, _MeanSquare(variance, 1), None, confidence_level, df=df)


def _weights(
    main: Mapping[str, tuple[_MeanSquare, float]],
    rest: _MeanSquare | None,
    within: _MeanSquare | None,
    n_repetitions: int,
) -> list[tuple[_MeanSquare, float]]:
    """Weights of the mean squares in the sum of all components."""
    parts = list(main.values())
    taken = -sum(weight for _, weight in parts)
    if rest is not None and within is not None:
        return [*parts, (rest, taken + 1 / n_repetitions), (within, 1 - 1 / n_repetitions)]
    error = rest or within
    return parts if error is None else [*parts, (error, taken + 1)]


def _between(deviations: FloatArray, level: IntArray) -> _MeanSquare:
    counts = np.bincount(level)
    means = np.bincount(level, weights=deviations) / counts
    return _MeanSquare(float(counts @ means**2) / (len(counts) - 1), len(counts) - 1)


def _spread(score: FloatArray) -> _MeanSquare:
    if len(score) < 2:
        raise UserError(f"variation needs two or more runs, got {len(score)}")
    # equal runs have no variance at all, where rounding of their mean would leave some
    value = 0.0 if np.ptp(score) == 0 else float(np.var(score, ddof=1))
    return _MeanSquare(value, len(score) - 1)


def _n_levels(level: IntArray) -> int:
    return int(level.max()) + 1


def _cells(levels: Mapping[str, IntArray], n_runs: int) -> IntArray:
    if not levels:
        return np.zeros(n_runs, dtype=np.int64)
    combined = np.stack(list(levels.values()), axis=1)
    return np.unique(combined, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _check_balance(levels: Mapping[str, IntArray]) -> None:
    """Every level of a source with every level of another equally often, and every cell too."""
    names = list(levels)
    for place, name in enumerate(names):
        for other in (name, *names[place + 1 :]):
            counts = np.zeros((_n_levels(levels[name]), _n_levels(levels[other])), dtype=np.int64)
            np.add.at(counts, (levels[name], levels[other]), 1)
            seen = np.diag(counts) if other == name else counts
            if len(np.unique(seen)) != 1:
                what = name if other == name else f"{name} and {other}"
                raise UserError(f"the design must be balanced: levels of {what} are not met equally often")
    if names:
        counts = np.bincount(_cells(levels, len(levels[names[0]])))
        if len(np.unique(counts)) != 1:
            raise UserError("the design must be balanced: some runs are repeated more often than others")
