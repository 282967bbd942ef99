"""Parts of the worker that need no engine: tarballs without their names, models, words, arguments."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reseed.cli import app
from reseed.contracts.errors import NoSpaceLeft
from reseed.orchestration.packaging.archives import InvalidPackage
from reseed.orchestration.packaging.untagged import untagged_stream
from reseed.service.database.models import Phase
from reseed.service.worker.evaluating import without_case_names
from reseed.service.worker.models import unpack_model
from reseed.service.worker.program import last_line
from tests.service.worker.world import environment
from tests.small_disk import small_disk


def _tar(path: Path, **files: bytes | str) -> Path:
    """A tarball of files, or of links where the content is text."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name.replace("__", "/").replace("_json", ".json"))
            entry.mode = 0o600
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                archive.addfile(entry)
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return path


class TestUntaggedStream:
    def test_tags_and_other_files_are_left_out(self, tmp_path: Path):
        """
        The engine sees configuration and layers, byte for byte, and no name; a layer may be a link.
        """
        manifest = [
            {"Config": "c_json", "RepoTags": ["reseed/evaluation:latest"], "Layers": ["a__l", "b__l"]}
        ]
        text = json.dumps(manifest).replace("__", "/").replace("_json", ".json").encode()
        layer = bytes(range(256)) * 4096
        path = _tar(
            tmp_path / "image.tar",
            c_json=b"{}",
            a__l=layer,
            b__l="../a/l",
            index_json=b"{}",
            manifest_json=text,
        )
        with untagged_stream(path) as stream:
            content = io.BytesIO(stream.read())
        with tarfile.open(fileobj=content) as archive:
            assert archive.getnames() == ["c.json", "a/l", "b/l", "manifest.json"]
            found = {name: archive.extractfile(name) for name in archive.getnames()}
            assert all(each is not None for each in found.values())
            read = {name: each.read() for name, each in found.items() if each is not None}
        assert read["a/l"] == read["b/l"] == layer
        assert json.loads(read["manifest.json"])[0]["RepoTags"] is None

    def test_a_reader_that_goes_away(self, tmp_path: Path):
        """
        Whoever writes into the pipe is not left waiting.
        """
        manifest = json.dumps([{"Config": "c", "Layers": ["l"]}]).encode()
        path = _tar(tmp_path / "image.tar", c=b"{}", l=bytes(1 << 20), manifest_json=manifest)
        with untagged_stream(path) as stream:
            assert stream.read(10)

    @pytest.mark.parametrize(
        "files",
        [
            {"other": b"{}"},
            {"manifest_json": b"[]"},
            {"manifest_json": b'[{"Config": "missing", "Layers": []}]'},
        ],
    )
    def test_what_is_no_image(self, tmp_path: Path, files: dict[str, bytes]):
        """
        It is refused in one line.
        """
        path = _tar(tmp_path / "image.tar", **files)
        with (
            pytest.raises(InvalidPackage, match=r"image\.tar: is not an image as `docker save` writes it"),
            untagged_stream(path) as stream,
        ):
            stream.read()


class TestModels:
    def test_any_user_can_read_what_is_unpacked(self, tmp_path: Path):
        """
        Whatever modes the tarball has; and a second time nothing is done.
        """
        folder = tmp_path / "run" / "model"
        tarball = _tar(tmp_path / "model.tar.gz", weights=b"1", sub__more=b"2")
        unpack_model(tarball, folder)
        assert (folder / "sub" / "more").read_bytes() == b"2"
        assert (folder / "weights").stat().st_mode & 0o777 == 0o644
        tarball.unlink()
        unpack_model(tarball, folder)

    def test_a_model_that_leads_out(self, tmp_path: Path):
        """
        It is refused, and there is no half of it.
        """
        with pytest.raises(InvalidPackage, match="must be a file or a folder, is a link"):
            unpack_model(_tar(tmp_path / "model.tar.gz", weights="/etc/passwd"), tmp_path / "model")
        assert not (tmp_path / "model").exists()

    def test_a_disk_that_fills_up(self, tmp_path: Path):
        """
        It is the service's, and the submission is not to blame: it can be tried again.
        """
        tarball = _tar(tmp_path / "model.tar.gz", weights=bytes(12 << 20))
        with small_disk(tmp_path / "disk", n_mib=8) as disk:
            with pytest.raises(NoSpaceLeft, match="a model cannot be unpacked"):
                unpack_model(tarball, disk / "model")
            assert not (disk / "model").exists()


def test_names_of_hidden_cases_become_places():
    """
    Wherever they stand, but not in other words; a name that is a usual number stays a number.
    """
    names = ["7", "lung", "lung-1", "lung-10"]
    phase = Phase(slug="final", cases_folder="", trial_case=None)
    assert (
        without_case_names("case 'lung-10': must be over 7; got lung and lung-1, not lungs", phase, names)
        == "case 4 of 4: must be over 7; got case 2 of 4 and case 3 of 4, not lungs"
    )
    assert (
        without_case_names("case '7': has no prediction", phase, names) == "the first case: has no prediction"
    )


@pytest.mark.parametrize(
    ("printed", "line"),
    [
        ("", ""),
        ("first\n\n  last \n \n", "last"),
        ("\x1b[31mred\x00\x1b[0m\n", "[31mred[0m"),
        ("x" * 2000, "x" * 500),
    ],
)
def test_the_last_line_is_fit_to_be_shown(printed: str, line: str):
    """
    Neither empty, nor with control characters, nor endless.
    """
    assert last_line(printed) == line


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--kind", "dance"], "must be one of check_image, check_model, start, preprocess"),
        (["--gpus", "all"], "must be numbers with commas, got 'all'"),
    ],
)
def test_arguments_of_the_command_are_checked(tmp_path: Path, arguments: list[str], complaint: str):
    """
    Before anything is opened.
    """
    variables = environment(tmp_path, f"sqlite:///{tmp_path}/x.sqlite3", COLUMNS="200")
    result = CliRunner().invoke(app, ["worker", *arguments], env=variables)
    assert result.exit_code == 2
    assert complaint in result.output
    assert not (tmp_path / "x.sqlite3").exists()
