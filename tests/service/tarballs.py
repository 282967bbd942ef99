"""Small images and models as `docker save` and `tar` write them, made without an engine."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

Files = dict[str, tuple[bytes, int]]
"""Contents and mode by name."""

PROGRAM = (b"#!/bin/sh\n", 0o755)


def layer(files: Files) -> bytes:
    """A layer with these files."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, (content, mode) in files.items():
            _add(archive, name, content, mode)
    return stream.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def image_bytes(*layers: bytes, architecture: str = "amd64", **config: Any) -> bytes:
    """An image of these layers; one with an executable `train` when none is given."""
    layers = layers or (layer({"usr/local/bin/train": PROGRAM}),)
    digests = [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in layers]
    document = {
        "os": "linux",
        "architecture": architecture,
        "config": {"User": "1000", "Entrypoint": ["/usr/bin/env"], "Labels": {"a": "b"}, **config},
        "rootfs": {"type": "layers", "diff_ids": digests},
    }
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        manifest = [{"Config": "config.json", "RepoTags": ["net:1"], "Layers": names}]
        _add(archive, "manifest.json", json.dumps(manifest).encode())
        _add(archive, "config.json", json.dumps(document).encode())
        for name, content in zip(names, layers, strict=True):
            _add(archive, name, content)
    return stream.getvalue()


def model_bytes(content: bytes = b"weights") -> bytes:
    """A model of one file."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        _add(archive, "weights.bin", content)
    return stream.getvalue()


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
