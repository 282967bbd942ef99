"""Retrain, evaluate and compare medical-image algorithms as training methods, not as single lucky runs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reseed.statistics import compare as compare
    from reseed.statistics import power as power
    from reseed.statistics import variance_components as variance_components
    from reseed.statistics import win_probability as win_probability

__version__ = "0.1.0"

_FROM_STATISTICS = ("compare", "power", "variance_components", "win_probability")


def __getattr__(name: str) -> Any:
    """`reseed.compare` and its companions, imported when first asked for: `import reseed` stays cheap."""
    if name in _FROM_STATISTICS:
        return getattr(import_module("reseed.statistics"), name)
    raise AttributeError(f"module 'reseed' has no attribute {name!r}")
