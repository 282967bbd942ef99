"""`reseed calibrate`: does every procedure claim a difference as rarely as it says?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from reseed.contracts.files import write_json_atomically, write_text_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reseed.statistics.calibration import Cell, CellResult


def calibrate(
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Finished work, JSON, table, charts; it goes on from what is there."
        ),
    ] = Path("calibration"),
    quick: Annotated[
        bool, typer.Option("--quick", help="A minute instead of an hour: fewer cells, fewer draws.")
    ] = False,
    simulations: Annotated[int, typer.Option(metavar="N", min=1, help="Simulated studies a cell.")] = 2000,
    table: Annotated[
        Path | None,
        typer.Option(metavar="TABLE", help="Real retrainings instead: split each method's runs in all ways."),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(metavar="M", help="Of the table, as in `reseed compare`.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="W", min=1, help="Processes; one a core by default.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the whole study.")] = 0,
) -> None:
    """
    Put every procedure to simulated studies in which the truth is known.

    Interrupt it and start it again: it goes on where it stopped, and the numbers are the same.

    For example

      reseed calibrate --quick

      reseed calibrate --out calibration --simulations 2000

      reseed calibrate --table scores.csv --metric auroc
    """
    from reseed.statistics.calibration import findings_lines, run_study  # noqa: PLC0415  (numpy)

    cells = _cells(table, metric, quick=quick, simulations=simulations)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # one thread a worker process
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("calibrate", total=sum(cell.n_simulations for cell in cells))

        def show(done: int, _: int, key: str) -> None:
            progress.update(bar, completed=done, description=key)

        n_workers = workers if workers is not None else os.cpu_count() or 1
        results = run_study(cells, seed=seed, n_workers=n_workers, folder=out, progress=show)
    for line in findings_lines(results):
        typer.echo(line)
    _write(results, out, seed)


def _cells(table: Path | None, metric: str | None, *, quick: bool, simulations: int) -> Sequence[Cell]:
    from reseed.contracts.errors import UserError  # noqa: PLC0415
    from reseed.statistics import read_table  # noqa: PLC0415
    from reseed.statistics.calibration import full_study, quick_study, retraining_cells  # noqa: PLC0415

    if table is None:
        return quick_study() if quick else full_study(simulations)
    if metric is None:
        raise UserError("calibrating with a table needs --metric, got none")
    return retraining_cells(read_table(table), metric)


def _write(results: Sequence[CellResult], out: Path, seed: int) -> None:
    from reseed.reporting.calibration_chart import write_calibration_chart  # noqa: PLC0415
    from reseed.statistics.calibration import findings_document, findings_table  # noqa: PLC0415

    document = findings_document(results, seed=seed)
    write_json_atomically(out / "calibration.json", document)
    write_text_atomically(out / "calibration.md", findings_table(results) + "\n")
    for path in write_calibration_chart(document, out):
        typer.echo(f"chart: {path}")
    typer.echo(f"table: {out / 'calibration.md'}")
