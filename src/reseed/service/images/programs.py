"""Which programs an image has on its PATH, seen from its layers without an engine."""

from __future__ import annotations

import json
import tarfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from reseed.orchestration.packaging.archives import InvalidPackage

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts
_REMOVED = ".wh."
_REMOVED_FOLDER = ".wh..wh..opq"


def has_program(path: Path, name: str) -> bool:
    """
    Whether an image has a program of a name on its PATH.

    A later layer may replace it, or remove it or its folder. A link counts as what it is called.

    Parameters
    ----------
    path
        The image's tarball, which has been checked.
    name
        Of the program, without a folder.

    Raises
    ------
    InvalidPackage
        When a layer is not a tarball.
    """
    with tarfile.open(path) as archive:
        manifest = json.load(_stream(archive, "manifest.json"))[0]
        config = json.load(_stream(archive, manifest["Config"]))
        folders = _folders(config["config"].get("Env") or ())
        found: set[str] = set()
        for layer in manifest["Layers"]:
            try:
                with tarfile.open(fileobj=_stream(archive, layer), mode="r|*") as contents:
                    _apply(contents, name, folders, found)
            except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
                raise InvalidPackage(
                    f"{path.name}: layer {layer} is not a readable tarball: {error}"
                ) from None
    return bool(found)


def _stream(archive: tarfile.TarFile, entry: str) -> Any:
    stream = archive.extractfile(entry)
    if stream is None:
        raise ValueError(f"{entry} is not a file; the image has not been checked")
    return stream


def _folders(environment: Iterable[str]) -> frozenset[str]:
    value = next((each[5:] for each in environment if each.startswith("PATH=")), _DEFAULT_PATH)
    folders = {folder.strip("/") for folder in value.split(":") if folder}
    # Debian keeps /bin and /sbin in /usr, by links
    return frozenset(folders | {f"usr/{folder}" for folder in folders & {"bin", "sbin"}})


def _apply(layer: tarfile.TarFile, name: str, folders: frozenset[str], found: set[str]) -> None:
    """What a layer adds to, and takes from, the programs of that name found in the layers below."""
    below = set(found)
    for member in layer:
        place = PurePosixPath("/" + member.name)
        folder = str(place.parent).strip("/")
        if place.name == _REMOVED_FOLDER:
            found -= {each for each in below if f"{each}/".startswith(f"{folder}/" if folder else "")}
        elif place.name.startswith(_REMOVED):
            gone = f"{folder}/{place.name.removeprefix(_REMOVED)}".strip("/")
            found -= {each for each in below if each == gone or each.startswith(f"{gone}/")}
        elif place.name == name and folder in folders:
            is_program = member.issym() or member.islnk() or (member.isfile() and bool(member.mode & 0o111))
            (found.add if is_program else found.discard)(f"{folder}/{name}")
