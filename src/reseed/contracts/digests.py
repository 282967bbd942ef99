"""Digests of files, folders and documents: the only notion of "the same" that Reseed has."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_BLOCK_BYTES = 1 << 20
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def canonical_json(document: Any) -> str:
    """JSON with sorted keys and no white space: equal documents give equal text."""
    return _CANONICAL.encode(document)


def document_digest(document: Any) -> str:
    """SHA-256 of a JSON document, whatever the order of its keys."""
    return hashlib.sha256(canonical_json(document).encode()).hexdigest()


def digest_by_file(root: Path, *, skip: Iterable[str] = ()) -> dict[str, str]:
    """
    SHA-256 of every file below a folder, by its POSIX path relative to it, sorted.

    Parameters
    ----------
    root
        The folder.
    skip
        Names of files and folders that do not count, at any depth.
    """
    skipped = set(skip)
    paths = sorted(
        path.relative_to(root)
        for path in root.rglob("*")
        if path.is_file() and skipped.isdisjoint(path.relative_to(root).parts)
    )
    return {path.as_posix(): file_digest(root / path) for path in paths}


def folder_digest(root: Path, *, skip: Iterable[str] = ()) -> str:
    """SHA-256 over the names and contents of every file below a folder."""
    return document_digest(digest_by_file(root, skip=skip))
