"""Documents on disk, read into their contracts, every mistake with its line and column."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from reseed.contracts.errors import InvalidDocument, UserError
from reseed.documents.places import Location, Place, place_text, places_of

Model = TypeVar("Model", bound=BaseModel)


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, which YAML's own would silently drop."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path, model: type[Model]) -> Model:
    """
    A YAML file as a contract.

    Raises
    ------
    InvalidDocument
        One line per mistake: file:line:column, the key, the rule, what arrived.
    UserError
        When the file cannot be read.
    """
    text = _text(path)
    try:
        node = yaml.compose(text, Loader=_UniqueKeyLoader)
        document = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise InvalidDocument(f"{place}: not valid YAML: {error.problem or error.context}") from None
    if node is None:
        raise InvalidDocument(f"{path}:1:1: the file is empty")
    try:
        return model.model_validate(document)
    except ValidationError as error:
        places = dict(places_of(node))
        raise InvalidDocument(*_lines(path, error, places, model)) from None


def read_json(path: Path, model: type[Model]) -> Model:
    """A JSON file as a contract; raises as `read_yaml` does, with the key in place of the line."""
    document = json_document(path)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise InvalidDocument(*_lines(path, error, {}, model)) from None


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
    except ValueError as error:
        raise InvalidDocument(f"{path}: not valid JSON: {error}") from None


def validation_lines(place: str, error: ValidationError) -> list[str]:
    """One line per mistake in a document that did not come from a file of ours."""
    return _lines(place, error, {}, None)


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


def _lines(
    path: Path | str, error: ValidationError, places: dict[Location, Place], model: type[BaseModel] | None
) -> list[str]:
    lines = []
    for detail in error.errors(include_url=False):
        location = tuple(part for part in detail["loc"] if part != "[key]")
        place = place_text(path, places, location)
        key = ".".join(str(part) for part in location)
        lines.append(f"{place}: {key + ': ' if key else ''}{_rule(detail, location, model)}")
    return lines


def _rule(detail: ErrorDetails, location: Location, model: type[BaseModel] | None) -> str:
    message = detail["msg"].removeprefix("Value error, ")
    match detail["type"]:
        case "extra_forbidden":
            names = _field_names(model, location[:-1])
            near = difflib.get_close_matches(str(location[-1]), names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            allowed = f"; known keys: {', '.join(names)}" if names and not near else ""
            return f"unknown key{hint}{allowed}"
        case "missing":
            return "required, and missing"
        case "value_error":
            return message
        case "string_pattern_mismatch":
            pattern = detail.get("ctx", {}).get("pattern", "")
            return f"must match {pattern}, got {detail['input']!r}"
    return f"{message[:1].lower()}{message[1:]}, got {_shown(detail['input'])}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _field_names(model: type[BaseModel] | None, location: Location) -> list[str]:
    """The keys a model takes at a place; none when the place is not a plain nested model."""
    for part in location:
        if model is None:
            return []
        annotation = model.model_fields[str(part)].annotation if str(part) in model.model_fields else None
        model = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    return [] if model is None else list(model.model_fields)
