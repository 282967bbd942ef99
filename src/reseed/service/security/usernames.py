"""What people can be called."""

from __future__ import annotations

import re

_USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,63}")


def normalised_username(username: str) -> str | None:
    """A user name as it is kept; None for a text that nobody can be called by, nor a database asked for."""
    name = username.strip().lower()
    return name if _USERNAME.fullmatch(name) else None
