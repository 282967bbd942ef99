"""
Does each procedure claim as rarely as it says? Simulated studies with a known truth, and real retrainings.

`designs` names the cells, `models` draws their scores, `procedures` tests them, `study` runs them in
parallel and keeps what is finished, `findings` sums them up.
"""

from __future__ import annotations

from reseed.statistics.calibration.designs import Cell, full_study, quick_study, retraining_cells
from reseed.statistics.calibration.findings import findings_document, findings_lines, findings_table
from reseed.statistics.calibration.study import CellResult, run_study

__all__ = [
    "Cell",
    "CellResult",
    "findings_document",
    "findings_lines",
    "findings_table",
    "full_study",
    "quick_study",
    "retraining_cells",
    "run_study",
]
