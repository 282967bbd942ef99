"""The rules of a platform for an image tarball, whoever made it."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reseed.contracts.containers import MAX_MEMBERS, MEMBERS_LABEL
from reseed.orchestration.packaging.archives import GIB, InvalidPackage, TarballLimits, checked_tarball

API_METHOD_LABEL = "org.grand-challenge.api-method"
API_METHODS = ("exec", "invoke")
VERSION_LABEL = "org.opencontainers.image.version"
TITLE_LABEL = "org.opencontainers.image.title"
PUBLICATION_LABEL = "org.reseed.publication"

IMAGE_LIMITS = TarballLimits(n_entries=10_000)

_MAX_JSON_BYTES = 4 * 2**20
_BLOCK = 1 << 20


@dataclass(frozen=True)
class ImageFacts:
    """What an image tarball says of itself, after every rule has been checked."""

    image_id: str
    tags: tuple[str, ...]
    user: str
    labels: Mapping[str, str]
    n_layers: int


def checked_image(path: Path, limits: TarballLimits = IMAGE_LIMITS) -> ImageFacts:
    """
    The facts of an image tarball (`docker save`, gzip or not), which is only read.

    One image for linux/amd64; a user who is not root, by number; something to start, in exec form;
    no volume; the platform's label, if any, with a method that it knows; every layer there with the bytes
    that the image's configuration names; no entry that leads out; not too large.

    Parameters
    ----------
    path
        The tarball.
    limits
        The platform's own by default.

    Raises
    ------
    InvalidPackage
        One line per broken rule.
    """
    with checked_tarball(path, limits, links=True) as archive:
        manifest, config_bytes = _single_manifest(archive, path.name)
        config = _object(config_bytes, f"{path.name}: the image's configuration")
        mistakes = [*_config_mistakes(config), *_layer_mistakes(archive, manifest, config, limits)]
    if mistakes:
        raise InvalidPackage(*(f"{path.name}: {mistake}" for mistake in mistakes))
    own = config["config"]
    return ImageFacts(
        image_id=f"sha256:{hashlib.sha256(config_bytes).hexdigest()}",
        tags=tuple(manifest.get("RepoTags") or ()),
        user=str(own["User"]),
        labels=dict(own.get("Labels") or {}),
        n_layers=len(manifest["Layers"]),
    )


def _single_manifest(archive: tarfile.TarFile, name: str) -> tuple[dict[str, Any], bytes]:
    manifests = _parsed(_content(archive, "manifest.json", name))
    if not isinstance(manifests, list) or len(manifests) != 1 or not isinstance(manifests[0], dict):
        n_images = len(manifests) if isinstance(manifests, list) else 0
        raise InvalidPackage(f"{name}: must hold one image, holds {n_images}; save one tag alone")
    manifest = manifests[0]
    if not isinstance(manifest.get("Config"), str) or not isinstance(manifest.get("Layers"), list):
        raise InvalidPackage(f"{name}: manifest.json must name a configuration and layers")
    return manifest, _content(archive, manifest["Config"], name)


def _content(archive: tarfile.TarFile, entry: str, name: str) -> bytes:
    try:
        member = archive.getmember(entry)
        stream = archive.extractfile(member)
    except KeyError:
        stream = None
    if stream is None:
        raise InvalidPackage(f"{name}: is not an image as `docker save` writes it: it has no {entry}")
    if member.size > _MAX_JSON_BYTES:
        raise InvalidPackage(f"{name}: {entry} must be a small document, has {member.size} bytes")
    return stream.read()


def _parsed(content: bytes) -> Any:
    """JSON, or None when it is none."""
    try:
        return json.loads(content)
    except ValueError:
        return None


def _object(content: bytes, what: str) -> dict[str, Any]:
    document = _parsed(content)
    if not isinstance(document, dict) or not isinstance(document.get("config"), dict):
        raise InvalidPackage(f"{what} is not one")
    return document


def _config_mistakes(config: Mapping[str, Any]) -> list[str]:
    own = config["config"]
    mistakes = []
    platform = f"{config.get('os')}/{config.get('architecture')}"
    if platform != "linux/amd64":
        mistakes.append(f"must be for linux/amd64, is for {platform}")
    user = str(own.get("User") or "").partition(":")[0]
    if user in {"", "root"} or (user.isdecimal() and int(user) == 0):
        mistakes.append(f"must have a USER that is not root, has {own.get('User') or 'none'!r}")
    start = own.get("Entrypoint") or own.get("Cmd")
    if not isinstance(start, list) or not start:
        mistakes.append("must have an ENTRYPOINT in exec form (a list of words), has none")
    elif start[:2] in (["/bin/sh", "-c"], ["/bin/bash", "-c"]) and own.get("Entrypoint"):
        mistakes.append("must have an ENTRYPOINT in exec form, has one in shell form")
    if own.get("Volumes"):
        mistakes.append(f"must have no VOLUME, has {', '.join(sorted(own['Volumes']))}")
    labels = own.get("Labels") or {}
    method = labels.get(API_METHOD_LABEL)
    if method is not None and method not in API_METHODS:
        mistakes.append(f"label {API_METHOD_LABEL} must be {' or '.join(API_METHODS)}, is {method!r}")
    try:
        n_members_of(labels)
    except ValueError as error:
        mistakes.append(str(error))
    return mistakes


def n_members_of(labels: Mapping[str, Any]) -> int:
    """
    How many ensemble members an image trains for one run, by its label.

    Raises
    ------
    ValueError
        When the label is not a whole number from 1 to MAX_MEMBERS.
    """
    text = str(labels.get(MEMBERS_LABEL, "1"))
    if not re.fullmatch(r"[1-9][0-9]{0,2}", text) or int(text) > MAX_MEMBERS:
        raise ValueError(f"label {MEMBERS_LABEL} must be a whole number from 1 to {MAX_MEMBERS}, is {text!r}")
    return int(text)


def _layer_mistakes(
    archive: tarfile.TarFile, manifest: Mapping[str, Any], config: Mapping[str, Any], limits: TarballLimits
) -> list[str]:
    """Layers that are missing, or are not what the configuration says."""
    digests = (config.get("rootfs") or {}).get("diff_ids") or []
    layers = manifest["Layers"]
    if len(digests) != len(layers):
        return [f"must have a layer for each of the {len(digests)} digests, has {len(layers)}"]
    mistakes: list[str] = []
    left = limits.unpacked_bytes
    for layer, digest in zip(layers, digests, strict=True):
        found, n_bytes = _layer_digest(archive, str(layer), left)
        left -= n_bytes
        if left < 0:
            return [*mistakes, f"must unpack to at most {limits.unpacked_bytes / GIB:g} GiB, is larger"]
        if found is None:
            mistakes.append(f"layer {layer} is missing")
        elif f"sha256:{found}" != digest:
            mistakes.append(f"layer {layer} must have the digest {digest}, has sha256:{found}")
    return mistakes


def _layer_digest(archive: tarfile.TarFile, layer: str, at_most: int) -> tuple[str | None, int]:
    """SHA-256 and size of a layer, unpacked if it is packed; read no further than just beyond a limit."""
    try:
        stream = archive.extractfile(layer)
    except KeyError:
        return None, 0
    if stream is None:
        return None, 0
    is_packed = stream.read(2) == b"\x1f\x8b"
    stream.seek(0)
    digest = hashlib.sha256()
    source: Any = gzip.GzipFile(fileobj=stream) if is_packed else stream
    n_bytes = 0
    while n_bytes <= at_most and (block := source.read(_BLOCK)):
        digest.update(block)
        n_bytes += len(block)
    return digest.hexdigest(), n_bytes
