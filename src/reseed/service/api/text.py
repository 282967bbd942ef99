"""Text in requests: what a database and a page can hold."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator, StringConstraints

from reseed.contracts.model import SLUG_PATTERN

_ONE_LINE = r"^[^\r\n\t]*$"


def _without_control_characters(value: str) -> str:
    if any(character < " " and character not in "\n\r\t" for character in value):
        raise ValueError("must have no control characters")
    return value


Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=_ONE_LINE),
    AfterValidator(_without_control_characters),
]
"""One line that is not empty: a title, a name."""

ShortLine = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=_ONE_LINE),
    AfterValidator(_without_control_characters),
]
"""The same, for what a column of 100 characters holds: the name of a team or a token."""

Prose = Annotated[str, StringConstraints(max_length=20_000), AfterValidator(_without_control_characters)]
"""A description or a comment, in Markdown; may be empty."""

Slug = Annotated[str, StringConstraints(min_length=2, max_length=64, pattern=SLUG_PATTERN)]
"""A name in addresses."""

SlugInPath = Annotated[str, Path(max_length=64, pattern=SLUG_PATTERN)]
"""A slug in a route's path; another text is no slug of anything."""
