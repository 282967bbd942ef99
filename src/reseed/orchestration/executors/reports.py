"""What a program printed of its surroundings, checked."""

from __future__ import annotations

import json
from typing import Any

from reseed.contracts.errors import UserError
from reseed.contracts.training_report import ENVIRONMENT

REPORT_MODULE = "algorithms.common.report"


def report_of(role: str, exit_code: int, printed: str, errors: str) -> dict[str, Any] | None:
    """
    The JSON object that `python -m algorithms.common.report` printed; None where there is no such module.

    Raises
    ------
    UserError
        When it failed or printed something else.
    """
    if exit_code != 0 and f"No module named {REPORT_MODULE}" in errors:
        return None
    if exit_code != 0:
        last = (errors.strip() or "no word").splitlines()[-1]
        raise UserError(f"{role}: the program that says what it runs in failed: {last}")
    try:
        found = json.loads(printed)
    except ValueError:
        found = None
    if not isinstance(found, dict) or ENVIRONMENT not in found:
        raise UserError(f"{role}: the program that says what it runs in printed {printed[:60]!r}")
    return found
