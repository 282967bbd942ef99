"""Datasets of phantoms, of the size of real examinations, where no public data are at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from reseed.contracts.task import Task
from reseed.datasets.conversion import write_image_dataset
from reseed.datasets.phantom import PDAC_LABELS, PhantomGrid, bpmri_phantoms, pdac_ct_phantoms
from reseed.datasets.source_cases import DatasetDescription, ImageCase, LabelValues

N_CASES = 20
N_TEST = 6
SEED = 0

_NOTE = "phantoms: nobody was scanned, and a score on them says nothing about patients"


@dataclass(frozen=True)
class PhantomDataset:
    """A dataset of phantoms, by name."""

    name: str
    title: str
    task: str
    cases: Callable[[np.random.Generator], list[ImageCase]]
    labels: LabelValues = field(default_factory=LabelValues)


def _bpmri(rng: np.random.Generator) -> list[ImageCase]:
    t2 = PhantomGrid((21, 320, 320), (3.6, 0.5, 0.5))
    return bpmri_phantoms(N_CASES, rng, t2=t2, diffusion=PhantomGrid((21, 80, 80), (3.6, 2.0, 2.0)))


def _pdac(rng: np.random.Generator) -> list[ImageCase]:
    return pdac_ct_phantoms(N_CASES, rng, grid=PhantomGrid((96, 320, 320), (2.5, 1.2, 1.2)))


PHANTOMS = (
    PhantomDataset("phantom-bpmri", "Phantoms of biparametric prostate MRI", "cspca_detection", _bpmri),
    PhantomDataset(
        "phantom-pdac-ct",
        "Phantoms of venous-phase CT with a pancreas",
        "pdac_detection",
        _pdac,
        LabelValues(names=PDAC_LABELS),
    ),
)


def build_phantoms(
    known: PhantomDataset, folder: Path, progress: Callable[[str], None], *, task: Task
) -> None:
    """
    Fill an empty folder with a dataset of phantoms.

    Parameters
    ----------
    known
        Which.
    folder
        Empty.
    progress
        Told what is going on.
    task
        Whose sockets they fill.
    """
    cases = known.cases(np.random.default_rng(SEED))
    write_image_dataset(
        folder,
        cases,
        test=frozenset(case.case for case in cases[-N_TEST:]),
        task=task,
        labels=known.labels,
        description=DatasetDescription(
            known.name, known.title, "1.0", "CC0-1.0", "none", "made from random numbers", (_NOTE,)
        ),
        progress=progress,
    )
