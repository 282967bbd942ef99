"""`reseed compare`: methods compared from a score table, under three scopes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reseed.contracts.errors import UserError
from reseed.contracts.files import write_json_atomically


def compare(  # noqa: PLR0913, PLR0917  (one parameter for each option)
    tables: Annotated[
        list[Path],
        typer.Argument(
            metavar="TABLE|METRICS.json…",
            help="CSV or Parquet with columns method, run, case, score and, where they apply, reference, "
            "patient, weight; or the metrics.json of several runs or submissions.",
        ),
    ],
    metric: Annotated[
        str,
        typer.Option(
            metavar="M",
            help="auroc, ap, dsc, mean, lesion_ap, picai_score, … (any wrong name lists them all); "
            "a+b for the mean of two.",
        ),
    ],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            metavar="S",
            help="population: retrained, new patients. test_set: retrained, these patients. "
            "trained_models: not retrained, new patients. Repeat for several; all three by default.",
        ),
    ] = None,
    test: Annotated[
        str | None, typer.Option(metavar="T", help="A test of that scope, instead of its default.")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="B", help="Compare every other method with this one; all pairs by default."),
    ] = None,
    adjust: Annotated[
        str,
        typer.Option(metavar="A", help="For several pairs: holm, max_t, dunnett (with a baseline), none."),
    ] = "holm",
    margin: Annotated[
        float | None, typer.Option(metavar="X", help="Also test equivalence and non-inferiority within X.")
    ] = None,
    run_sd: Annotated[
        float | None,
        typer.Option(
            metavar="SD", help="SD over retrainings known from elsewhere, for scope trained_models."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of bootstraps and sampled relabellings.")] = 0,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write the results whole, one entry a scope."),
    ] = None,
) -> None:
    """
    Compare training methods from the scores of all their runs.

    Three questions have three answers: would the difference survive retraining on new patients, retraining
    on these patients, or new patients without retraining? Each line says which one it answers.

    For example

      reseed compare scores.csv --metric auroc

      reseed compare scores.csv --metric auroc --scope population --baseline planes_2d --json result.json

      reseed compare candidates.csv --metric picai_score --margin 0.02

      reseed compare one/metrics.json other/metrics.json --metric dsc
    """
    # imported here, so that `reseed --help` does not wait for numpy
    import numpy as np  # noqa: PLC0415

    from reseed.statistics import Scope, answerable_scopes, read_table, summary_lines  # noqa: PLC0415
    from reseed.statistics import compare as compared  # noqa: PLC0415

    if all(path.suffix == ".json" for path in tables):
        from reseed.scoring.metrics_files import compared_runs  # noqa: PLC0415

        runs = compared_runs(tables, metric)
        frame, metric = runs.table, runs.statistic
    elif len(tables) == 1:
        frame = read_table(tables[0])
    else:
        raise UserError(f"give one score table, or several metrics.json, got {len(tables)} files")
    results = {
        name: compared(
            frame,
            metric=metric,
            scope=name,
            test=test,
            baseline=baseline,
            adjust=adjust,
            margin=margin,
            run_sd=run_sd if name == Scope.TRAINED_MODELS else None,
            rng=np.random.default_rng(seed),
        )
        for name in scope or answerable_scopes(frame, test)
    }
    if json_file is not None:
        document = {name: result.to_json() for name, result in results.items()}
        write_json_atomically(json_file, document)
    for line in summary_lines(results):
        typer.echo(line)
