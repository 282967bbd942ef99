"""`reseed leaderboard`: a phase's leaderboard from a service, on the terminal."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from reseed.cli.remote.logins import login_for
from reseed.contracts.errors import InfrastructureError, UserError

_PATIENCE_S = 300


def leaderboard(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL", help="The address of a phase, or of its leaderboard, as the browser shows it."
        ),
    ],
    scope: Annotated[
        str | None,
        typer.Option(
            metavar="S",
            help="population, test_set or trained_models; by default the widest that ranks somebody.",
        ),
    ] = None,
    metric: Annotated[str | None, typer.Option(metavar="M", help="Not the one that counts.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All scopes, as the API gives them.")] = False,
) -> None:
    """
    Show the leaderboard of a phase: rank intervals, scores, and who cannot be told apart.

    Where it is not public, `reseed login` keeps the token, or the variable RESEED_TOKEN holds it.

    For instance:

        reseed leaderboard https://challenge.example.org/challenges/nodules/phases/final/
    """
    document = fetched_leaderboard(url, metric)
    if as_json:
        typer.echo(json.dumps(document, indent=1))
        return
    for line in leaderboard_lines(document, scope):
        typer.echo(line)


def api_address(url: str) -> str:
    """
    The API's address of the leaderboard of a phase.

    Raises
    ------
    UserError
        When this is not the address of a phase.
    """
    parts = urlsplit(url)
    names = [name for name in parts.path.split("/") if name]
    if parts.scheme not in {"http", "https"} or len(names) < 4 or names[0::2][:2] != ["challenges", "phases"]:
        raise UserError(f"{url}: must be the address of a phase: https://…/challenges/NAME/phases/NAME/")
    return f"{parts.scheme}://{parts.netloc}/api/v1/challenges/{names[1]}/phases/{names[3]}/leaderboard/"


def fetched_leaderboard(url: str, metric: str | None) -> dict[str, Any]:
    """
    The leaderboard as the API gives it.

    Raises
    ------
    UserError
        When the service refuses, in its words.
    InfrastructureError
        When it does not answer.
    """
    import httpx  # noqa: PLC0415  (so that --help does not wait)

    address = api_address(url)
    token = _token_for(address)
    params = {} if metric is None else {"metric": metric}
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    deadline = time.monotonic() + _PATIENCE_S
    try:
        answer = httpx.get(address, params=params, headers=headers, timeout=120)
        while answer.status_code == 503 and time.monotonic() < deadline:
            # its first leaderboard is being made
            time.sleep(_wait_s(answer.headers.get("Retry-After")))
            answer = httpx.get(address, params=params, headers=headers, timeout=120)
    except httpx.HTTPError as error:
        raise InfrastructureError(f"{address}: no answer: {error}") from None
    try:
        document = answer.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise InfrastructureError(f"{address}: answered {answer.status_code}, and not as this service does")
    if answer.status_code >= 500:
        raise InfrastructureError(f"{address}: {document.get('detail', answer.status_code)}")
    if answer.status_code != 200:
        raise UserError(f"{url}: {document.get('detail', answer.status_code)}")
    return document


def _wait_s(retry_after: str | None) -> float:
    """What a service asks to wait, within reason."""
    asked = int(retry_after) if retry_after is not None and retry_after.isdecimal() else 5
    return min(max(asked, 1), 30)


def _token_for(address: str) -> str:
    """The token for this service and no other; none where nobody has logged in: it may be public."""
    try:
        return login_for(address).token
    except UserError:
        return ""


def leaderboard_lines(document: dict[str, Any], scope: str | None) -> list[str]:
    """
    The leaderboard in lines.

    Raises
    ------
    UserError
        When it has no such scope.
    """
    board = document["leaderboard"]
    scopes = board["scopes"]
    if scope is not None and scope not in scopes:
        known = f"; it has {', '.join(scopes)}" if scopes else ": nothing is evaluated yet"
        raise UserError(f"the leaderboard has no scope {scope!r}{known}")
    chosen = scope or next((name for name, each in scopes.items() if each["places"]), None)
    if chosen is None:
        return ["Nothing can be ranked yet."]
    shown = scopes[chosen]
    patients = f" of {board['n_patients']} patients" if board["n_patients"] else ""
    lines = [
        f"{board['title']}, {board['n_cases']} {board['case_noun']}{patients} ({shown['scope_words']})",
        "",
    ]
    lines += _table(shown["places"])
    if shown["unranked"]:
        lines += ["", "not ranked under this scope:"]
        lines += [f"  {row['name']}: {row['why']}" for row in shown["unranked"]]
    return [*lines, "", *shown["sentences"]]


def _table(places: list[dict[str, Any]]) -> list[str]:
    from reseed.reporting.wording import span_text, value_text  # noqa: PLC0415  (imports numpy)

    has_letters = any(place["group"] for place in places)
    rows = [("rank", "submission", "score", "interval", "runs", "group" if has_letters else "not apart from")]
    for place in places:
        ranks = {place["rank_low"], place["rank_high"]}
        rows.append(
            (
                "–".join(str(rank) for rank in sorted(ranks)),
                place["name"],
                value_text(place["score"]),
                span_text(place["low"], place["high"]),
                str(place["n_runs"]),
                place["group"] if has_letters else str(place["n_apart"]),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
