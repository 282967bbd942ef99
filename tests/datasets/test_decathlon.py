"""The Decathlon's tasks, from an archive, a folder or the web."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile

import pytest

from reseed.contracts.dataset import DatasetManifest
from reseed.contracts.digests import digest_by_file
from reseed.contracts.errors import InvalidDataset, UserError
from reseed.datasets import build_dataset, check_dataset, dataset_folder
from reseed.datasets.decathlon import DECATHLON, build_decathlon, forget_download, unpacked_images
from tests.datasets.sources import REPOSITORY, SHARED, decathlon_folder, task
from tests.datasets.web import file_server

TASKS = REPOSITORY / "evaluation" / "tasks"
HIPPOCAMPUS = DECATHLON[0]


@pytest.fixture
def archive(tmp_path):
    """As the Decathlon's archives are, with the files that macOS hides in them."""
    folder = decathlon_folder(tmp_path / "made" / "Task04_Hippocampus")
    path = tmp_path / "Task04_Hippocampus.tar"
    with tarfile.open(path, "w") as stream:
        stream.add(folder, arcname="Task04_Hippocampus")
        for name in ("Task04_Hippocampus/._dataset.json", "Task04_Hippocampus/imagesTr/._brain_000.nii.gz"):
            entry = tarfile.TarInfo(name)
            entry.size = 3
            stream.addfile(entry, io.BytesIO(b"mac"))
    return path


def served(archive, url="http://127.0.0.1:9/never", **changes):
    """The hippocampus task as if this archive were the published one."""
    content = archive.read_bytes()
    digests = {"md5": hashlib.md5(content).hexdigest(), "sha256": hashlib.sha256(content).hexdigest()}
    file = dataclasses.replace(HIPPOCAMPUS.archive, url=url, **(digests | changes))
    return dataclasses.replace(HIPPOCAMPUS, archive=file)


def built(known, folder, source=None):
    folder.mkdir()
    build_decathlon(
        known,
        folder,
        source,
        lambda line: None,
        task=task(known.task),
        downloads=folder.parent / ".downloads",
    )
    return check_dataset(folder)


class TestBuild:
    def test_from_the_web(self, archive, tmp_path):
        """
        A download that is cut off on its way becomes a dataset all the same, and is then removed.
        """
        with file_server(archive.read_bytes()) as server:
            server.cuts = [1000, None]
            known = served(archive, server.url)
            manifest = built(known, tmp_path / "mine")
        forget_download(known, tmp_path / ".downloads")

        assert (manifest.n_training_cases, manifest.n_test_cases) == (4, 2)
        assert "both as published" in manifest.source
        assert manifest.licence == "CC-BY-SA-4.0"
        assert not (tmp_path / ".downloads").exists()

    def test_archive_and_folder_are_the_same(self, archive, tmp_path):
        """
        An archive by hand and its folder by hand give the same files; the manifest says which it was.
        """
        known = served(archive)
        first = built(known, tmp_path / "a", archive)
        second = built(known, tmp_path / "b", tmp_path / "made")

        assert first.digest() == second.digest()
        assert "not compared with the official archive" in second.source

    def test_another_archive_is_refused(self, archive, tmp_path):
        """
        An archive with other bytes than the published ones is not unpacked.
        """
        with pytest.raises(UserError, match=r"Task04_Hippocampus\.tar must have SHA-256 282d808a"):
            built(HIPPOCAMPUS, tmp_path / "mine", archive)

    def test_a_file_that_is_cut_short(self, archive, tmp_path):
        """
        Neither a channel of a folder given by hand nor a label map may end before its end.
        """
        for folder, number in (("imagesTr", 0), ("labelsTr", 1)):
            path = tmp_path / "made" / "Task04_Hippocampus" / folder / f"brain_{number:03d}.nii.gz"
            path.write_bytes(path.read_bytes()[:-20])

        with pytest.raises(InvalidDataset) as refused:
            built(served(archive), tmp_path / "mine", tmp_path / "made")
        assert [line.split(": ", 2)[0::2] for line in str(refused.value).splitlines()] == [
            [f"case 'brain_00{number}'", "is a truncated gzip file: it ends before its end"]
            for number in (0, 1)
        ]

    def test_unpublished_digest_is_recorded(self, archive, tmp_path):
        """
        Where nobody has published a SHA-256 the manifest holds the one that arrived, and says so.
        """
        manifest = built(served(archive, sha256=None), tmp_path / "mine", archive)

        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        assert f"SHA-256 {digest}, which nobody has published, as it arrived" in manifest.source

    def test_no_patients_is_noted(self, archive, tmp_path):
        """
        The manifest says that cases of one person cannot be told.
        """
        assert any(
            "names no patients" in note for note in built(served(archive), tmp_path / "m", archive).notes
        )


