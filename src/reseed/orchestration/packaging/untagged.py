"""The tarball of an image as an engine loads it, without any name that its maker gave it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from reseed.orchestration.packaging.archives import InvalidPackage


@contextmanager
def untagged_stream(path: Path) -> Iterator[IO[bytes]]:
    """
    What `docker load` reads of an image tarball, with its tags left out; nothing is stored.

    Only manifest.json, the configuration and the layers that it names are passed on.

    Parameters
    ----------
    path
        As `docker save` writes it, gzip or not; its rules have been checked.

    Raises
    ------
    InvalidPackage
        When it is not such a tarball.
    """
    try:
        with tarfile.open(path) as archive:
            stream = archive.extractfile("manifest.json")
            manifest = _single(json.load(stream) if stream is not None else None)
            wanted = [manifest["Config"], *dict.fromkeys(manifest["Layers"])]
            reading, writing = os.pipe()
            errors: list[Exception] = []
            writer = threading.Thread(
                target=_write, args=(archive, manifest, wanted, writing, errors), daemon=True
            )
            writer.start()
            try:
                with os.fdopen(reading, "rb") as piped:
                    yield piped
            finally:
                writer.join()
            if errors:
                raise errors[0]
    except (tarfile.TarError, KeyError, TypeError, ValueError, EOFError, FileNotFoundError) as error:
        raise InvalidPackage(f"{path.name}: is not an image as `docker save` writes it: {error}") from None


def _write(
    archive: tarfile.TarFile,
    manifest: dict[str, object],
    wanted: list[str],
    writing: int,
    errors: list[Exception],
) -> None:
    try:
        # the reader may have seen enough, or gone away
        with (
            contextlib.suppress(BrokenPipeError),
            os.fdopen(writing, "wb") as piped,
            tarfile.open(fileobj=piped, mode="w|", format=tarfile.PAX_FORMAT) as out,
        ):
            for name in wanted:
                member = _file(archive, name)
                entry = tarfile.TarInfo(name)
                entry.size = member.size
                out.addfile(entry, archive.extractfile(member))
            content = json.dumps([{**manifest, "RepoTags": None}]).encode()
            entry = tarfile.TarInfo("manifest.json")
            entry.size = len(content)
            out.addfile(entry, io.BytesIO(content))
    except Exception as error:  # noqa: BLE001  (raised again by whoever reads)
        errors.append(error)


def _file(archive: tarfile.TarFile, name: str) -> tarfile.TarInfo:
    """An entry, or the one that it links to: older engines save a layer once that is there twice."""
    member = archive.getmember(name)
    if member.issym():
        return archive.getmember(os.path.normpath(PurePosixPath(name).parent / member.linkname))
    return archive.getmember(member.linkname) if member.islnk() else member


def _single(manifests: object) -> dict[str, Any]:
    if not isinstance(manifests, list) or len(manifests) != 1 or not isinstance(manifests[0], dict):
        raise ValueError("manifest.json must name one image")
    return manifests[0]
