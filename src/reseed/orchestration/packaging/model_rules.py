"""The rules for a model tarball: what a platform unpacks to /opt/ml/model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reseed.orchestration.packaging.archives import (
    GIB,
    InvalidPackage,
    check_packed_size,
    member_mistakes,
    opened,
)


@dataclass(frozen=True)
class ModelLimits:
    """How large a model may be: the tarball, and what it unpacks to."""

    packed_bytes: int = 10 * 10**9
    unpacked_bytes: int = 40 * GIB
    n_entries: int = 100_000


def checked_model(path: Path, limits: ModelLimits | None = None) -> tuple[str, ...]:
    """
    The names of the files in a model tarball, which is only read.

    Files and folders alone, all inside; something is there; not too large.

    Raises
    ------
    InvalidPackage
        One line per broken rule.
    """
    limits = limits or ModelLimits()
    check_packed_size(path, limits.packed_bytes)
    with opened(path) as archive:
        mistakes = member_mistakes(
            archive, links=False, limit_bytes=limits.unpacked_bytes, limit_files=limits.n_entries
        )
        names = () if mistakes else tuple(member.name for member in archive.getmembers() if member.isfile())
    if not mistakes and not names:
        mistakes = ["must hold the files of a model, is empty"]
    if mistakes:
        raise InvalidPackage(*(f"{path.name}: {mistake}" for mistake in mistakes))
    return names
