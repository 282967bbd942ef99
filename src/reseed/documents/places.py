"""Where in a YAML file a key stands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

Location = tuple[str | int, ...]
Place = tuple[int, int]


def places_of(node: yaml.Node, location: Location = ()) -> Iterator[tuple[Location, Place]]:
    """Line and column, from 1, of a node and all below it; of a mapping's value, where its key stands."""
    yield location, (node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = (*location, key.value)
            yield from places_of(value, below)
            yield below, (key.start_mark.line + 1, key.start_mark.column + 1)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from places_of(value, (*location, index))


def place_text(path: Path | str, places: dict[Location, Place], location: Location) -> str:
    """file:line:column of a location, or of the nearest one above it that is in the file."""
    known = location
    while known not in places and known:
        known = known[:-1]
    return f"{path}:{places[known][0]}:{places[known][1]}" if known in places else str(path)


def place_in(path: Path, location: Location) -> str:
    """file:line:column of a location in a YAML file that was read before."""
    node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    return place_text(path, {} if node is None else dict(places_of(node)), location)
