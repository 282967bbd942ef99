"""What the manifest says, for the three entry points."""

from __future__ import annotations

from pathlib import Path

from algorithms.common.settings import algorithm_manifest
from reseed.contracts.manifest import AlgorithmManifest


def manifest() -> AlgorithmManifest:
    """manifest.yaml beside this file."""
    return algorithm_manifest(Path(__file__).parent)
