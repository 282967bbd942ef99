"""Requests that a browser sends with its cookie must come from our own pages."""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256
from typing import Final

HEADER: Final = "X-CSRF-Token"
FIELD: Final = "csrf_token"
COOKIE: Final = "reseed_visitor"
"""Of a visitor who has not logged in: the subject of the log-in form's token."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def csrf_token(subject: str, secret_key: str) -> str:
    """The token of a session (its identifier) or a visitor; other sites can read neither."""
    return hmac.new(secret_key.encode(), f"reseed.csrf:{subject}".encode(), sha256).hexdigest()


def is_csrf_token(token: str | None, subject: str, secret_key: str) -> bool:
    """Whether the request carries the subject's token."""
    return token is not None and hmac.compare_digest(
        token.encode(errors="replace"), csrf_token(subject, secret_key).encode()
    )


def new_visitor() -> str:
    """An identifier for a browser that has none."""
    return secrets.token_urlsafe(16)


def is_from_another_site(fetch_site: str | None) -> bool:
    """Whether the browser itself says, in Sec-Fetch-Site, that another site's page made the request."""
    return fetch_site in {"cross-site", "same-site"}
