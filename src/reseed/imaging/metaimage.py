"""
The header of a MetaImage (.mha, .mhd), read strictly.

ITK's own reader follows a header to any file of the machine, and has crashed on damaged ones. So it is
only shown what this module understood: known keys with values of their kind, and plain text otherwise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reseed.contracts.errors import UserError

_MAX_HEADER_BYTES = 65_536
_ELEMENT_BYTES = {"CHAR": 1, "SHORT": 2, "INT": 4, "LONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8}

_INTEGER = r"\d{1,18}"
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?"
_BOOLEAN = r"(?i:true|false)"
_VECTORS = ("Offset", "Origin", "Position", "ElementSpacing", "ElementSize", "CenterOfRotation")
_MATRICES = ("TransformMatrix", "Rotation", "Orientation")
_KINDS = {
    "ObjectType": r"(?i:image)",
    "NDims": r"[1-9]",
    "BinaryData": r"(?i:true)",
    "BinaryDataByteOrderMSB": _BOOLEAN,
    "ElementByteOrderMSB": _BOOLEAN,
    "CompressedData": _BOOLEAN,
    "CompressedDataSize": _INTEGER,
    "CompressionLevel": r"\d",
    "HeaderSize": "0",
    "ElementNumberOfChannels": r"[1-9]\d?",
    "ElementType": rf"MET_U?({'|'.join(_ELEMENT_BYTES)})",
    "AnatomicalOrientation": r"[A-Za-z?]{1,9}",
}
_REQUIRED = ("NDims", "DimSize", "ElementType", "ElementDataFile")
_OTHER_KEY = re.compile(r"[A-Za-z_][\w .:|-]{0,99}")
_OTHER_VALUE = re.compile(r"[ -~]{0,400}")


class UnusableImage(UserError):
    """A file is not an image that can be used; the message does not say of which case."""


@dataclass(frozen=True)
class MetaImageHeader:
    """Where the voxels of a MetaImage are, and how many bytes there must be of them."""

    data: Path
    offset: int
    n_bytes: int
    is_compressed: bool


def metaimage_header(path: Path) -> MetaImageHeader:
    """
    The header of a .mha or .mhd file.

    Raises
    ------
    UnusableImage
        When a line is not understood, a key is missing, or the voxels are not in the file (of a .mha)
        or in one file beside it (of a .mhd).
    OSError
        When the file cannot be read.
    """
    values, offset = _keys_and_values(path)
    missing = next((key for key in _REQUIRED if key not in values), None)
    if missing is not None:
        raise UnusableImage(f"is not a MetaImage: its header has no {missing}")
    _check_values(values)
    name = values["ElementDataFile"]
    is_local = name == "LOCAL"
    if path.suffix.lower() == ".mha" and not is_local:
        raise UnusableImage("is no .mha image: its header points to another file for the voxels")
    return MetaImageHeader(
        data=path if is_local else _data_file(path, name),
        offset=offset if is_local else 0,
        n_bytes=_n_bytes(values),
        is_compressed=values.get("CompressedData", "").lower() == "true",
    )


def _keys_and_values(path: Path) -> tuple[dict[str, str], int]:
    """Every line of the header, and where it ends; its last key is ElementDataFile."""
    with path.open("rb") as stream:
        start = stream.read(_MAX_HEADER_BYTES)
    values: dict[str, str] = {}
    offset = 0
    while "ElementDataFile" not in values:
        end = start.find(b"\n", offset)
        line = start[offset:] if end < 0 else start[offset:end]
        key, equals, value = line.decode("latin-1").partition("=")
        key, value = key.strip(), value.strip()
        if not equals or key in values or not _OTHER_KEY.fullmatch(key) or not _OTHER_VALUE.fullmatch(value):
            raise UnusableImage("is not a MetaImage: its header is broken or has no ElementDataFile")
        values[key] = value
        offset = len(start) if end < 0 else end + 1
    # readers split lines differently: what is not plain is not read at all
    if start[:offset].count(b"ElementDataFile") != 1:
        raise UnusableImage("is not a MetaImage: its header is broken")
    return values, offset


def _check_values(values: Mapping[str, str]) -> None:
    for key, kind in _KINDS.items():
        if key in values and not re.fullmatch(kind, values[key]):
            raise UnusableImage(f"is not a MetaImage of binary voxels: its header has {key} = {values[key]}")
    n_dimensions = int(values["NDims"])
    lengths = dict.fromkeys(_VECTORS, n_dimensions) | dict.fromkeys(_MATRICES, n_dimensions**2)
    for key, length in lengths.items():
        numbers = values.get(key, "0 " * length).split()
        if len(numbers) != length or not all(re.fullmatch(_NUMBER, number) for number in numbers):
            raise UnusableImage(f"is not a MetaImage: {key} must be {length} numbers, got {values[key]!r}")
    sizes = values["DimSize"].split()
    if len(sizes) != n_dimensions or not all(re.fullmatch(r"[1-9]\d{0,8}", size) for size in sizes):
        raise UnusableImage(
            f"is not a MetaImage: DimSize must be {n_dimensions} sizes, got {values['DimSize']!r}"
        )


def _data_file(path: Path, name: str) -> Path:
    if (
        Path(name).name != name
        or name.upper() in ("LIST", "LOCAL")
        or not re.fullmatch(r"[\w.-]{1,200}", name)
    ):
        raise UnusableImage(f"must have its voxels in one file beside it, its header says {name!r}")
    data = path.with_name(name)
    if data.is_symlink() or not data.is_file():
        raise UnusableImage(f"lacks its file of voxels, {name!r}")
    return data


def _n_bytes(values: Mapping[str, str]) -> int:
    element = _ELEMENT_BYTES[values["ElementType"].removeprefix("MET_").removeprefix("U")]
    channels = int(values.get("ElementNumberOfChannels", "1"))
    return math.prod(int(size) for size in values["DimSize"].split()) * channels * element
