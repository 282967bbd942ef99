"""`reseed package`: what a platform takes of an algorithm and a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reseed.orchestration.packaging.package import package_lines, write_package
from reseed.orchestration.project import Project


def package(
    algorithm: Annotated[str, typer.Argument(help="Name of a folder below algorithms/, or a path to one.")],
    run: Annotated[Path, typer.Option(metavar="RUN", help="STUDY_DIR/runs/METHOD/RUN of a finished run.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the two tarballs.")] = Path("package"),
    image: Annotated[
        str | None, typer.Option(metavar="TAG", help="The image. Default: reseed/ALGORITHM.")
    ] = None,
    project: Annotated[
        Path | None, typer.Option(help="Folder with algorithms/ and evaluation/. Default: found.")
    ] = None,
) -> None:
    """
    Write an algorithm's image and the model of a run for upload, checked by the platform's rules.

    The same image and run give the same bytes. Nothing is left behind that breaks a rule.

    For example

        reseed package nodule_malignancy --run quickstart/runs/planes_2d/0 --out package
    """
    from reseed.orchestration.executors.images import (  # noqa: PLC0415 (the SDK is an extra)
        build_command,
        image_saver,
    )

    home = Project(project) if project else Project.around(Path.cwd(), Path(__file__).resolve())
    found = home.algorithm(algorithm)
    tag = image or f"reseed/{found.name}"
    command = build_command(found.name, found.manifest)
    written = write_package(
        found.manifest, run, out, save_image=image_saver(tag, command), build_command=command
    )
    for line in package_lines(written):
        typer.echo(line)
