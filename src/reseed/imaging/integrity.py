"""
Whether an image file is whole and keeps to itself, by its own bytes.

SimpleITK is lenient where an evaluation must not be: it reads a truncated NIfTI file and a broken
compressed MetaImage as if nothing were wrong, follows a MetaImage's header to any other file, and makes 0
of whatever is not finite in a NIfTI file.
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from reseed.imaging.metaimage import UnusableImage, metaimage_header
from reseed.imaging.nifti import nifti_header

_HEADER_BYTES = 65_536
_BLOCK_BYTES = 1 << 20
_NIFTI = (".nii", ".nii.gz")


def check_integrity(path: Path, voxels: NDArray[Any] | None = None) -> None:
    """
    Refuse a file that is cut short or broken, or a NIfTI file with a voxel that is not finite.

    Its header has been checked.

    Parameters
    ----------
    path
        The file.
    voxels
        What SimpleITK made of it. When the checksum in a compressed file is theirs, the file is whole;
        otherwise, and without them, it is decompressed once more to say what is wrong, if anything.

    Raises
    ------
    UnusableImage
        In words that follow the name of the file or its case.
    """
    name = path.name.lower()
    try:
        if voxels is not None and _checksum_agrees(path, voxels):
            return
        if name.endswith((".mha", ".mhd")):
            _check_metaimage(path)
        elif name.endswith(_NIFTI):
            _check_nifti(path)
    except OSError as error:
        raise UnusableImage(f"cannot be read: {error.strerror or error}") from None


def _checksum_agrees(path: Path, voxels: NDArray[Any]) -> bool:
    """Whether a compressed file ends in the checksum of these voxels, as they are in memory."""
    name = path.name.lower()
    content = np.ascontiguousarray(voxels).reshape(-1).view(np.uint8)
    if name.endswith((".mha", ".mhd")):
        header = metaimage_header(path)
        return (
            header.is_compressed
            and content.size == header.n_bytes
            and _last_bytes(header.data, 4) == zlib.adler32(content.data).to_bytes(4, "big")
        )
    if not name.endswith(".nii.gz"):
        return False
    with gzip.open(path, "rb") as stream:
        start = stream.read(_HEADER_BYTES)
    size = nifti_header(start).n_bytes
    offset = size - content.size
    if not 0 < offset <= len(start):
        return False
    checksum = zlib.crc32(content.data, zlib.crc32(start[:offset]))
    return _last_bytes(path, 8) == checksum.to_bytes(4, "little") + (size % 2**32).to_bytes(4, "little")


def _last_bytes(path: Path, count: int) -> bytes:
    with path.open("rb") as stream:
        stream.seek(-count, os.SEEK_END)
        return stream.read(count)


def check_header(path: Path) -> None:
    """
    Refuse a header that SimpleITK must not see: some it follows elsewhere, some it crashes on.

    Raises
    ------
    UnusableImage
        In words that follow the name of the file or its case.
    """
    name = path.name.lower()
    try:
        if name.endswith((".mha", ".mhd")):
            metaimage_header(path)
        elif name.endswith(_NIFTI):
            with _opened(path) as stream:
                nifti_header(stream.read(_HEADER_BYTES))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        _refuse_gzip(error)
    except OSError as error:
        raise UnusableImage(f"cannot be read: {error.strerror or error}") from None


def _check_metaimage(path: Path) -> None:
    header = metaimage_header(path)
    with header.data.open("rb") as stream:
        stream.seek(header.offset)
        if header.is_compressed:
            _check_zlib(iter(lambda: stream.read(_BLOCK_BYTES), b""), header.n_bytes)
            return
    found = header.data.stat().st_size - header.offset
    if found < header.n_bytes:
        raise UnusableImage(f"is cut short: {found} bytes of voxels, {header.n_bytes} needed")


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


def _opened(path: Path) -> io.BufferedIOBase:
    """A NIfTI file to read, unpacked."""
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")


def _check_nifti(path: Path) -> None:
    if path.name.lower().endswith(".gz"):
        _check_gzip(path)
    else:
        with path.open("rb") as stream:
            expected, found = nifti_header(stream.read(_HEADER_BYTES)).n_bytes, path.stat().st_size
        if found < expected:
            raise UnusableImage(f"is cut short: {found} bytes, {expected} needed")
    with _opened(path) as stream:
        _check_finite(stream)


def _check_gzip(path: Path) -> None:
    """Read to the end, where gzip keeps its checksum; stop when there is more than the header says."""
    try:
        with gzip.open(path, "rb") as stream:
            start = stream.read(_HEADER_BYTES)
            expected = nifti_header(start).n_bytes
            found = len(start)
            while block := stream.read(_BLOCK_BYTES):
                found += len(block)
                if found > expected + _BLOCK_BYTES:
                    raise UnusableImage(f"holds more than the {expected} bytes that its header announces")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        _refuse_gzip(error)
    if found < expected:
        raise UnusableImage(f"is cut short: {found} bytes, {expected} needed")


def _check_finite(stream: io.BufferedIOBase) -> None:
    """Look at the floats of a whole NIfTI file as they are stored."""
    header = nifti_header(stream.read(_HEADER_BYTES))
    if header.floats is None:
        return
    stream.seek(header.offset)
    n_left, n_wrong = header.n_bytes - header.offset, 0
    while n_left and (block := stream.read(min(_BLOCK_BYTES, n_left))):
        n_left -= len(block)
        n_wrong += int(np.count_nonzero(~np.isfinite(np.frombuffer(block, header.floats))))
    refuse_not_finite(n_wrong)


def refuse_not_finite(n_voxels: int) -> None:
    """
    Refuse an image with voxels that are not finite; 0 is none.

    Raises
    ------
    UnusableImage
        In words that follow the name of the file or its case.
    """
    if n_voxels:
        raise UnusableImage(f"has {n_voxels} voxel{'s' * (n_voxels != 1)} that are NaN or infinite")


def _refuse_gzip(error: Exception) -> NoReturn:
    if isinstance(error, EOFError):
        raise UnusableImage("is a truncated gzip file: it ends before its end") from None
    raise UnusableImage(f"is not a gzip file, or a broken one ({error})") from None
