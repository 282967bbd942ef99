"""The API of a service: requests whose refusals are the service's own words."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Self

import httpx

from reseed.cli.remote.logins import Login
from reseed.contracts.errors import InfrastructureError, UserError

# The first part after a restart waits until the service has read what is there: of 10 GB, minutes.
_TIMEOUT = httpx.Timeout(60, read=600)
# How long a service that is being restarted is waited for, again and again.
_PAUSES_S = (0.5, 1.0, 2.0, *[3.0] * 9)
_AWAY = frozenset({502, 503, 504})


class Service:
    """
    A service, by its API; a context manager that closes its connections.

    Parameters
    ----------
    login
        Its address, and the token.
    """

    def __init__(self, login: Login) -> None:
        self.url = login.url
        self._http = httpx.Client(
            base_url=f"{login.url}/api/v1/",
            headers={"Authorization": f"Bearer {login.token}"},
            timeout=_TIMEOUT,
        )
        self._has_answered = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: str | int) -> Any:
        """A document."""
        return self.answer("GET", path, params=query).json()

    def post(self, path: str, document: Mapping[str, Any] | None = None, *, key: str | None = None) -> Any:
        """What a document that was sent made; with a key it may be sent again, and makes it once."""
        headers = {} if key is None else {"Idempotency-Key": f'"{key}"'}
        return self.answer("POST", path, json=document, headers=headers, is_repeatable=key is not None).json()

    def every(self, path: str, **query: str | int) -> Iterator[dict[str, Any]]:
        """The items of a list, page by page."""
        offset = 0
        while True:
            page = self.get(path, limit=100, offset=offset, **query)
            yield from page["results"]
            offset += len(page["results"])
            if page["next"] is None or not page["results"]:
                return

    def answer(
        self, method: str, path: str, *, is_repeatable: bool = False, **request: Any
    ) -> httpx.Response:
        """
        The answer to a request, when it is one.

        A service that has answered before, and is away now, is waited for: by a request that reads,
        and by one that is repeatable.

        Raises
        ------
        UserError
            When the service refuses.
        InfrastructureError
            When it does not answer, or fails.
        """
        is_patient = self._has_answered and (is_repeatable or method == "GET")
        for pause_s in (*(_PAUSES_S if is_patient else ()), None):
            try:
                response = self.attempt(method, path, **request)
            except httpx.TransportError as error:
                if pause_s is None:
                    words = f"{self.url}: no answer: {error or type(error).__name__}"
                    raise InfrastructureError(words) from None
            else:
                if response.status_code not in _AWAY or pause_s is None:
                    break
            time.sleep(pause_s)
        self._has_answered = True
        if response.is_success:
            return response
        raise refusal(self.url, response)

    def attempt(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Any answer to a request; raises httpx.TransportError when there is none."""
        return self._http.request(method, path, **request)


def refusal(url: str, response: httpx.Response) -> Exception:
    """What the service says of why it does not do it."""
    words = detail_of(response)
    if response.status_code == 401:
        return UserError(f"{url}: {words}; run `reseed login {url}`")
    if response.is_server_error:
        number = response.headers.get("X-Request-ID", "")
        return InfrastructureError(f"{url}: {words}" + (f" (request {number})" if number else ""))
    return UserError(f"{url}: {words}")


def detail_of(response: httpx.Response) -> str:
    """The sentence of a problem document, or the status alone."""
    try:
        document = response.json()
    except ValueError:
        document = None
    detail = document.get("detail") if isinstance(document, dict) else None
    return str(detail) if detail else f"{response.status_code} {response.reason_phrase}".strip()
