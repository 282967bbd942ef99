"""Named arrays and a JSON document in one file, with the same bytes for the same contents."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reseed.contracts.digests import canonical_json
from reseed.contracts.errors import InvalidDocument

_DOCUMENT = "document.json"
_NO_TIME = (1980, 1, 1, 0, 0, 0)

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class ArrayFile:
    """What such a file holds: arrays by name, and a document that says what they are."""

    arrays: Mapping[str, Array]
    document: Mapping[str, Any] = field(default_factory=dict)


def array_file_bytes(content: ArrayFile) -> bytes:
    """
    A zip of .npy files and one document.json, uncompressed; numpy.load opens it.

    Unlike a pickle it runs no code when it is read. Names are sorted and carry no time, so that
    equal weights have equal digests.
    """
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_entry(_DOCUMENT), canonical_json(dict(content.document)))
        for name in sorted(content.arrays):
            array = io.BytesIO()
            np.save(array, np.ascontiguousarray(content.arrays[name]), allow_pickle=False)
            archive.writestr(_entry(f"{name}.npy"), array.getvalue())
    return stream.getvalue()


def read_array_file(path: Path) -> ArrayFile:
    """
    The contents of such a file.

    Raises
    ------
    InvalidDocument
        When it is damaged, or something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            document = json.loads(archive.read(_DOCUMENT))
            arrays = {
                name.removesuffix(".npy"): np.load(io.BytesIO(archive.read(name)), allow_pickle=False)
                for name in archive.namelist()
                if name != _DOCUMENT
            }
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
        raise InvalidDocument(f"{path}: not a readable array file: {error}") from None
    return ArrayFile(arrays, document)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, date_time=_NO_TIME)
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    return entry
