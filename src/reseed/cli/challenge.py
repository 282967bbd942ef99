"""`reseed challenge`: make a challenge from its file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reseed.cli.evaluate import nearest_tasks_folder
from reseed.cli.installation import installation_here
from reseed.service.challenge_file import CheckedChallenge, create_challenge, read_challenge

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Make a challenge from its file, or only check the file."
)

File = Annotated[Path, typer.Argument(metavar="FILE.yaml", help="A challenge file.")]


@app.command()
def check(file: File) -> None:
    """Check a challenge file, its tasks and its folders, and say in words what it is."""
    for line in challenge_lines(read_challenge(file, nearest_tasks_folder())):
        typer.echo(line)


@app.command()
def create(file: File) -> None:
    """
    Make a challenge; its organisers must be users already.

    Every mistake in the file is one line with its place, and nothing is made.

    For instance:

        reseed service user add ada

        reseed challenge create nodules.yaml
    """
    checked = read_challenge(file, nearest_tasks_folder())
    here = installation_here()
    with here.database.write() as session:
        create_challenge(session, checked)
    for line in challenge_lines(checked):
        typer.echo(line)
    typer.echo(f"{here.settings.base_url}/challenges/{checked.file.challenge}/")


def challenge_lines(checked: CheckedChallenge) -> list[str]:
    """What a challenge is, in words."""
    file = checked.file
    seen = "public" if file.is_public else "private"
    lines = [f"{file.challenge}: {file.title} ({seen}; organised by {', '.join(file.organisers)})"]
    for slug, data in checked.phases.items():
        settings = data.settings
        what = "retrainings by the service" if settings.submission_kind == "training" else "models"
        per_day = settings.limits.submissions_per_day
        n_cases = sum(each.is_dir() for each in data.cases.iterdir())
        lines += [
            f"  {slug}: {settings.title}",
            f"    task        {data.task.task}, ranked by {data.task.ranking_metric}",
            f"    cases       {n_cases} in {data.cases}",
            f"    reference   {data.reference_words}",
            f"    takes       an image with {settings.runs} {what}, {per_day} a day",
        ]
    return lines
