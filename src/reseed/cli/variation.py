"""`reseed variation`: how much each source of variation moves the score of a retraining."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reseed.contracts.errors import UserError
from reseed.contracts.files import write_json_atomically


def variation(
    study_dir: Annotated[Path, typer.Argument(help="STUDY_DIR of a finished study.", show_default=False)],
    metric: Annotated[
        list[str] | None,
        typer.Option(metavar="M", help="Of metrics.json. Repeat for several; the study's by default."),
    ] = None,
    confidence: Annotated[float, typer.Option(metavar="C", help="Level of the intervals.")] = 0.95,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the numbers whole.")
    ] = None,
) -> None:
    """
    Say how much weights, order, augmentation, dropout, split and nondeterminism each move the score.

    A design in the study file tells them apart; without one, only what varied together can be said.

    For example

        reseed variation sources

        reseed variation sources --metric auroc --json sources.json
    """
    from reseed.orchestration.variation import recorded_variation  # noqa: PLC0415  (--help need not wait)

    if not 0 < confidence < 1:
        raise UserError(f"--confidence must lie between 0 and 1, got {confidence:g}")
    found = recorded_variation(study_dir, metrics=tuple(metric or ()), confidence_level=confidence)
    if json_file is not None:
        write_json_atomically(json_file, found.document)
    for line in found.lines:
        typer.echo(line)
