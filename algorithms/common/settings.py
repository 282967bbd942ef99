"""An algorithm's manifest, and settings read by it."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from pydantic import ValidationError

from reseed.contracts.errors import InvalidDocument
from reseed.contracts.manifest import AlgorithmManifest, SettingValue, Stage


def algorithm_manifest(folder: Path) -> AlgorithmManifest:
    """
    manifest.yaml of an algorithm folder.

    Raises
    ------
    InvalidDocument
        When it breaks the contract, one line per mistake.
    """
    path = folder / "manifest.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        return AlgorithmManifest.model_validate(document)
    except ValidationError as error:
        mistakes = error.errors(include_url=False)
        lines = (f"{path}: {'.'.join(map(str, mistake['loc']))}: {mistake['msg']}" for mistake in mistakes)
        raise InvalidDocument(*lines) from None


def read_settings(path: Path, manifest: AlgorithmManifest, stage: Stage) -> dict[str, SettingValue]:
    """
    The settings of one entry point, defaults made explicit, from hyperparameters.json.

    A setting of another entry point is checked and then left out; no file means all defaults.

    Raises
    ------
    InvalidDocument
        When it is not a flat JSON object of strings, or a setting is unknown or out of its limits.
    """
    if not path.exists():
        return manifest.resolved_settings({}, stage=stage)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidDocument(f"{path}: not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidDocument(f"{path}: must be a JSON object, got {type(document).__name__}")
    for key, value in document.items():
        if not isinstance(value, str):
            raise InvalidDocument(f"{path}: setting {key!r} must be a string, got {json.dumps(value)[:60]}")
    try:
        return manifest.resolved_settings(document, stage=stage)
    except InvalidDocument as error:
        raise InvalidDocument(*(f"{path}: {line}" for line in error.lines)) from None
