"""`reseed demo`: a challenge filled from a finished study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reseed.cli.evaluate import nearest_tasks_folder
from reseed.cli.installation import installation_here
from reseed.service.operations.demo import add_demo, read_finished_study


def demo(
    study_dir: Annotated[
        Path, typer.Argument(metavar="STUDY_DIR", help="The folder of a finished study, such as quickstart.")
    ],
    slug: Annotated[
        str, typer.Option(metavar="NAME", help="Of the challenge, in addresses; by default demo-STUDY.")
    ] = "",
) -> None:
    """
    Fill a challenge from a finished study, to see a leaderboard of real retrainings.

    Each method becomes a submission with all of its runs. Nothing is run, and no image is kept. The
    variables RESEED_SECRET_KEY and RESEED_DATA_DIR name the installation, as for `reseed serve`.

    For instance:

        reseed demo quickstart
    """
    study = read_finished_study(study_dir, nearest_tasks_folder())
    here = installation_here()
    with here.database.write() as session:
        phase = add_demo(session, study, slug=slug or f"demo-{study.name}".replace("_", "-").lower()[:64])
        url = f"{here.settings.base_url}/challenges/{phase.challenge.slug}/phases/{phase.slug}/leaderboard/"
    runs = sum(len(metrics) for metrics in study.runs.values())
    typer.echo(f"{len(study.runs)} methods with {runs} runs: {url}")
