"""Which service the commands talk to, and the token for it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from reseed.contracts.errors import UserError
from reseed.contracts.files import write_json_atomically

URL_VARIABLE = "RESEED_URL"
TOKEN_VARIABLE = "RESEED_TOKEN"  # noqa: S105  (the name of the variable)


@dataclass(frozen=True)
class Login:
    """A service's address, without a path, and a token that is sent to it alone."""

    url: str
    token: str = field(repr=False)


def logins_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Where `reseed login` keeps tokens, readable by their owner alone."""
    folder = environment.get("XDG_CONFIG_HOME") or str(Path("~/.config").expanduser())
    return Path(folder) / "reseed" / "logins.json"


def service_url(address: str) -> str:
    """
    The service of an address, as scheme://host.

    Raises
    ------
    UserError
        When it is no http(s) address.
    """
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.username is not None:
        raise UserError(f"{address}: must be the address of a service: https://host")
    return f"{parts.scheme}://{parts.netloc}"


def keep_login(login: Login, environment: Mapping[str, str] = os.environ) -> Path:
    """Keep a token for later commands; this service is the one they talk to by default."""
    path = logins_file(environment)
    tokens = {**_kept(path).get("tokens", {}), login.url: login.token}
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    previous = os.umask(0o077)
    try:
        write_json_atomically(path, {"default": login.url, "tokens": tokens})
    finally:
        os.umask(previous)
    return path


def _kept(path: Path) -> dict[str, dict[str, str]]:
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        raise UserError(f"{path}: is not JSON; remove it and run `reseed login` again") from None
    return document if isinstance(document, dict) else {}


def login_for(address: str | None = None, environment: Mapping[str, str] = os.environ) -> Login:
    """
    The service and the token to use: of the environment, or kept by `reseed login`.

    Parameters
    ----------
    address
        Somewhere on the service, when the person named it; a token is never sent to another one.
    environment
        With RESEED_URL and RESEED_TOKEN.

    Raises
    ------
    UserError
        When it is not known which service, or there is no token for it.
    """
    path = logins_file(environment)
    kept = _kept(path)
    tokens: dict[str, str] = kept.get("tokens", {})
    named = None if address is None else service_url(address)
    own = environment.get(URL_VARIABLE)
    url = named or (service_url(own) if own else None) or kept.get("default")
    if not isinstance(url, str):
        raise UserError(f"which service? run `reseed login URL`, or set {URL_VARIABLE} and {TOKEN_VARIABLE}")
    token = environment.get(TOKEN_VARIABLE)
    if token and (own is None or service_url(own) == url):
        return Login(url, token)
    if url not in tokens:
        raise UserError(f"{url}: no token is kept for it; run `reseed login {url}`")
    return Login(url, tokens[url])
