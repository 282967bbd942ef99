"""The rules for a model tarball: what a platform unpacks to /opt/ml/model."""

from __future__ import annotations

from pathlib import Path

from reseed.orchestration.packaging.archives import InvalidPackage, TarballLimits, checked_tarball

MODEL_LIMITS = TarballLimits(n_entries=100_000)


def checked_model(path: Path, limits: TarballLimits = MODEL_LIMITS) -> tuple[str, ...]:
    """
    The names of the files in a model tarball, which is only read.

    Files and folders alone, all inside; something is there; not too large.

    Raises
    ------
    InvalidPackage
        One line per broken rule.
    """
    with checked_tarball(path, limits, links=False) as archive:
        names = tuple(member.name for member in archive.getmembers() if member.isfile())
    if not names:
        raise InvalidPackage(f"{path.name}: must hold the files of a model, is empty")
    return names
