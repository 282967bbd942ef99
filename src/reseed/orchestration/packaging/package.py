"""An algorithm's image and the model of one of its runs, ready to be uploaded."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reseed.contracts.digests import file_digest
from reseed.contracts.errors import UserError
from reseed.contracts.manifest import AlgorithmManifest
from reseed.contracts.run import RunRecord
from reseed.documents.reading import read_json
from reseed.orchestration.packaging.archives import (
    InvalidPackage,
    rewritten_tarball,
    write_folder,
)
from reseed.orchestration.packaging.image_rules import (
    PUBLICATION_LABEL,
    VERSION_LABEL,
    ImageFacts,
    checked_image,
)
from reseed.orchestration.packaging.model_rules import checked_model

MODEL_FILE = "model.tar.gz"

SaveImage = Callable[[Path], None]
"""Writes an image's tarball, as the engine gives it, to a path."""


@dataclass(frozen=True)
class Package:
    """What was written and checked: path and SHA-256 of both, and what the image says of itself."""

    image: Path
    image_sha256: str
    facts: ImageFacts
    model: Path
    model_sha256: str
    n_model_files: int


def write_package(
    manifest: AlgorithmManifest,
    run: Path,
    out: Path,
    *,
    save_image: SaveImage,
    build_command: str,
) -> Package:
    """
    Write and check the image and the model of a run; the same image and run give the same bytes.

    Parameters
    ----------
    manifest
        Of the algorithm.
    run
        STUDY_DIR/runs/<method>/<run>, with run.json and model/.
    out
        Folder for <algorithm>-<version>.tar.gz and model.tar.gz.
    save_image
        Asks the engine for the image.
    build_command
        What a person types to build an image with the right labels.

    Raises
    ------
    UserError
        When the run is another algorithm's, or is not complete.
    InvalidPackage
        One line per rule of the platform that the image or the model breaks; neither is left behind.
    """
    _check_run(manifest, run)
    image = out / f"{manifest.algorithm}-{manifest.version}.tar.gz"
    model = out / MODEL_FILE
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".package-", dir=out) as scratch:
        saved, packed, weights = (Path(scratch) / name for name in ("saved.tar", image.name, MODEL_FILE))
        save_image(saved)
        rewritten_tarball(saved, packed)
        saved.unlink()
        facts = checked_image(packed)
        _check_labels(facts, manifest, build_command)
        write_folder(weights, run / "model")
        files = checked_model(weights)
        packed.replace(image)
        weights.replace(model)
    return Package(image, file_digest(image), facts, model, file_digest(model), len(files))


def package_lines(package: Package) -> list[str]:
    """What was written, in words."""
    labels = package.facts.labels
    publication = labels.get(PUBLICATION_LABEL)
    image_mb, model_mb = (path.stat().st_size / 1e6 for path in (package.image, package.model))
    return [
        f"image  {package.image}  {image_mb:,.1f} MB  SHA-256 {package.image_sha256}",
        f"       {package.facts.image_id}, version {labels[VERSION_LABEL]}, user {package.facts.user}, "
        f"{package.facts.n_layers} layers" + (f", {publication}" if publication else ""),
        f"model  {package.model}  {model_mb:,.1f} MB  SHA-256 {package.model_sha256}",
        f"       {package.n_model_files} files, unpacked to /opt/ml/model",
    ]


def _check_run(manifest: AlgorithmManifest, run: Path) -> None:
    path = run / "run.json"
    if not path.is_file() or not (run / "model").is_dir():
        raise UserError(f"{run}: must be the folder of a finished run, with run.json and model/")
    record = read_json(path, RunRecord)
    if record.program.algorithm != manifest.algorithm:
        raise UserError(
            f"{run}: is a run of {record.program.algorithm}, and the algorithm is {manifest.algorithm}"
        )
    if record.program.version != manifest.version:
        raise UserError(
            f"{run}: was trained with version {record.program.version} of {manifest.algorithm}, which is now "
            f"{manifest.version}; another version may not read its weights"
        )


def _check_labels(facts: ImageFacts, manifest: AlgorithmManifest, build_command: str) -> None:
    version = facts.labels.get(VERSION_LABEL)
    if version != manifest.version:
        raise InvalidPackage(
            f"image {', '.join(facts.tags) or facts.image_id}: label {VERSION_LABEL} must be "
            f"{manifest.version}, is {version or 'missing'}; build it: {build_command}"
        )
