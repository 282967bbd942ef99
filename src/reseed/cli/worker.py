"""`reseed worker`: takes the service's jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from reseed.cli.installation import installation_here
from reseed.orchestration.slots import n_nvidia_gpus
from reseed.orchestration.slurm.pinned import slurm_programs
from reseed.service.operations.logs import log_json_lines
from reseed.service.worker.handlers import HANDLERS
from reseed.service.worker.loop import run_worker, stopped_by_signals
from reseed.service.worker.worker import Worker


def worker(
    kind: Annotated[
        list[str] | None, typer.Option(metavar="KIND", help=f"Only jobs of a kind: {', '.join(HANDLERS)}.")
    ] = None,
    gpus: Annotated[
        str | None,
        typer.Option(metavar="0,1", help="GPUs that its jobs may have. Default: all, '' for none."),
    ] = None,
    executor: Annotated[
        Literal["docker", "slurm"],
        typer.Option(
            envvar="RESEED_EXECUTOR", help="What runs containers: this host's engine, or a cluster."
        ),
    ] = "docker",
    slurm: Annotated[
        Path,
        typer.Option(
            metavar="FILE", envvar="RESEED_SLURM", help="The cluster's settings, for --executor slurm."
        ),
    ] = Path("slurm.yaml"),
) -> None:
    """
    Take the service's jobs, one after another, and run their containers on this host's Docker engine.

    With --executor slurm they are jobs of a cluster, of which this host has the commands; its settings are
    those of a study's site, and name podman or docker.

    Start as many as the host can run jobs side by side, on as many hosts as share the data folder and
    the database. SIGTERM asks the running container to checkpoint and puts its job back; a worker that is
    killed loses nothing. Logs are JSON lines on stderr.

    For instance:

        reseed worker

        reseed worker --kind train --gpus 0

        reseed worker --executor slurm --slurm site/slurm.yaml --kind preprocess --kind train
    """
    unknown = sorted(set(kind or ()) - set(HANDLERS))
    if unknown:
        raise typer.BadParameter(
            f"must be one of {', '.join(HANDLERS)}, got {unknown[0]!r}", param_hint="--kind"
        )
    if gpus is not None and not all(number.strip().isdigit() for number in gpus.split(",") if number):
        raise typer.BadParameter(f"must be numbers with commas, got {gpus!r}", param_hint="--gpus")
    numbers = (
        range(n_nvidia_gpus()) if gpus is None else [int(number) for number in gpus.split(",") if number]
    )
    log_json_lines()
    programs = slurm_programs(slurm) if executor == "slurm" else None
    one = Worker.of(installation_here(), gpus=tuple(numbers), programs=programs)
    with stopped_by_signals(one):
        run_worker(one, kinds=kind or None)
