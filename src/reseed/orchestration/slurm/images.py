"""Which image runs a role on a cluster, pinned so that every node runs the same bytes."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from reseed.contracts.errors import UserError
from reseed.contracts.files import write_json_atomically
from reseed.contracts.model import Contract, Sha256
from reseed.contracts.slurm import ContainerProgram, SlurmSettings
from reseed.documents.reading import json_document

ENGINES = ("podman", "docker")
_PINNED = re.compile(r"@sha256:([0-9a-f]{64})$")
_FILES = {"podman": (".tar",), "docker": (".tar",), "apptainer": (".sif",), "pyxis": (".sqsh", ".squashfs")}
_BLOCK = 1 << 20


class PinnedImage(Contract):
    """
    An image as a node is to start it.

    Of `reseed/unet` on a machine with an engine, and of an archive that `docker save` wrote, the
    digest is the one that the docker executor knows: both give jobs the same keys.
    """

    reference: str
    digest: Sha256
    archive: str | None = None
    user: str | None = None


def pinned_image(role: str, settings: SlurmSettings, *, folder: Path, remembered: Path) -> PinnedImage:
    """
    The image of a role.

    Parameters
    ----------
    role
        An algorithm's name, or `evaluation`.
    settings
        Which container program, and the images it is given.
    folder
        Where relative paths start.
    remembered
        A JSON file with the digests of image files by path, size and time; hashing gigabytes
        once is enough.

    Raises
    ------
    UserError
        When there is none, or it cannot be pinned.
    """
    program = settings.container
    given = settings.images.get(role)
    if given is None and program not in ENGINES:
        raise UserError(
            f"slurm.images: no image for {role!r}; {program} needs a {' or '.join(_FILES[program])} file on "
            "the shared folder, or a reference that ends in @sha256:<digest>"
        )
    name = given or f"reseed/{role}"
    if name.startswith(("/", "./", "../", "~")) or name.endswith(_FILES[program]):
        return _from_file(role, program, (folder / Path(name).expanduser()).resolve(), remembered)
    if found := _PINNED.search(name):
        return PinnedImage(reference=name, digest=found[1])
    if program not in ENGINES:
        raise UserError(f"slurm.images.{role}: must be a file or end in @sha256:<digest>, got {name!r}")
    return _from_engine(role, program, name)


def _from_file(role: str, program: ContainerProgram, path: Path, remembered: Path) -> PinnedImage:
    if path.suffix not in _FILES[program]:
        wanted = " or ".join(_FILES[program])
        raise UserError(f"slurm.images.{role}: {program} starts a {wanted} file, got {path.name}")
    if not path.is_file():
        raise UserError(f"slurm.images.{role}: {path}: no such file")
    if program in ENGINES:
        digest, user = _archived(path)
        return PinnedImage(reference=f"sha256:{digest}", digest=digest, archive=str(path), user=user)
    return PinnedImage(reference=str(path), digest=_file_digest(path, remembered))


def _archived(path: Path) -> tuple[str, str]:
    """The image's id and its USER, from an archive that `docker save` or `podman save` wrote."""
    try:
        with tarfile.open(path) as archive:
            entries = json.loads(_member(archive, "manifest.json"))
            n_images = len({entry["Config"] for entry in entries})
            config = _member(archive, entries[0]["Config"])
    except (tarfile.TarError, KeyError, ValueError, OSError) as error:
        raise UserError(f"{path}: not an archive of one image, as docker save writes it: {error}") from None
    if n_images != 1:
        raise UserError(
            f"{path}: not an archive of one image: it holds {n_images}; save one tag, as unet:latest"
        )
    return hashlib.sha256(config).hexdigest(), str((json.loads(config).get("config") or {}).get("User") or "")


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    if stream is None:
        raise ValueError(f"{name} is not a file")
    return stream.read()


def _from_engine(role: str, program: ContainerProgram, name: str) -> PinnedImage:
    try:
        shown = subprocess.run(
            [program, "image", "inspect", name], capture_output=True, text=True, timeout=120, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise UserError(f"slurm.images.{role}: {program} on this machine does not answer: {error}") from None
    if shown.returncode != 0:
        said = (shown.stderr.strip().splitlines() or ["no such image"])[-1]
        raise UserError(
            f"slurm.images.{role}: {program} on this machine has no image {name}: {said}; build it, or name "
            "an archive (docker save -o) on the shared folder"
        )
    (found,) = json.loads(shown.stdout)
    digest = str(found["Id"]).removeprefix("sha256:")
    user = str((found.get("Config") or {}).get("User") or "")
    return PinnedImage(reference=f"sha256:{digest}", digest=digest, user=user)


def _file_digest(path: Path, remembered: Path) -> str:
    known: Mapping[str, str] = json_document(remembered) if remembered.is_file() else {}
    status = path.stat()
    place = f"{path}:{status.st_size}:{status.st_mtime_ns}"
    if place not in known:
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
        known = {**known, place: digest.hexdigest()}
        write_json_atomically(remembered, dict(known))
    return known[place]
