"""What an uploaded image or model must be, in lines for the person who uploaded it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from reseed.orchestration.packaging.archives import InvalidPackage
from reseed.orchestration.packaging.image_rules import IMAGE_LIMITS, checked_image
from reseed.orchestration.packaging.model_rules import MODEL_LIMITS, checked_model
from reseed.service.images.programs import has_program
from reseed.service.settings import ServiceSettings

TRAINING_PROGRAM = "train"


@dataclass(frozen=True)
class StoredImage:
    """
    What is kept of an image that obeys every rule.

    Parameters
    ----------
    digest
        Of the image (sha256:…), by which it is run.
    labels
        Of its configuration.
    has_training
        Whether it has an executable `train` on its PATH.
    """

    digest: str
    labels: Mapping[str, str]
    has_training: bool


def stored_image(path: Path, filename: str, settings: ServiceSettings) -> StoredImage:
    """
    The facts of an image tarball that obeys the platform's rules; it is only read.

    Parameters
    ----------
    path
        Where it is stored.
    filename
        As its user knows it.
    settings
        With the caps of size.

    Raises
    ------
    InvalidPackage
        One line per broken rule.
    """
    limits = replace(
        IMAGE_LIMITS, packed_bytes=settings.max_image_bytes, unpacked_bytes=settings.max_unpacked_bytes
    )
    with _named(path, filename or "the image"):
        facts = checked_image(path, limits)
        has_training = has_program(path, TRAINING_PROGRAM)
    return StoredImage(facts.image_id, dict(facts.labels), has_training)


def check_stored_model(path: Path, filename: str, settings: ServiceSettings) -> None:
    """
    Go on only when a model tarball obeys the platform's rules; parameters as `stored_image`.

    Raises
    ------
    InvalidPackage
        One line per broken rule.
    """
    limits = replace(
        MODEL_LIMITS, packed_bytes=settings.max_model_bytes, unpacked_bytes=settings.max_unpacked_bytes
    )
    with _named(path, filename or "the model"):
        checked_model(path, limits)


@contextmanager
def _named(path: Path, filename: str) -> Iterator[None]:
    """Names the tarball in messages as its user does."""
    try:
        yield
    except InvalidPackage as error:
        lines = [f"{filename}: {line.removeprefix(f'{path.name}: ')}" for line in error.lines]
        raise InvalidPackage(*lines) from None
