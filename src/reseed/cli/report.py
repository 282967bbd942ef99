"""`reseed report`: the page of a finished study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    study_dir: Annotated[Path, typer.Argument(help="STUDY_DIR of a finished study.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The file to write. Default: STUDY_DIR/report.html.", show_default=False),
    ] = None,
) -> None:
    """
    Write the report of a study as one HTML file that needs nothing else, not even a network.

    For example

        reseed report quickstart

        reseed report quickstart --out ~/quickstart.html
    """
    from reseed.reporting import write_report  # noqa: PLC0415  (drawing charts is an extra)

    typer.echo(f"report: {write_report(study_dir, out)}")
