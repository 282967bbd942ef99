"""The rules of images and models on stored tarballs; each rule of its own is in test_packaging.py."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from reseed.orchestration.packaging.archives import InvalidPackage
from reseed.service.images.programs import has_program
from reseed.service.images.rules import check_stored_model, stored_image
from tests.service.tarballs import PROGRAM, image_bytes, layer, model_bytes, write
from tests.service.world import settings_in

DATA = (b"", 0o644)


class TestStoredImage:
    def test_facts(self, tmp_path: Path):
        """
        The digest, the labels and whether it can be trained are kept.
        """
        found = stored_image(write(tmp_path / "i.tar", image_bytes()), "net.tar", settings_in(tmp_path))

        assert found.digest.startswith("sha256:")
        assert found.labels == {"a": "b"}
        assert found.has_training

    def test_every_violation_is_a_line(self, tmp_path: Path):
        """
        The person reads the name of their own file, and everything that is wrong at once.
        """
        content = image_bytes(User="root", Volumes={"/data": {}}, architecture="arm64")
        with pytest.raises(InvalidPackage) as refused:
            stored_image(write(tmp_path / "0f1e.tar", content), "net.tar", settings_in(tmp_path))

        assert refused.value.lines == (
            "net.tar: must be for linux/amd64, is for linux/arm64",
            "net.tar: must have a USER that is not root, has 'root'",
            "net.tar: must have no VOLUME, has /data",
        )

    @pytest.mark.parametrize("members", ["0", "101", "-1", "five", "3.0", " 3"])
    def test_the_label_of_ensembles(self, tmp_path: Path, members: str):
        """
        How many members a training has is known without running anything of the image.
        """
        content = image_bytes(Labels={"org.reseed.members": members})
        words = "net.tar: label org.reseed.members must be a whole number from 1 to 100, is"
        with pytest.raises(InvalidPackage, match=re.escape(f"{words} {members!r}")):
            stored_image(write(tmp_path / "i.tar", content), "net.tar", settings_in(tmp_path))

    def test_installations_own_caps(self, tmp_path: Path):
        """
        The sizes are those of the settings; a packed layer counts as what it unpacks to.
        """
        bomb = gzip.compress(bytes(5_000_000))
        content = image_bytes(bomb)
        small = settings_in(tmp_path, RESEED_MAX_IMAGE_BYTES="1000")
        flat = settings_in(tmp_path, RESEED_MAX_UNPACKED_BYTES="1000000")
        path = write(tmp_path / "i.tar", content)

        with pytest.raises(InvalidPackage, match=r"net\.tar: must be at most 1e-06 GB"):
            stored_image(path, "net.tar", small)
        assert len(content) < 100_000
        with pytest.raises(InvalidPackage, match=r"net\.tar: must unpack to at most .* GiB, is larger"):
            stored_image(path, "net.tar", flat)

    def test_a_layer_that_is_none(self, tmp_path: Path):
        """
        A layer with the right digest that is no tarball is said to be none.
        """
        path = write(tmp_path / "i.tar", image_bytes(b"no tarball" * 100))
        with pytest.raises(InvalidPackage, match=r"net\.tar: layer 0/layer\.tar is not a readable tarball"):
            stored_image(path, "net.tar", settings_in(tmp_path))


class TestStoredModel:
    def test_model(self, tmp_path: Path):
        """
        A model is a tarball of files; anything else is refused under its user's name for it.
        """
        check_stored_model(write(tmp_path / "m", model_bytes()), "m.tar.gz", settings_in(tmp_path))
        with pytest.raises(InvalidPackage, match=r"m\.tar\.gz: is not a readable tarball"):
            check_stored_model(write(tmp_path / "n", b"weights"), "m.tar.gz", settings_in(tmp_path))


class TestHasProgram:
    @pytest.mark.parametrize(
        ("layers", "environment", "expected"),
        [
            ([{"usr/local/bin/train": PROGRAM}], [], True),
            ([{"./usr/local/bin/train": PROGRAM}], [], True),
            ([{"usr/local/bin/train": DATA}], [], False),
            ([{"usr/local/bin/training": PROGRAM}], [], False),
            ([{"opt/train": PROGRAM}], [], False),
            ([{"opt/train": PROGRAM}], ["A=B", "PATH=/usr/bin:/opt"], True),
            ([{"usr/bin/train": PROGRAM}], ["PATH=/bin"], True),
            ([{"bin/train": PROGRAM}, {"bin/.wh.train": DATA}], [], False),
            ([{"usr/bin/train": PROGRAM}, {"usr/.wh.bin": DATA}], [], False),
            ([{"usr/bin/train": PROGRAM}, {"usr/bin/.wh..wh..opq": DATA}], [], False),
            ([{"bin/train": PROGRAM}, {"bin/.wh..wh..opq": DATA, "bin/train": PROGRAM}], [], True),
            ([{"bin/train": PROGRAM}, {"bin/train": DATA}], [], False),
        ],
    )
    def test_layers(self, tmp_path: Path, layers: list, environment: list, expected: bool):
        """
        What the layers leave of it, on the PATH that the image sets.
        """
        content = image_bytes(*(layer(files) for files in layers), Env=environment)
        assert has_program(write(tmp_path / "i.tar", content), "train") is expected
