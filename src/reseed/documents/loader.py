"""YAML as people mean it: the types of JSON, keys that are text and unique, no surprises."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any, ClassVar, NoReturn

import yaml

_TYPES = ("null", "bool", "int", "float", "str", "seq", "map", "merge")
_MAX_NODES = 100_000
_BOOL = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
_NULL = re.compile(r"^(?:~|null|Null|NULL|)$")
_INT = re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$")
_FLOAT = re.compile(
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
_MERGE = re.compile(r"^<<$")


class DocumentLoader(yaml.SafeLoader):
    """
    A safe loader with the core schema of YAML 1.2 instead of PyYAML's 1.1.

    1e-3 is a number; yes, no, on, off, 12:30, 010 and 2023-07-11 are what they look like (text, or ten);
    there are no dates, sets or binaries. A key is always text, and given once: YAML's own would
    silently drop the first. Merging (`<<: *other`) works; a document that contains itself, or grows
    beyond reason by references, is refused.
    """

    # own tables, so that nothing of PyYAML's is inherited or changed
    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 (typed so in PyYAML)
    yaml_constructors: ClassVar[dict[Any, Any]] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping with keys as they are written."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = _key(key_node)
            if key in seen and key_node.tag != "tag:yaml.org,2002:merge":
                raise _mistake(f"key {key!r} is given twice", key_node)
            seen.add(key)
        self.flatten_mapping(node)
        # merged pairs come first, so that a mapping's own keys win
        return {_key(key): self.construct_object(value, deep=deep) for key, value in node.value}

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """A whole number; a leading zero does not make it octal."""
        text = str(self.construct_scalar(node))
        try:
            return int(text, 0) if text.startswith(("0x", "0o")) else int(text)
        except ValueError:
            raise _mistake(f"{text[:40]!r} is not a whole number", node) from None

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        """A number."""
        text = str(self.construct_scalar(node))
        try:
            return float(re.sub(r"\.(inf|nan)$", r"\1", text, flags=re.IGNORECASE))
        except ValueError:
            raise _mistake(f"{text[:40]!r} is not a number", node) from None

    def construct_unknown(self, node: yaml.Node) -> NoReturn:
        """A value with an explicit tag that JSON has no type for."""
        raise _mistake(f"type {node.tag!r} is not allowed: write text, a number, a list or a mapping", node)


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _mistake("a key must be text", node)
    return str(node.value)


def _mistake(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _register() -> None:
    for tag, pattern in (
        ("bool", _BOOL),
        ("int", _INT),
        ("float", _FLOAT),
        ("null", _NULL),
        ("merge", _MERGE),
    ):
        DocumentLoader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", pattern, None)
    for name in _TYPES[:-1]:
        constructor = getattr(DocumentLoader, f"construct_yaml_{name}")
        DocumentLoader.add_constructor(f"tag:yaml.org,2002:{name}", constructor)
    DocumentLoader.add_constructor(None, DocumentLoader.construct_unknown)


_register()


def composed(text: str) -> yaml.Node | None:
    """
    The nodes of a document, with their places; None when it is empty.

    Raises
    ------
    yaml.YAMLError
        When it is not YAML, contains itself, or is too large once its references are followed.
    """
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=DocumentLoader)
        if node is not None:
            _check_size(node)
    except RecursionError:
        raise yaml.YAMLError("nested too deeply") from None
    return node


def constructed(node: yaml.Node) -> Any:
    """
    The plain data of a document.

    Raises
    ------
    yaml.YAMLError
        When a key is given twice or is not text, or a tag is not one of JSON's types.
    """
    loader = DocumentLoader("")
    try:
        return loader.construct_document(node)
    except RecursionError:
        raise yaml.YAMLError("nested too deeply") from None
    finally:
        loader.dispose()


def _check_size(root: yaml.Node) -> None:
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size_of(node: yaml.Node) -> int:
        if id(node) in open_nodes:
            raise _mistake("the document contains itself", node)
        if id(node) not in sizes:
            open_nodes.add(id(node))
            sizes[id(node)] = 1 + sum(size_of(child) for child in _children(node))
            open_nodes.discard(id(node))
        return sizes[id(node)]

    if size_of(root) > _MAX_NODES:
        raise _mistake(f"the document has more than {_MAX_NODES} values", root)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []
