"""What the manifest says, for the three entry points."""

from __future__ import annotations

from pathlib import Path

from algorithms.common.settings import algorithm_manifest
from reseed.contracts.manifest import AlgorithmManifest

LESION = 1
"""The label of a tumour in the training channel: what the task takes for a lesion."""


def manifest() -> AlgorithmManifest:
    """manifest.yaml beside this file."""
    return algorithm_manifest(Path(__file__).parent)
