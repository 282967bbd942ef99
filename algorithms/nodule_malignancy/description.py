"""What the manifest says, for the three entry points."""

from __future__ import annotations

from pathlib import Path

from algorithms.common.settings import algorithm_manifest
from reseed.contracts.manifest import AlgorithmManifest
from reseed.contracts.sockets import Socket

INPUT_SLUG = "lung-nodule-volume"
OUTPUT_SLUG = "lung-nodule-malignancy-likelihood"

SCAN_SLUG = "chest-ct"
LOCATIONS_SLUG = "nodule-locations"
LIKELIHOODS_SLUG = "lung-nodule-malginancy-likelihoods"
"""The platform's own spelling."""


def socket_of(described: AlgorithmManifest, slug: str) -> Socket:
    """The socket of that slug, of whichever task."""
    sockets = (*described.inputs, *described.outputs)
    sockets += tuple(
        socket for further in described.further_tasks for socket in (*further.inputs, *further.outputs)
    )
    return next(socket for socket in sockets if socket.slug == slug)


def manifest() -> AlgorithmManifest:
    """manifest.yaml beside this file."""
    return algorithm_manifest(Path(__file__).parent)
