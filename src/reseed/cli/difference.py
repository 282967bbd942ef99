"""`reseed diff`: what differs between two runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reseed.orchestration.difference import recorded_run, run_differences

RunArgument = Annotated[Path, typer.Argument(help="STUDY_DIR/runs/METHOD/RUN, or its run.json.")]


def diff(
    run_a: RunArgument,
    run_b: RunArgument,
    show_all: Annotated[
        bool, typer.Option("--all", help="Also the seeds and the weights, which every retraining changes.")
    ] = False,
) -> None:
    """
    Show what differs between two runs, most suspicious first.

    Data and settings come before versions, versions before the machine. Exit code 1 when anything but
    seeds and weights differs, as diff has it.

    For example

        reseed diff quickstart/runs/planes_2d/0 quickstart/runs/planes_2d/1

        reseed diff mine/runs/unet/0 theirs/run.json --all
    """
    differences = run_differences(recorded_run(run_a), recorded_run(run_b))
    expected = [found for found in differences if found.is_expected]
    telling = [found for found in differences if not found.is_expected]
    for found in differences if show_all else telling:
        typer.echo(found.line())
    n_weights = sum(found.kind == "the weights" for found in expected)
    n_seeds = len(expected) - n_weights
    typer.echo(
        f"{len(telling)} differences; beside them {n_seeds} seeds and {n_weights} files of weights differ"
        if expected
        else f"{len(telling)} differences; seeds and weights are the same"
    )
    if telling:
        raise typer.Exit(1)
