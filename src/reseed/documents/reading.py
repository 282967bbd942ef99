"""Documents on disk, read into their contracts, every mistake with its line and column."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from reseed.contracts.errors import InvalidDocument, UserError
from reseed.documents.loader import composed, constructed
from reseed.documents.mistakes import mistakes
from reseed.documents.places import Location, Place, place_text, places_of

Model = TypeVar("Model", bound=BaseModel)


def read_yaml(path: Path, model: type[Model]) -> Model:
    """
    A YAML file as a contract.

    Types are taken strictly: a count is a whole number, not true, "8" or 8.0.

    Raises
    ------
    InvalidDocument
        One line per mistake: file:line:column, the key, the rule, what arrived.
    UserError
        When the file cannot be read.
    """
    text = _text(path)
    try:
        node = composed(text)
        document = None if node is None else constructed(node)
    except yaml.YAMLError as error:
        raise InvalidDocument(_syntax_line(path, error)) from None
    if node is None or document is None:
        raise InvalidDocument(f"{path}:1:1: the file is empty")
    try:
        return _validated(document, model)
    except ValidationError as error:
        places = dict(places_of(node))
        lines = [
            f"{place_text(path, places, at)}: {line}"
            for at, line in sorted(
                mistakes(error, document, model), key=lambda mistake: _order(places, mistake[0])
            )
        ]
        raise InvalidDocument(*lines) from None


def read_json(path: Path, model: type[Model]) -> Model:
    """A JSON file as a contract; raises as `read_yaml` does, with the key in place of the line."""
    document = json_document(path)
    try:
        return _validated(document, model)
    except ValidationError as error:
        raise InvalidDocument(*(f"{path}: {line}" for _, line in mistakes(error, document, model))) from None


def json_document(path: Path) -> Any:
    """
    A parsed JSON file.

    Raises
    ------
    InvalidDocument
        When it is not JSON; NaN and Infinity, which JSON does not have, are refused.
    UserError
        When the file cannot be read.
    """
    try:
        return json.loads(_text(path), parse_constant=_refuse_constant)
    except RecursionError:
        raise InvalidDocument(f"{path}: not valid JSON: nested too deeply") from None
    except ValueError as error:
        raise InvalidDocument(f"{path}: not valid JSON: {error}") from None


def validation_lines(place: str, error: ValidationError, document: Any = None) -> list[str]:
    """One line per mistake in a document that was validated elsewhere."""
    return [f"{place}: {line}" for _, line in mistakes(error, document, None)]


def _validated(document: Any, model: type[Model]) -> Model:
    # pydantic is strict about JSON in the sense of JSON: a list may become a tuple, true never a 1
    return model.model_validate_json(json.dumps(document), strict=True)


def _order(places: dict[Location, Place], at: Location) -> Place:
    while at not in places and at:
        at = at[:-1]
    return places.get(at, (0, 0))


def _syntax_line(path: Path, error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        return f"{place}: not valid YAML: {error.problem or error.context}"
    return f"{path}: not valid YAML: {' '.join(str(error).split())}"


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UserError(f"{path}: cannot be read: {reason}") from None
