"""
Whether an image file is whole and keeps to itself, by its own bytes.

SimpleITK is lenient where an evaluation must not be: it reads a truncated NIfTI file and a broken
compressed MetaImage as if nothing were wrong, and follows a MetaImage's header to any other file.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from reseed.contracts.errors import UserError

_HEADER_BYTES = 65_536
_BLOCK_BYTES = 1 << 20
_ELEMENT_BYTES = {"CHAR": 1, "SHORT": 2, "INT": 4, "LONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8}


class UnusableImage(UserError):
    """A file is not an image that can be used; the message does not say of which case."""


def check_integrity(path: Path) -> None:
    """
    Refuse a file that is cut short, broken, or reads from elsewhere.

    Raises
    ------
    UnusableImage
        In words that follow the name of the file or its case.
    """
    name = path.name.lower()
    try:
        if name.endswith((".mha", ".mhd")):
            _check_metaimage(path)
        elif name.endswith(".nii.gz"):
            _check_gzip(path)
        elif name.endswith(".nii"):
            with path.open("rb") as stream:
                _check_nifti_size(stream.read(_HEADER_BYTES), path.stat().st_size)
    except OSError as error:
        raise UnusableImage(f"cannot be read: {error.strerror or error}") from None


def _check_metaimage(path: Path) -> None:
    header, offset = _metaimage_header(path)
    is_local = header["ElementDataFile"].upper() == "LOCAL"
    if path.suffix.lower() == ".mha" and not is_local:
        raise UnusableImage("is no .mha image: its header points to another file for the voxels")
    data_path = path if is_local else _data_file(path, header["ElementDataFile"])
    expected = _metaimage_bytes(header)
    with data_path.open("rb") as stream:
        stream.seek(offset if is_local else 0)
        if header.get("CompressedData", "").upper() == "TRUE":
            _check_zlib(iter(lambda: stream.read(_BLOCK_BYTES), b""), expected)
            return
    found = data_path.stat().st_size - (offset if is_local else 0)
    if found < expected:
        raise UnusableImage(f"is cut short: {found} bytes of voxels, {expected} needed")


def _metaimage_header(path: Path) -> tuple[dict[str, str], int]:
    """Keys and values, and where the header ends; its last key is ElementDataFile."""
    with path.open("rb") as stream:
        start = stream.read(_HEADER_BYTES)
    values: dict[str, str] = {}
    offset = 0
    while "ElementDataFile" not in values:
        end = start.find(b"\n", offset)
        line = start[offset:] if end < 0 else start[offset:end]
        key, equals, value = line.decode("latin-1").partition("=")
        if not equals or key.strip() in values:
            raise UnusableImage("is not a MetaImage: its header is broken or has no ElementDataFile")
        values[key.strip()] = value.strip()
        offset = len(start) if end < 0 else end + 1
    # readers split long lines differently: what is not plain is not read at all
    if start[:offset].count(b"ElementDataFile") != 1 or b"\r" in start[:offset].replace(b"\r\n", b"\n"):
        raise UnusableImage("is not a MetaImage: its header is broken")
    if values.get("HeaderSize", "0") != "0" or values.get("BinaryData", "True").upper() != "TRUE":
        raise UnusableImage("is not a MetaImage of plain binary voxels, by its header")
    return values, offset


def _data_file(path: Path, name: str) -> Path:
    if not name or Path(name).name != name or name.upper().startswith("LIST") or "%" in name or " " in name:
        raise UnusableImage(f"must have its voxels in one file beside it, its header says {name!r}")
    data = path.with_name(name)
    if data.is_symlink() or not data.is_file():
        raise UnusableImage(f"lacks its file of voxels, {name!r}")
    return data


def _metaimage_bytes(header: dict[str, str]) -> int:
    try:
        sizes = [int(size) for size in header["DimSize"].split()]
        channels = int(header.get("ElementNumberOfChannels", "1"))
        kind = header["ElementType"].upper().removeprefix("MET_").removeprefix("U")
        element = _ELEMENT_BYTES[kind]
    except (KeyError, ValueError):
        raise UnusableImage("is not a MetaImage of numbers: its header is incomplete") from None
    if not sizes or min(sizes) < 1 or channels < 1:
        raise UnusableImage("is not a MetaImage of numbers: its header gives no size")
    return math.prod(sizes) * channels * element


def _check_zlib(blocks: Iterator[bytes], expected: int) -> None:
    """Decompress and count, without keeping anything; stop when there is too much."""
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)
    found = 0
    try:
        for block in blocks:
            pending = block
            while pending and not inflater.eof:
                found += len(inflater.decompress(pending, _BLOCK_BYTES))
                pending = inflater.unconsumed_tail
                if found > expected:
                    raise UnusableImage(f"holds more than the {expected} bytes of voxels of its header")
        found += len(inflater.flush())
    except zlib.error as error:
        raise UnusableImage(f"is broken: its compressed voxels cannot be read ({error})") from None
    if not inflater.eof or found != expected:
        raise UnusableImage(f"is cut short: {found} bytes of voxels, {expected} needed")


def _check_gzip(path: Path) -> None:
    """Read to the end, where gzip keeps its checksum; stop when there is more than the header says."""
    try:
        with gzip.open(path, "rb") as stream:
            start = stream.read(_HEADER_BYTES)
            expected = _nifti_bytes(start)
            found = len(start)
            while block := stream.read(_BLOCK_BYTES):
                found += len(block)
                if found > expected + _BLOCK_BYTES:
                    raise UnusableImage(f"holds more than the {expected} bytes that its header announces")
    except EOFError:
        raise UnusableImage("is a truncated gzip file: it ends before its end") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UnusableImage(f"is not a gzip file, or a broken one ({error})") from None
    if found < expected:
        raise UnusableImage(f"is cut short: {found} bytes, {expected} needed")


def _check_nifti_size(start: bytes, found: int) -> None:
    expected = _nifti_bytes(start)
    if found < expected:
        raise UnusableImage(f"is cut short: {found} bytes, {expected} needed")


def _nifti_bytes(start: bytes) -> int:
    """The size of a NIfTI-1 or NIfTI-2 file in one piece, by its header."""
    if len(start) < 352:
        raise UnusableImage("is not a NIfTI image: it has no header")
    for order in "<>":
        if struct.unpack_from(f"{order}i", start)[0] == 348 and start[344:347] == b"n+1":
            sizes = struct.unpack_from(f"{order}8h", start, 40)
            bits = struct.unpack_from(f"{order}h", start, 72)[0]
            offset = struct.unpack_from(f"{order}f", start, 108)[0]
            break
        if struct.unpack_from(f"{order}i", start)[0] == 540 and start[4:7] == b"n+2" and len(start) >= 544:
            bits = struct.unpack_from(f"{order}h", start, 14)[0]
            sizes = struct.unpack_from(f"{order}8q", start, 16)
            offset = float(struct.unpack_from(f"{order}q", start, 168)[0])
            break
    else:
        raise UnusableImage("is not a NIfTI image in one piece: its header has no such mark")
    dimensions = sizes[1 : 1 + sizes[0]]
    if not (1 <= sizes[0] <= 7 and min(dimensions) >= 1 and bits >= 1 and 0 <= offset < 2**40):
        raise UnusableImage("is not a NIfTI image: its header gives no size")
    return int(offset) + math.prod(int(side) for side in dimensions) * int(bits) // 8
