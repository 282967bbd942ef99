"""`reseed status`: how a study stands, also while it runs."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from reseed.cli.remote.logins import login_for
from reseed.cli.remote.submissions import awaited_submission, submission_lines, submission_pk
from reseed.contracts.errors import UserError
from reseed.orchestration.status import StudyStatus, status_document, status_lines, study_status
from reseed.orchestration.study_folder import StudyFolder

_WATCH_INTERVAL_S = 2.0


def status(
    study_dir: Annotated[
        str,
        typer.Argument(
            metavar="STUDY_DIR|SUBMISSION",
            help="The folder of a study, or the address or identifier of a submission to a service.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Every job that is not done, as JSON.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again every 2 s, until nobody is at work, or it is over.")
    ] = False,
) -> None:
    """
    Say what is done, what runs, what has failed and why, and what waits for what.

    Reads the study folder only: the study may run meanwhile, and does not notice.

    For example

        reseed status quickstart

        reseed status quickstart --watch

        reseed status quickstart --json

        reseed status https://challenge.example.org/submissions/0f8fad5b-d9cb-469f-a165-70867728950e/
    """
    folder = StudyFolder(Path(study_dir))
    pk = None if folder.path.is_dir() else submission_pk(study_dir)
    if pk is not None:
        _submission_status(study_dir, pk, as_json=as_json, watch=watch)
        return
    if not folder.path.is_dir():
        raise UserError(f"{study_dir}: no such folder; name the folder of a study, as given to --out")
    found = study_status(folder)
    if as_json:
        typer.echo(json.dumps(status_document(found), indent=1))
    elif watch:
        _watch(folder, found)
    else:
        typer.echo("\n".join(status_lines(found)))


def _submission_status(address: str, pk: str, *, as_json: bool, watch: bool) -> None:
    from reseed.cli.remote.service import Service  # noqa: PLC0415  (so that --help does not wait)

    with Service(login_for(address if "://" in address else None)) as service:
        if watch:
            awaited_submission(service, pk, typer.echo)
        document = service.get(f"submissions/{pk}/")
    typer.echo(json.dumps(document, indent=1) if as_json else "\n".join(submission_lines(document)))


def _watch(folder: StudyFolder, found: StudyStatus) -> None:
    with Live(_text(found), console=Console(), auto_refresh=False) as live:
        while found.orchestrator is not None:
            time.sleep(_WATCH_INTERVAL_S)
            found = study_status(folder)
            live.update(_text(found), refresh=True)


def _text(found: StudyStatus) -> Text:
    return Text("\n".join(status_lines(found)))
