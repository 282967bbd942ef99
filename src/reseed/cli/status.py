"""`reseed status`: how a study stands, also while it runs; or a submission to a service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from reseed.cli.remote.logins import login_for
from reseed.cli.remote.submissions import awaited_submission, submission_lines, submission_pk
from reseed.contracts.errors import UserError


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
    folder = Path(study_dir)
    pk = None if folder.is_dir() else submission_pk(study_dir)
    if pk is not None:
        _submission_status(study_dir, pk, as_json=as_json, watch=watch)
        return
    if not folder.is_dir():
        raise UserError(f"{study_dir}: no such folder; name the folder of a study, as given to --out")
    # not at the top: a participant has installed less than a study needs
    from reseed.cli.study_status import show_study  # noqa: PLC0415

    show_study(folder, as_json=as_json, watch=watch)


def _submission_status(address: str, pk: str, *, as_json: bool, watch: bool) -> None:
    from reseed.cli.remote.service import Service  # noqa: PLC0415  (so that --help does not wait)

    with Service(login_for(address if "://" in address else None)) as service:
        if watch:
            awaited_submission(service, pk, typer.echo)
        document = service.get(f"submissions/{pk}/")
    typer.echo(json.dumps(document, indent=1) if as_json else "\n".join(submission_lines(document)))
