"""Forms: read once, and only from our own pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData

from reseed.service.api.asking import AskerHere, InstallationHere, check_csrf_token
from reseed.service.api.problem import Unacceptable
from reseed.service.security.authorisation import logged_in
from reseed.service.security.csrf import FIELD

Model = TypeVar("Model", bound=BaseModel)


async def _form(request: Request, installation: InstallationHere, asker: AskerHere) -> FormData:
    """
    The fields of a form of somebody who has logged in.

    Raises
    ------
    NotLoggedIn
    NotAllowed
        When it lacks the token of the log-in.
    """
    logged_in(asker)
    form = await request.form()
    if asker.login_pk is not None:
        token = form.get(FIELD)
        check_csrf_token(installation, asker.login_pk, token if isinstance(token, str) else None)
    return form


FormHere = Annotated[FormData, Depends(_form)]


def field(form: FormData, name: str, default: str = "") -> str:
    """The text of a field."""
    value = form.get(name, default)
    return value.strip() if isinstance(value, str) else default


def checked(model: type[Model], fields: Mapping[str, Any]) -> Model:
    """
    What a form asks for, by the rules of the API.

    Raises
    ------
    Unacceptable
        One line per mistake.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        lines = [
            f"{' '.join(str(part) for part in each['loc']).replace('_', ' ')}: {each['msg']}"
            for each in error.errors(include_url=False, include_input=False)
        ]
        raise Unacceptable("; ".join(lines)) from None


def see(path: str, **query: str) -> RedirectResponse:
    """Where a form leads when it has done its work: a page that may be loaded again."""
    return RedirectResponse(f"{path}?{urlencode(query)}" if query else path, 303)


def inner_path(path: str) -> str:
    """A path of our own to go on to; the home page instead of anybody else's."""
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_ours else "/"
