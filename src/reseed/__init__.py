"""Retrain, evaluate and compare medical-image algorithms as training methods, not as single lucky runs."""

from __future__ import annotations

__version__ = "0.1.0"
