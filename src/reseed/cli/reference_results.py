"""`reseed reference-results`: what a ground truth folder ships for submissions to be compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reseed.scoring.reference_results import REFERENCE_RESULTS, copied_study_results


def reference_results(
    study_dir: Annotated[Path, typer.Argument(metavar="STUDY_DIR", help="The folder of a finished study.")],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="The ground truth folder that it is written into.")
    ],
) -> None:
    """
    Put a study's metrics, of every method and run, into a ground truth folder.

    An evaluation with that ground truth says of every submission whether a retraining of each method
    would reach it. What an earlier study left there is replaced.

    For instance:

        reseed reference-results quickstart --out my_ground_truth
    """
    runs = copied_study_results(study_dir, out / REFERENCE_RESULTS)
    for method in dict.fromkeys(method for method, _ in runs):
        n_runs = sum(name == method for name, _ in runs)
        typer.echo(f"{method}: {n_runs} run{'s' * (n_runs != 1)} in {out / REFERENCE_RESULTS / method}")