class TestUnpackedImages:
    def test_only_images(self, archive, tmp_path):
        """
        What macOS hides stays in the archive.
        """
        names = digest_by_file(unpacked_images(archive, tmp_path / "scratch"))

        assert "dataset.json" in names
        assert len(names) == 13

    @pytest.mark.parametrize("name", ["../imagesTr/evil.nii.gz", "/tmp/imagesTr/evil.nii.gz"])
    def test_nothing_outside(self, archive, tmp_path, name):
        """
        A member that would lie outside never gets there.
        """
        with tarfile.open(archive, "a") as stream:
            entry = tarfile.TarInfo(name)
            entry.size = 4
            stream.addfile(entry, io.BytesIO(b"evil"))
        scratch = tmp_path / "deep" / "scratch"
        scratch.mkdir(parents=True)

        if name.startswith(".."):
            with pytest.raises(InvalidDataset, match="cannot be unpacked"):
                unpacked_images(archive, scratch)
        else:
            unpacked_images(archive, scratch)
        assert not (tmp_path / "deep" / "imagesTr").exists()
        assert not any(path.name == "evil.nii.gz" for path in (tmp_path / "deep").glob("imagesTr/*"))

    def test_damaged(self, tmp_path):
        """
        A file that is no archive is named.
        """
        (tmp_path / "x.tar").write_bytes(b"no")

        with pytest.raises(InvalidDataset, match=r"x\.tar: cannot be unpacked"):
            unpacked_images(tmp_path / "x.tar", tmp_path / "scratch")


class TestKnownDatasets:
    def test_named_datasets_are_found_in_the_folder(self, archive, tmp_path):
        """
        A converted dataset that lies among the datasets is found by its name, as the built ones are.
        """
        built(served(archive), tmp_path / "mine", archive)

        assert dataset_folder("mine", root=tmp_path, progress=print) == tmp_path / "mine"

    @pytest.mark.shared_data
    def test_real_hippocampi(self, tmp_path):
        """
        All 260 pairs, byte for byte those whose digests are listed beside them.
        """
        source = SHARED / "msd_hippocampus"
        if not source.is_dir():
            pytest.skip("no shared data")
        manifest: DatasetManifest = build_dataset(
            "msd-hippocampus", tmp_path / "mine", source=source, progress=lambda line: None, tasks=TASKS
        )
        lines = (line.split() for line in (source / "MANIFEST.sha256").read_text().splitlines())
        listed = {name.removeprefix("./"): digest for digest, name in lines}
        copied = {name: digest for name, digest in manifest.files.items() if name.endswith(".nii.gz")}

        assert (manifest.n_training_cases, manifest.n_test_cases) == (182, 78)
        assert any("hippocampus_118" in note and "hippocampus_281" in note for note in manifest.notes)
        for name, digest in copied.items():
            kind = "images" if "images" in name else "labels"
            assert listed[f"{kind}/{name.rsplit('/', 1)[-1].replace('_0000', '')}"] == digest
        assert len(copied) == 182 * 2 + 78
