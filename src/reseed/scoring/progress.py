"""How far a scoring is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[int, int], None]
"""Told how many cases are done, of how many."""


def tell_nobody(n_done: int, n_cases: int) -> None:
    """Keep it to oneself."""
