"""Files that are whole or absent, whatever instant the machine stops."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel

_MANY_FILES = 64


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(root: Path) -> None:
    """
    Make everything in a folder survive a power cut, whoever wrote it.

    A few files are forced to the disk one by one; for many, it is quicker to flush the whole file system.
    """
    paths = [root, *itertools.islice(root.rglob("*"), _MANY_FILES)]
    if len(paths) > _MANY_FILES:
        os.sync()
        return
    for path in paths:
        if path.is_file() or path.is_dir():
            _sync(path)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each with a name that survives a power cut."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, sees the old one or the new one whole."""
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_text_atomically(path: Path, text: str) -> None:
    """As `write_bytes_atomically`, in UTF-8."""
    write_bytes_atomically(path, text.encode())


def write_json_atomically(path: Path, document: BaseModel | dict[str, Any] | list[Any]) -> None:
    """
    Write a document as indented JSON with a final newline, whole or not at all.

    Raises
    ------
    ValueError
        When a number in the document is NaN or infinite.
    """
    plain = document.model_dump(mode="json") if isinstance(document, BaseModel) else document
    write_text_atomically(path, json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
