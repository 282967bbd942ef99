"""Which image a node starts, pinned by what it holds."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from reseed.contracts.errors import UserError
from reseed.contracts.slurm import ContainerProgram, SlurmSettings
from reseed.orchestration.slurm.images import PinnedImage, pinned_image

DIGEST = "ab" * 32


def _archive(path: Path, *configs: bytes) -> Path:
    """An archive as docker save writes it, with an image for each config."""
    members = {f"blobs/sha256/{hashlib.sha256(config).hexdigest()}": config for config in configs}
    members["manifest.json"] = json.dumps([{"Config": name} for name in members]).encode()
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def _pinned(folder: Path, program: ContainerProgram, image: str | None) -> PinnedImage:
    settings = SlurmSettings(container=program, images={} if image is None else {"unet": image})
    return pinned_image("unet", settings, folder=folder, remembered=folder / "remembered.json")


def test_an_archive_is_known_by_its_image(tmp_path: Path):
    """By the digest that the engine knows, whatever else is in the file; with the user that it sets."""
    config = json.dumps({"config": {"User": "10001:10001"}}).encode()
    path = _archive(tmp_path / "unet.tar", config)

    found = _pinned(tmp_path, "podman", "unet.tar")

    digest = hashlib.sha256(config).hexdigest()
    assert found == PinnedImage(
        reference=f"sha256:{digest}", digest=digest, archive=str(path), user="10001:10001"
    )


def test_an_image_file_is_hashed_once(tmp_path: Path):
    """Again only when it has another size or time."""
    path = tmp_path / "unet.sif"
    path.write_bytes(b"one")
    first = _pinned(tmp_path, "apptainer", "unet.sif")
    assert first.digest == hashlib.sha256(b"one").hexdigest()
    (known,) = json.loads((tmp_path / "remembered.json").read_text())
    assert str(path) in known

    path.write_bytes(b"other")

    assert _pinned(tmp_path, "apptainer", "unet.sif").digest == hashlib.sha256(b"other").hexdigest()


@pytest.mark.parametrize("program", ["podman", "docker", "apptainer", "pyxis"])
def test_a_pinned_reference_is_taken_as_it_is(tmp_path: Path, program: ContainerProgram):
    """Its digest decides the keys of jobs."""
    reference = f"registry.example.org/unet@sha256:{DIGEST}"

    assert _pinned(tmp_path, program, reference) == PinnedImage(reference=reference, digest=DIGEST)


@pytest.mark.parametrize(
    ("program", "image", "complaint"),
    [
        ("apptainer", None, "no image for 'unet'; apptainer needs a .sif file"),
        ("pyxis", "unet:latest", "must be a file or end in @sha256"),
        ("apptainer", "/nowhere/unet.sif", "no such file"),
        ("podman", "./unet.sif", "podman starts a .tar file, got unet.sif"),
        ("podman", "two.tar", "it holds 2; save one tag"),
        ("podman", "none.tar", "not an archive of one image"),
    ],
)
def test_what_cannot_be_pinned_is_refused(
    tmp_path: Path, program: ContainerProgram, image: str | None, complaint: str
):
    """In one line, when the study is planned."""
    _archive(tmp_path / "two.tar", b"{}", b'{"config": {}}')
    (tmp_path / "none.tar").write_bytes(b"nothing")

    with pytest.raises(UserError, match=complaint):
        _pinned(tmp_path, program, image)
