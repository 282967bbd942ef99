"""`reseed login`: keep a token for a service."""

from __future__ import annotations

import os
import platform
from typing import Annotated

import typer

from reseed.cli.remote.logins import TOKEN_VARIABLE, URL_VARIABLE, Login, keep_login, service_url
from reseed.contracts.errors import UserError


def login(
    url: Annotated[
        str, typer.Argument(envvar=URL_VARIABLE, help="The address of the service: https://host.")
    ],
    with_token: Annotated[
        bool, typer.Option("--token", help=f"Keep a token that you have: {TOKEN_VARIABLE}, or asked for.")
    ] = False,
    days: Annotated[int, typer.Option(min=1, max=366, help="How long a new token is valid.")] = 90,
) -> None:
    """
    Log in to a service: make a token for this machine, and keep it for `submit` and `status`.

    Asks for user name and password, which are not kept. Programs set RESEED_URL and RESEED_TOKEN instead.

    For instance:

        reseed login https://challenge.example.org
    """
    address = service_url(url)
    if with_token:
        secret = os.environ.get(TOKEN_VARIABLE) or typer.prompt("Token", hide_input=True)
    else:
        username = typer.prompt("User name")
        secret = new_token(address, username, typer.prompt("Password", hide_input=True), days)
    user = _username(Login(address, secret))
    path = keep_login(Login(address, secret))
    typer.echo(f"logged in to {address} as {user}; the token is in {path}")


def new_token(url: str, username: str, password: str, days: int) -> str:
    """
    A new token to read and submit, made with a password.

    Raises
    ------
    UserError
        When the service does not take them, in its words.
    """
    import httpx  # noqa: PLC0415  (so that --help does not wait)

    from reseed.cli.remote.service import detail_of  # noqa: PLC0415

    with httpx.Client(base_url=f"{url}/api/v1/", timeout=60) as client:
        begun = client.post("login/", json={"username": username, "password": password})
        if not begun.is_success:
            raise UserError(f"{url}: {detail_of(begun)}")
        headers = {"X-CSRF-Token": begun.json()["csrf_token"]}
        wanted = {"name": f"reseed on {platform.node()}", "scopes": ["read", "submit"], "valid_days": days}
        made = client.post("tokens/", json=wanted, headers=headers)
        client.post("logout/", headers=headers)
    if not made.is_success:
        raise UserError(f"{url}: {detail_of(made)}")
    return str(made.json()["token"])


def _username(found: Login) -> str:
    """Whose the token is; refuses one that is nobody's."""
    from reseed.cli.remote.service import Service  # noqa: PLC0415

    with Service(found) as service:
        return str(service.get("me/")["username"])
