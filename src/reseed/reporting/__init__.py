"""Charts and reports, from the files of a finished study."""

from __future__ import annotations

from reseed.reporting.report import write_report

__all__ = ["write_report"]
