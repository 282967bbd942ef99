"""The upload protocol, request by request; test_upload_clients.py has real clients and servers."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import shutil
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from reseed.service.database.columns import now_utc
from reseed.service.database.models import Upload
from reseed.service.domain.states import UploadState
from reseed.service.images.keeping import remove_refused
from reseed.service.uploads import admission
from reseed.service.uploads.headers import checksum_of, http_date, metadata_header, metadata_of
from reseed.service.uploads.refusals import InvalidHeader, UploadGone
from reseed.service.uploads.retention import expire_uploads
from reseed.service.uploads.storage import RunningDigests, locked_file
from tests.service.world import World, build_world, small_world

CONTENT = bytes(range(256)) * 40
TUS = {"Tus-Resumable": "1.0.0"}
PART = {**TUS, "Content-Type": "application/offset+octet-stream"}
UPLOADS = "/api/v1/uploads/"


@pytest.fixture(scope="module")
def world(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all tests here, each of which looks at its own uploads."""
    with small_world(migrated_sqlite, tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with world.client("participant") as client:
        yield client


def begin(client: TestClient, size: int = len(CONTENT), **headers: str) -> str:
    answer = client.post(UPLOADS, headers={**TUS, "Upload-Length": str(size), **headers})
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


def send(client: TestClient, url: str, offset: int, content: bytes, **headers: str):
    return client.patch(url, content=content, headers={**PART, "Upload-Offset": str(offset), **headers})


def offset_of(client: TestClient, url: str) -> int:
    answer = client.head(url, headers=TUS)
    assert answer.status_code == 200
    return int(answer.headers["Upload-Offset"])


def row_of(world: World, url: str) -> Upload:
    with world.database.read() as session:
        return session.get_one(Upload, UUID(url.rstrip("/").rpartition("/")[2]))


class TestProtocol:
    def test_describes_itself(self, client: TestClient):
        """
        OPTIONS says what can be asked for.
        """
        answer = client.options(UPLOADS)

        assert answer.status_code == 204
        assert answer.headers["Tus-Version"] == "1.0.0"
        assert answer.headers["Tus-Checksum-Algorithm"] == "sha1,sha256,md5"
        assert answer.headers["Tus-Max-Size"] == str(10 * 2**30)
        assert set(answer.headers["Tus-Extension"].split(",")) == {
            "creation",
            "creation-with-upload",
            "checksum",
            "termination",
            "expiration",
        }

    def test_in_parts(self, world: World, client: TestClient):
        """
        Bytes arrive in parts; the digest is of all of them, and the file holds them.
        """
        metadata = metadata_header({"filename": "../net.tar.gz"})
        url = begin(client, len(CONTENT), **{"Upload-Metadata": metadata})
        assert offset_of(client, url) == 0
        for start in range(0, len(CONTENT), 4000):
            answer = send(client, url, start, CONTENT[start : start + 4000])
            assert answer.status_code == 204
            assert answer.headers["Tus-Resumable"] == "1.0.0"
            assert int(answer.headers["Upload-Offset"]) == min(start + 4000, len(CONTENT))

        document = client.get(url).json()
        assert document["sha256"] == hashlib.sha256(CONTENT).hexdigest()
        assert document["status"] == "Finished"
        assert document["filename"] == "net.tar.gz"
        assert world.installation.folder.upload(UUID(document["pk"])).read_bytes() == CONTENT
        assert client.head(url, headers=TUS).headers["Upload-Metadata"] == metadata

    def test_creation_with_upload(self, client: TestClient):
        """
        The first request may bring the first bytes.
        """
        answer = client.post(
            UPLOADS, content=CONTENT[:100], headers={**PART, "Upload-Length": str(len(CONTENT))}
        )

        assert answer.status_code == 201
        assert answer.headers["Upload-Offset"] == "100"
        assert send(client, answer.headers["Location"], 100, CONTENT[100:]).status_code == 204

    @pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
    def test_checksum(self, world: World, client: TestClient, algorithm: str):
        """
        A body that is not what its checksum says leaves no byte; the right one does.
        """
        url = begin(client)
        digest = base64.b64encode(hashlib.new(algorithm, CONTENT).digest()).decode()
        damaged = CONTENT[:-1] + b"?"
        refused = send(client, url, 0, damaged, **{"Upload-Checksum": f"{algorithm} {digest}"})

        assert refused.status_code == 460
        assert refused.json()["title"] == "Checksum Mismatch"
        assert offset_of(client, url) == 0
        assert world.installation.folder.upload(row_of(world, url).pk).stat().st_size == 0
        taken = send(client, url, 0, CONTENT, **{"Upload-Checksum": f"{algorithm} {digest}"})
        assert taken.status_code == 204
        assert row_of(world, url).sha256 == hashlib.sha256(CONTENT).hexdigest()

    def test_expiry_is_announced(self, world: World, client: TestClient):
        """
        Who has not finished knows until when to go on.
        """
        url = begin(client)
        deadline = row_of(world, url).deadline

        assert deadline is not None
        assert client.head(url, headers=TUS).headers["Upload-Expires"] == http_date(deadline)

    def test_method_override(self, client: TestClient):
        """
        A firewall that knows only POST is no obstacle.
        """
        url = begin(client)
        patch = {**PART, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}

        assert client.post(url, content=CONTENT, headers=patch).status_code == 204
        head = client.post(url, headers={**TUS, "X-HTTP-Method-Override": "HEAD"})
        assert head.headers["Upload-Offset"] == str(len(CONTENT))
        assert client.post(url, headers=TUS).status_code == 400
        assert client.post(url, headers={**TUS, "X-HTTP-Method-Override": "DELETE"}).status_code == 204

    def test_bytes_that_never_counted_are_cut(self, world: World, client: TestClient):
        """
        What lies behind the offset after a crash was never confirmed, and is written again.
        """
        url = begin(client)
        send(client, url, 0, CONTENT[:100])
        path = world.installation.folder.upload(row_of(world, url).pk)
        path.write_bytes(CONTENT[:100] + b"half a block")

        assert offset_of(client, url) == 100
        assert send(client, url, 100, CONTENT[100:]).status_code == 204
        assert path.read_bytes() == CONTENT
        assert row_of(world, url).sha256 == hashlib.sha256(CONTENT).hexdigest()

    def test_lost_bytes(self, world: World, client: TestClient):
        """
        A disk that lost confirmed bytes is said so, never filled with zeros.
        """
        url = begin(client)
        send(client, url, 0, CONTENT[:100])
        world.installation.folder.upload(row_of(world, url).pk).write_bytes(b"")

        answer = send(client, url, 100, CONTENT[100:])
        assert answer.status_code == 410
        assert "of the upload's 100 bytes 0 are left" in answer.json()["detail"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("headers", "status", "words"),
        [
            ({}, 412, "Tus-Resumable must be 1.0.0, is missing"),
            ({"Tus-Resumable": "0.2"}, 412, "is 0.2"),
            (TUS, 400, "Upload-Length must be a number of bytes, is missing"),
            ({**TUS, "Upload-Length": "-1"}, 400, "is -1"),
            ({**TUS, "Upload-Length": "0"}, 400, "at least 1"),
            ({**TUS, "Upload-Length": "9" * 30}, 400, "is 999"),
            ({**TUS, "Upload-Defer-Length": "1"}, 400, "Upload-Length"),
            ({**TUS, "Upload-Length": str(2**40)}, 413, f"at most {10 * 2**30} bytes"),
            ({**TUS, "Upload-Length": "9", "Upload-Metadata": "filename ??"}, 400, "must be text in Base64"),
            ({**TUS, "Upload-Length": "9", "Upload-Metadata": "a YQ==,a YQ=="}, 400, "there once: 'a'"),
        ],
    )
    def test_creation(self, client: TestClient, headers: dict, status: int, words: str):
        """
        What cannot be an upload is refused in one line, before anything is kept.
        """
        before = client.get(UPLOADS).json()["count"]
        answer = client.post(UPLOADS, headers=headers)

        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["Tus-Resumable"] == "1.0.0"
        assert words in answer.json()["detail"]
        assert client.get(UPLOADS).json()["count"] == before

    @pytest.mark.parametrize(
        ("headers", "status", "words"),
        [
            ({"Upload-Offset": "5"}, 409, "the upload has 0 bytes, the request begins at 5"),
            ({"Upload-Offset": "x"}, 400, "Upload-Offset must be a number of bytes, is x"),
            ({"Content-Type": "text/plain"}, 415, "is text/plain"),
            ({"Tus-Resumable": "2.0.0"}, 412, "is 2.0.0"),
            ({"Upload-Checksum": "crc32 AAAA"}, 400, "must be sha1 or sha256 or md5, is 'crc32'"),
            ({"Upload-Checksum": "sha1 AAAA"}, 400, "must be sha1 and its digest in Base64"),
        ],
    )
    def test_part(self, client: TestClient, headers: dict, status: int, words: str):
        """
        A part that does not fit changes nothing.
        """
        url = begin(client)
        answer = send(client, url, 0, CONTENT, **headers)

        assert answer.status_code == status
        assert words in answer.json()["detail"]
        assert offset_of(client, url) == 0

    def test_more_than_announced(self, client: TestClient):
        """
        An upload never grows beyond its length, whether the body's is announced or not.
        """
        url = begin(client, 10)
        announced = send(client, url, 0, b"x" * 11)
        streamed = client.patch(
            url, content=iter([b"x" * 6, b"x" * 6]), headers={**PART, "Upload-Offset": "0"}
        )

        assert announced.status_code == streamed.status_code == 413
        assert offset_of(client, url) == 0

    def test_finished(self, client: TestClient):
        """
        Nothing is added to what is whole.
        """
        url = begin(client)
        send(client, url, 0, CONTENT)

        assert send(client, url, len(CONTENT), b"").status_code == 409

    def test_two_at_once(self, world: World, client: TestClient):
        """
        Who comes second while another writes is told so, and harms nothing.
        """
        url = begin(client)
        with locked_file(world.installation.folder.upload(row_of(world, url).pk)):
            assert send(client, url, 0, CONTENT).status_code == 423
            assert client.delete(url, headers=TUS).status_code == 423
        assert send(client, url, 0, CONTENT).status_code == 204

    def test_of_another(self, world: World, client: TestClient):
        """
        Another's upload is not there.
        """
        url = begin(client)
        with world.client("other_participant") as other:
            assert other.head(url, headers=TUS).status_code == 404
            assert other.get(url).status_code == 404
            assert send(other, url, 0, CONTENT).status_code == 404
            assert other.delete(url, headers=TUS).status_code == 404
            assert other.get(UPLOADS).json()["count"] == 0
        assert offset_of(client, url) == 0


class TestQuota:
    def test_of_a_user(self, sqlite_database, tmp_path: Path):
        """
        Open and finished uploads, images and models count; a terminated one gives its room back.
        """
        world = build_world(sqlite_database, tmp_path, RESEED_QUOTA_BYTES="3000")
        with world.client("participant") as client:
            # 1000 of an image, 10 of a model and 1000 of an upload are the participant's already
            url = begin(client, 990)
            refused = client.post(UPLOADS, headers={**TUS, "Upload-Length": "1"})
            assert refused.status_code == 413
            words = (
                "you may keep 3 KiB and keep 3 KiB already, this upload has 1 bytes: remove images, models"
            )
            assert words in refused.json()["detail"]
            assert client.get("/api/v1/me/").json()["storage"] == {
                "quota_bytes": 3000,
                "kept_bytes": 3000,
                "uploads_bytes": 1990,
                "images_bytes": 1000,
                "models_bytes": 10,
            }
            assert "3.0 kB of 3.0 kB" in client.get("/account/").text
            assert client.delete(url, headers=TUS).status_code == 204
            begin(client, 990)
            # a model that no submission needs gives its room back at once, and its bytes soon
            stored = world.installation.folder.model(UUID(world.names["model"]))
            stored.parent.mkdir()
            stored.write_bytes(b"weights")
            assert client.delete(f"/api/v1/algorithms/models/{world.names['model']}/").status_code == 204
            begin(client, 10)
            assert remove_refused(world.database, world.installation.folder) == 1
            assert not stored.exists()
            refused = client.delete(f"/api/v1/algorithms/images/{world.names['image']}/")
            assert refused.status_code == 409
            assert f"submission {world.names['submission']} needs it" in refused.json()["detail"]
        with world.client("other_participant") as other:
            begin(other, 3000)

    def test_disk(self, world: World, client: TestClient, monkeypatch: pytest.MonkeyPatch):
        """
        What other uploads were promised is not promised twice.
        """
        with world.database.read() as session:
            promised = sum(
                upload.size_bytes - upload.offset
                for upload in session.scalars(select(Upload).where(Upload.state == UploadState.OPEN))
            )
        # of the room for 4 GiB others on this machine may take or give back one meanwhile
        free = shutil.disk_usage(world.installation.folder.root).free
        monkeypatch.setattr(admission, "KEPT_FREE_BYTES", free - promised - 4 * 2**30)
        begin(client, 3 * 2**30)
        refused = client.post(UPLOADS, headers={**TUS, "Upload-Length": str(3 * 2**30)})

        assert refused.status_code == 507
        assert "no room for this upload now" in refused.json()["detail"]


class TestEnd:
    def test_termination(self, world: World, client: TestClient):
        """
        A terminated upload is gone, with its bytes, and stays gone.
        """
        url = begin(client)
        send(client, url, 0, CONTENT[:100])
        path = world.installation.folder.upload(row_of(world, url).pk)

        assert client.delete(url, headers=TUS).status_code == 204
        assert not path.exists()
        assert client.head(url, headers=TUS).status_code == 410
        assert send(client, url, 100, CONTENT[100:]).status_code == 410
        assert client.delete(url, headers=TUS).status_code == 410
        assert not path.exists()

    def test_expiry(self, world: World, client: TestClient):
        """
        Past its deadline an upload is over at once, and its bytes go when somebody cleans up.
        """
        late, other = begin(client), begin(client)
        for url in (late, other):
            send(client, url, 0, CONTENT[:100])
        with world.database.write() as session:
            session.get_one(Upload, row_of(world, late).pk).deadline = now_utc() - timedelta(seconds=1)

        assert client.head(late, headers=TUS).status_code == 410
        assert send(client, late, 100, CONTENT[100:]).status_code == 410
        assert expire_uploads(world.database, world.installation.folder) == 1
        assert row_of(world, late).state is UploadState.EXPIRED
        assert row_of(world, late).reason == "not finished in time"
        assert not world.installation.folder.upload(row_of(world, late).pk).exists()
        assert offset_of(client, other) == 100
        assert expire_uploads(world.database, world.installation.folder) == 0

    def test_a_writer_is_left_alone(self, world: World, client: TestClient):
        """
        A file that somebody writes is removed the next time.
        """
        url = begin(client)
        send(client, url, 0, CONTENT[:100])
        with world.database.write() as session:
            session.get_one(Upload, row_of(world, url).pk).deadline = now_utc() - timedelta(seconds=1)
        path = world.installation.folder.upload(row_of(world, url).pk)
        with locked_file(path):
            assert expire_uploads(world.database, world.installation.folder) == 0
        assert path.exists()
        assert expire_uploads(world.database, world.installation.folder) == 1


_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


class TestHeaders:
    @settings(max_examples=50, deadline=None)
    @given(st.dictionaries(st.sampled_from(["filename", "sha256", "x"]), _TEXT))
    def test_metadata_round_trip(self, metadata: dict[str, str]):
        """
        Any text survives; a key may have none.
        """
        assert metadata_of(metadata_header(metadata)) == metadata

    @settings(max_examples=50, deadline=None)
    @given(st.text(max_size=60))
    def test_anything_is_read_or_refused(self, text: str):
        """
        No header makes the service fail.
        """
        for read in (metadata_of, checksum_of):
            with contextlib.suppress(InvalidHeader):
                read(text)


class TestRunningDigests:
    def test_any_history_gives_the_digest_of_the_bytes(self, tmp_path: Path):
        """
        Remembered, forgotten, behind or ahead: the digest is of exactly the bytes before the offset.
        """
        pk = UUID(int=1)
        with locked_file(tmp_path / "x") as file:
            file.append(CONTENT)
            for known in (None, 0, 100, 5000):
                digests = RunningDigests()
                if known is not None:
                    digests.keep(pk, known, hashlib.sha256(CONTENT[:known]))
                found = digests.take(pk, file, 200)
                assert found.hexdigest() == hashlib.sha256(CONTENT[:200]).hexdigest()

    def test_a_short_file(self, tmp_path: Path):
        """
        Bytes that should be there and are not are an error.
        """
        with locked_file(tmp_path / "x") as file, pytest.raises(UploadGone):
            file.cut(1)


def test_concurrent_requests_one_wins(world: World):
    """
    Of four that begin at the same offset at once, one writes; the bytes are whole.
    """
    with world.client("participant") as client:
        url = begin(client)
    statuses: list[int] = []

    def write() -> None:
        with world.client("participant") as mine:
            statuses.append(send(mine, url, 0, CONTENT).status_code)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses.count(204) == 1
    assert set(statuses) <= {204, 409, 423}
    assert row_of(world, url).sha256 == hashlib.sha256(CONTENT).hexdigest()
