"""`reseed power`: how many retrainings and how many patients a comparison needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reseed.contracts.files import write_json_atomically


def power(
    table: Annotated[
        Path,
        typer.Argument(metavar="TABLE", help="Score table of a pilot: two or more runs of each method."),
    ],
    metric: Annotated[str, typer.Option(metavar="M", help="As in `reseed compare`.")],
    difference: Annotated[
        float, typer.Option(metavar="D", help="The true difference that the study should be able to see.")
    ] = 0.01,
    methods: Annotated[
        list[str] | None,
        typer.Option("--method", metavar="A", help="Give it twice for two methods; all pairs by default."),
    ] = None,
    runs: Annotated[
        int | None,
        typer.Option(metavar="R", help="Retrainings of each method planned; those of the pilot by default."),
    ] = None,
    target: Annotated[float, typer.Option(metavar="P", help="Power to reach.")] = 0.8,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the plan whole, with its curves.")
    ] = None,
) -> None:
    """
    Say how many runs and how many patients it takes to see a true difference.

    More runs cannot replace patients: the answer can be that no number of runs is enough.

    For example

      reseed power pilot.csv --metric auroc --difference 0.02

      reseed power pilot.csv --metric auroc --method planes_2d --method volume_3d --runs 10 --json plan.json
    """
    from reseed.statistics import power as planned  # noqa: PLC0415  (`reseed --help` need not wait for numpy)
    from reseed.statistics import power_lines, read_table  # noqa: PLC0415

    plan = planned(
        read_table(table),
        metric=metric,
        difference=difference,
        methods=methods or None,
        runs=runs,
        target=target,
    )
    if json_file is not None:
        write_json_atomically(json_file, plan.to_json())
    for line in power_lines(plan):
        typer.echo(line)
