"""The headers of tus 1.0 (https://tus.io/protocols/resumable-upload), read and written."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from reseed.service.uploads.refusals import InvalidHeader, UnknownProtocol

VERSION = "1.0.0"
EXTENSIONS = ("creation", "creation-with-upload", "checksum", "termination", "expiration")
CHECKSUM_ALGORITHMS = ("sha1", "sha256", "md5")
PART = "application/offset+octet-stream"

_MAX_METADATA_CHARACTERS = 4096
_KEY = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,64}")
# Larger than any disk; the database's integers end at 2**63.
_MAX_LENGTH = 1 << 60


@dataclass(frozen=True)
class Checksum:
    """What the body of a request must have as its checksum."""

    algorithm: str
    digest: bytes

    def new(self) -> Any:
        """An object of hashlib, to feed the body to."""
        return hashlib.new(self.algorithm, usedforsecurity=False)


def check_version(value: str | None) -> None:
    """
    Go on only when the request speaks our version.

    Raises
    ------
    UnknownProtocol
    """
    if value != VERSION:
        raise UnknownProtocol(f"Tus-Resumable must be {VERSION}, is {value or 'missing'}")


def length_of(name: str, value: str | None) -> int:
    """
    A number of bytes, 0 or more, from a header.

    Raises
    ------
    InvalidHeader
    """
    if value is None or not re.fullmatch(r"[0-9]{1,19}", value) or int(value) > _MAX_LENGTH:
        raise InvalidHeader(f"{name} must be a number of bytes, is {value or 'missing'}")
    return int(value)


def metadata_of(value: str | None) -> dict[str, str]:
    """
    Keys and their text from Upload-Metadata: `key base64,key base64,…`; a key may stand alone.

    Raises
    ------
    InvalidHeader
    """
    if not value or not value.strip():
        return {}
    if len(value) > _MAX_METADATA_CHARACTERS:
        raise InvalidHeader(f"Upload-Metadata must have at most {_MAX_METADATA_CHARACTERS} characters")
    found: dict[str, str] = {}
    for pair in value.split(","):
        key, _, encoded = pair.strip().partition(" ")
        if not _KEY.fullmatch(key) or key in found:
            raise InvalidHeader(
                f"Upload-Metadata: a key must be ASCII without spaces and there once: {key!r}"
            )
        try:
            found[key] = base64.b64decode(encoded.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            raise InvalidHeader(f"Upload-Metadata: {key}: must be text in Base64") from None
        if "\0" in found[key]:
            raise InvalidHeader(f"Upload-Metadata: {key}: must have no NUL character")
    return found


def metadata_header(metadata: Mapping[str, str]) -> str:
    """As `metadata_of` reads it."""
    return ",".join(f"{key} {base64.b64encode(text.encode()).decode()}" for key, text in metadata.items())


def checksum_of(value: str | None) -> Checksum | None:
    """
    What Upload-Checksum says: `algorithm base64`; None without one.

    Raises
    ------
    InvalidHeader
    """
    if value is None:
        return None
    algorithm, _, encoded = value.strip().partition(" ")
    if algorithm not in CHECKSUM_ALGORITHMS:
        raise InvalidHeader(
            f"Upload-Checksum: the algorithm must be {' or '.join(CHECKSUM_ALGORITHMS)}, is {algorithm!r}"
        )
    try:
        digest = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    checksum = Checksum(algorithm, digest)
    if len(digest) != checksum.new().digest_size:
        raise InvalidHeader(f"Upload-Checksum: must be {algorithm} and its digest in Base64")
    return checksum


def http_date(moment: datetime) -> str:
    """An instant in UTC as a header has it."""
    return format_datetime(moment, usegmt=True)
