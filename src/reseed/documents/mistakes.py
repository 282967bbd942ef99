"""What pydantic found wrong, in one plain line per mistake."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from reseed.contracts.model import PATTERN_IN_WORDS
from reseed.documents.places import Location

_KINDS = {
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "datetime_type": "a date and time",
    "datetime_parsing": "a date and time",
    "datetime_from_date_parsing": "a date and time",
}
_LIMITS = {
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
    "greater_than": ("above", "gt"),
    "less_than": ("below", "lt"),
}


def mistakes(
    error: ValidationError, document: Any, model: type[BaseModel] | None
) -> list[tuple[Location, str]]:
    """
    Every mistake as its location in the document, and a line `key: rule, what arrived`.

    A value that fits none of several allowed types is one mistake. A rule about several keys starts
    its message with the one it is about (`compare.baseline 'x' is not a method`): that is then the
    location.
    """
    by_location: dict[Location, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        if _is_consequence(detail):
            continue
        is_missing = detail["type"] == "missing"
        location = _in_document(detail["loc"], document, is_missing=is_missing)
        by_location.setdefault(location, []).append(detail)
    found = []
    for location, details in by_location.items():
        key = ".".join(str(part) for part in location)
        for rule in _rules(details, location, model):
            place = _place_named_by(rule, location, document)
            found.append((place, f"{key}: {rule}" if key else rule))
    return found


def shown_value(value: object) -> str:
    """A value as it stands in the document, cut when it is long."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return f"a list of {len(value)}"
        case dict():
            return f"a mapping with {len(value)} key{'' if len(value) == 1 else 's'}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _in_document(loc: Iterable[str | int], document: Any, *, is_missing: bool) -> Location:
    """The location as pydantic has it, without its names of types, which the document does not have."""
    parts = [part for part in loc if part != "[key]"]
    if document is None:
        return tuple(parts)
    location: list[str | int] = []
    here = document
    for index, part in enumerate(parts):
        if _has(here, part):
            here = here[part]
        elif not (is_missing and index == len(parts) - 1):
            continue
        location.append(part)
    return tuple(location)


def _is_consequence(detail: ErrorDetails) -> bool:
    """A list that only counts as too short because one of its entries is wrong."""
    arrived = detail["input"]
    is_list = isinstance(arrived, list | tuple | dict)
    return detail["type"] == "too_short" and is_list and len(arrived) >= detail["ctx"]["min_length"]


def _has(container: Any, part: str | int) -> bool:
    if isinstance(container, dict):
        return part in container
    return isinstance(container, list) and isinstance(part, int) and part < len(container)


def _place_named_by(rule: str, location: Location, document: Any) -> Location:
    """Where the key is that a message begins with, when it begins with one."""
    here = document
    for part in location:
        here = here[part] if _has(here, part) else None
    named = list(location)
    for word in rule.split(" ", maxsplit=1)[0].rstrip(":").split("."):
        part = int(word) if isinstance(here, list) and word.isdecimal() else word
        if not _has(here, part):
            return location
        here = here[part]
        named.append(part)
    return tuple(named)


def _rules(details: list[ErrorDetails], location: Location, model: type[BaseModel] | None) -> Iterator[str]:
    """The rules broken at one place; the types of a choice of types become one rule."""
    kinds = list(dict.fromkeys(_KINDS[detail["type"]] for detail in details if detail["type"] in _KINDS))
    if kinds:
        arrived = details[0]["input"]
        quotes = "; put it in quotes" if kinds == ["text"] and isinstance(arrived, bool | int | float) else ""
        choice = " or ".join(filter(None, [", ".join(kinds[:-1]), kinds[-1]]))
        yield f"must be {choice}, got {shown_value(arrived)}{quotes}"
    for detail in details:
        if detail["type"] not in _KINDS:
            yield _rule(detail, location, model)


def _rule(detail: ErrorDetails, location: Location, model: type[BaseModel] | None) -> str:
    context = detail.get("ctx", {})
    kind = detail["type"]
    if kind == "extra_forbidden":
        return _unknown_key(location, model)
    if kind == "missing":
        return "required, and missing"
    if kind == "value_error":
        return " ".join(str(context.get("error", detail["msg"])).split())
    return f"{_value_rule(kind, context, detail['msg'])}, got {shown_value(detail['input'])}"


def _value_rule(kind: str, context: Mapping[str, Any], message: str) -> str:
    """What a value must be, by pydantic's kind of error and its numbers."""
    rule = f"{message[:1].lower()}{message[1:]}"
    match kind:
        case "string_pattern_mismatch":
            pattern = context["pattern"]
            rule = f"must be {PATTERN_IN_WORDS.get(pattern, f'text that matches {pattern}')}"
        case "literal_error" | "enum":
            rule = f"must be {context['expected']}"
        case "too_short":
            rule = f"must have {context['min_length']} or more"
        case "too_long":
            rule = f"must have {context['max_length']} or fewer"
        case "string_too_short":
            rule = f"must have {context['min_length']} or more characters"
        case "string_too_long":
            rule = f"must have {context['max_length']} or fewer characters"
        case _ if kind in _LIMITS:
            words, key = _LIMITS[kind]
            rule = f"must be {words} {context[key]:g}"
    return rule


def _unknown_key(location: Location, model: type[BaseModel] | None) -> str:
    names = sorted({name for each in _models_at(model, location[:-1]) for name in each.model_fields})
    near = difflib.get_close_matches(str(location[-1]), names, n=1)
    if near:
        return f"unknown key; did you mean {near[0]!r}?"
    return f"unknown key; known keys: {', '.join(names)}" if names else "unknown key"


def _models_at(annotation: Any, location: Location) -> Iterator[type[BaseModel]]:
    """The models that may stand at a location of a document, by the types of the contract."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        for choice in arguments:
            yield from _models_at(choice, location)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not location:
            yield annotation
        elif str(location[0]) in annotation.model_fields:
            yield from _models_at(annotation.model_fields[str(location[0])].annotation, location[1:])
    elif arguments and location:
        entry = arguments[1] if origin is dict else arguments[0]
        yield from _models_at(entry, location[1:])
