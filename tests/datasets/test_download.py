"""Downloads that are cut off and go on."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from reseed.contracts.errors import InfrastructureError, UserError
from reseed.datasets.download import PublishedFile, check_digests, downloaded
from tests.datasets.web import file_server

CONTENT = np.random.default_rng(0).bytes(300_000)
SAID: list[str] = []


def published(url, content=CONTENT, **changes):
    digests = {
        "md5": hashlib.md5(content).hexdigest(),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return PublishedFile(url=url, name="archive.tar", n_bytes_about=len(content), **(digests | changes))


@pytest.fixture
def server():
    with file_server(CONTENT) as server:
        yield server


def get(file, folder):
    return downloaded(file, folder, progress=SAID.append, pause_s=0)


class TestDownloaded:
    def test_whole_at_once(self, server, tmp_path):
        """
        A file arrives as it is, and nothing else is left in the folder.
        """
        path = get(published(server.url), tmp_path / "new")

        assert path.read_bytes() == CONTENT
        assert [each.name for each in path.parent.iterdir()] == ["archive.tar"]

    def test_a_cut_connection_goes_on(self, server, tmp_path):
        """
        After each cut only the rest is asked for.
        """
        server.cuts = [100_000, 50_000, None]

        assert get(published(server.url), tmp_path).read_bytes() == CONTENT
        assert server.ranges == [None, "bytes=100000-", "bytes=150000-"]

    def test_another_process_goes_on(self, server, tmp_path):
        """
        What a process left behind when it gave up is continued by the next.
        """
        server.cuts = [100_000, 0, 0, 0, 0, 0]
        with pytest.raises(InfrastructureError, match=r"100,000 bytes are in .*archive\.tar\.part"):
            get(published(server.url), tmp_path)
        server.ranges.clear()

        assert get(published(server.url), tmp_path).read_bytes() == CONTENT
        assert server.ranges == ["bytes=100000-"]

    def test_another_file_starts_anew(self, server, tmp_path):
        """
        A part of a file that has changed on the server is not continued.
        """
        server.cuts = [100_000, 0, 0, 0, 0, 0]
        with pytest.raises(InfrastructureError):
            get(published(server.url), tmp_path)
        server.content, server.etag = CONTENT[::-1], '"two"'

        assert get(published(server.url, CONTENT[::-1]), tmp_path).read_bytes() == CONTENT[::-1]

    def test_a_server_without_ranges(self, server, tmp_path):
        """
        A server that always sends the whole file is taken at its word.
        """
        server.knows_ranges = False
        server.cuts = [100_000, None]

        assert get(published(server.url), tmp_path).read_bytes() == CONTENT

    def test_what_is_there_is_not_fetched(self, server, tmp_path):
        """
        A second call asks the server nothing.
        """
        get(published(server.url), tmp_path)
        server.ranges.clear()

        get(published(server.url), tmp_path)
        assert server.ranges == []

    @pytest.mark.parametrize("digest", ["md5", "sha256"])
    def test_other_bytes_are_refused(self, server, tmp_path, digest):
        """
        A file with another digest is refused and not kept.
        """
        name = {"md5": "MD5", "sha256": "SHA-256"}[digest]
        with pytest.raises(UserError, match=rf"archive\.tar must have {name} 0+, got [0-9a-f]+"):
            get(published(server.url, **{digest: "0" * 32}), tmp_path)

        assert list(tmp_path.iterdir()) == []

    def test_not_found(self, server, tmp_path):
        """
        An answer that will not change is not asked for again, and --from is pointed out.
        """
        server.status = 404

        with pytest.raises(InfrastructureError, match=r"answers 404 .*--from"):
            get(published(server.url), tmp_path)
        assert len(server.ranges) == 1

    def test_no_server(self, tmp_path):
        """
        Without a connection five tries are made.
        """
        with file_server(b"") as gone:
            url = gone.url
        SAID.clear()

        with pytest.raises(InfrastructureError, match=r"cannot be downloaded \(.*refused.*\)"):
            get(published(url), tmp_path)
        assert len(SAID) == 5  # what is downloaded, and four times that it goes on


class TestCheckDigests:
    def test_unpublished_digests_are_found(self, tmp_path):
        """
        A digest that nobody has published is computed and not compared.
        """
        (tmp_path / "archive.tar").write_bytes(CONTENT)

        found = check_digests(published("x", sha256=None), tmp_path / "archive.tar")
        assert found.sha256 == hashlib.sha256(CONTENT).hexdigest()
