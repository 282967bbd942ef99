"""Datasets: folders with a manifest, and the known ones that can be built anywhere."""

from reseed.datasets.catalogue import (
    KNOWN_DATASETS,
    build_dataset,
    dataset_folder,
    kept_dataset,
    known_dataset,
)
from reseed.datasets.folder import check_dataset, read_dataset

__all__ = [
    "KNOWN_DATASETS",
    "build_dataset",
    "check_dataset",
    "dataset_folder",
    "kept_dataset",
    "known_dataset",
    "read_dataset",
]
