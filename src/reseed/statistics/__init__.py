"""
Scores in, conclusions out: comparing training methods, not training runs.

`compare` answers one of three questions about one metric; `power`, `win_probability` and
`variance_components` belong to it; `summary_lines` says the answers in words.
"""

from __future__ import annotations

from reseed.statistics.comparison import compare
from reseed.statistics.design import ErrorTerms
from reseed.statistics.metric import METRIC_NAMES
from reseed.statistics.planning import PowerPlan, power, power_lines
from reseed.statistics.ranking import win_probability
from reseed.statistics.result import Comparison
from reseed.statistics.settings import TESTS, Scope, answerable_scopes
from reseed.statistics.single_run import SingleRunEstimate, single_run_estimate
from reseed.statistics.standings import Standings, standings
from reseed.statistics.table import read_table
from reseed.statistics.variance import VarianceComponents, variance_components
from reseed.statistics.words import summary_lines

__all__ = [
    "METRIC_NAMES",
    "TESTS",
    "Comparison",
    "ErrorTerms",
    "PowerPlan",
    "Scope",
    "SingleRunEstimate",
    "Standings",
    "VarianceComponents",
    "answerable_scopes",
    "compare",
    "power",
    "power_lines",
    "read_table",
    "single_run_estimate",
    "standings",
    "summary_lines",
    "variance_components",
    "win_probability",
]
