"""`reseed logs`: what the programs of a submission to a service have printed."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from reseed.cli.remote.logins import login_for
from reseed.cli.remote.submissions import submission_pk
from reseed.contracts.errors import UserError


def logs(
    submission: Annotated[
        str,
        typer.Argument(metavar="SUBMISSION", help="The address or identifier of a submission to a service."),
    ],
    run: Annotated[int, typer.Option(min=1, metavar="N", help="Of which run, from 1.")] = 1,
    step: Annotated[
        str,
        typer.Option(
            metavar="S",
            help="Which: trial, or for organisers preprocess, train-member-0, case-NAME, evaluate.",
        ),
    ] = "trial",
    as_list: Annotated[bool, typer.Option("--list", help="Only which there are.")] = False,
) -> None:
    """
    Print the end of a log, at most 4 MiB.

    Organisers see every log of their challenge. Participants see what their own program printed at the trial
    case, where the phase shows that.

    For instance:

        reseed logs https://challenge.example.org/submissions/0f8fad5b-d9cb-469f-a165-70867728950e/

        reseed logs 0f8fad5b-d9cb-469f-a165-70867728950e --run 2 --step train-member-0
    """
    pk = submission_pk(submission)
    if pk is None:
        raise UserError(f"{submission}: must be the address or the identifier of a submission")
    # so that --help does not wait
    from reseed.cli.remote.service import Service  # noqa: PLC0415

    place = f"submissions/{pk}/runs/{run}/logs/"
    with Service(login_for(submission if "://" in submission else None)) as service:
        if as_list:
            for each in service.get(place):
                typer.echo(f"{each['step']}  {each['size_bytes']} bytes")
            return
        answer = service.answer("GET", f"{place}{quote(step, safe='')}/", params={"tail_bytes": 4 << 20})
        typer.echo(answer.text, nl=not answer.text.endswith("\n"))
