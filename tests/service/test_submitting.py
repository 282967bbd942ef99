"""From finished uploads to a submission in the queue, by the API; and the jobs that check tarballs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from reseed.service.database.columns import now_utc
from reseed.service.database.engine import Database
from reseed.service.database.jobs import claim
from reseed.service.database.models import (
    AlgorithmImage,
    AlgorithmModel,
    Event,
    Job,
    Phase,
    Run,
    Submission,
)
from reseed.service.database.transitions import transition
from reseed.service.domain.limits import count_refusal, runs_of, window_refusal
from reseed.service.domain.roles import SubmissionKind
from reseed.service.domain.states import ArchiveState, JobState
from reseed.service.folders import DataFolder
from reseed.service.images.keeping import remove_refused
from reseed.service.settings import ServiceSettings
from reseed.service.uploads.retention import expire_uploads
from reseed.service.worker.checking import CHECK_IMAGE, CHECK_MODEL, check_image, check_model
from tests.service.tarballs import image_bytes, layer, model_bytes
from tests.service.world import World

TUS = {"Tus-Resumable": "1.0.0"}


@dataclass
class Checks:
    """The part of a worker that needs no engine."""

    settings: ServiceSettings
    database: Database
    folders: DataFolder

    def do_all(self) -> int:
        n_done = 0
        while lease := claim(
            self.database, "w", lease_for=timedelta(minutes=1), kinds=[CHECK_IMAGE, CHECK_MODEL]
        ):
            (check_image if lease.kind == CHECK_IMAGE else check_model)(self, lease)
            n_done += 1
        return n_done


@pytest.fixture
def checks(world: World) -> Checks:
    here = world.installation
    return Checks(here.settings, here.database, here.folder)


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with world.client("participant") as client:
        yield client


def uploaded(client: TestClient, content: bytes) -> str:
    headers = {
        **TUS,
        "Upload-Length": str(len(content)),
        "Upload-Metadata": "filename bmV0LnRhcg==",
        "Content-Type": "application/offset+octet-stream",
    }
    answer = client.post("/api/v1/uploads/", content=content, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"].rstrip("/").rpartition("/")[2]


def made(client: TestClient, kind: str, content: bytes, algorithm: str = "net") -> Any:
    body = {"algorithm": algorithm, "upload": uploaded(client, content)}
    answer = client.post(f"/api/v1/algorithms/{kind}/", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def submitted(world: World, client: TestClient, **wanted: Any):
    body = {"phase": world.names["phase_pk"], "algorithm_image": world.names["image"], **wanted}
    return client.post("/api/v1/submissions/", json=body)


def change_phase(world: World, **values: Any) -> None:
    with world.database.write() as session:
        phase = session.get_one(Phase, UUID(world.names["phase_pk"]))
        for name, value in {"submissions_per_day": 10, **values}.items():
            setattr(phase, name, value)


class TestArchives:
    def test_image(self, world: World, client: TestClient, checks: Checks):
        """
        An upload becomes an image, which is checked, moved to its place and ready by digest.
        """
        image = made(client, "images", image_bytes())
        assert image["import_status"] == "Received"
        assert checks.do_all() == 1

        found = client.get(f"/api/v1/algorithms/images/{image['pk']}/").json()
        assert found["import_status"] == "Ready"
        assert found["digest"].startswith("sha256:")
        assert found["has_training"] is True
        assert checks.folders.image(UUID(image["pk"])).read_bytes() == image_bytes()
        assert expire_uploads(checks.database, checks.folders) == 0
        assert list(checks.folders.uploads.iterdir()) == []
        assert remove_refused(checks.database, checks.folders) == 0

    def test_refused_image(self, client: TestClient, checks: Checks):
        """
        One line for each rule that it breaks, under its own name; its bytes are gone.
        """
        image = made(client, "images", image_bytes(User="", Volumes={"/v": {}}))
        checks.do_all()

        found = client.get(f"/api/v1/algorithms/images/{image['pk']}/").json()
        assert found["import_status"] == "Rejected"
        assert found["reason"].splitlines() == [
            "net.tar: must have a USER that is not root, has 'none'",
            "net.tar: must have no VOLUME, has /v",
        ]
        assert not checks.folders.image(UUID(image["pk"])).exists()

    def test_same_image_twice(self, client: TestClient, checks: Checks):
        """
        An equal image is refused when it is checked, and by its bytes before that once the first is ready.
        """
        first, second = (made(client, "images", image_bytes()) for _ in range(2))
        checks.do_all()
        states = {
            pk: client.get(f"/api/v1/algorithms/images/{pk}/").json() for pk in (first["pk"], second["pk"])
        }
        assert states[first["pk"]]["import_status"] == "Ready"
        assert states[second["pk"]]["import_status"] == "Rejected"
        assert states[second["pk"]]["reason"] == (
            f"the algorithm has this image already: {first['pk']}; submit that one"
        )
        third = {"algorithm": "net", "upload": uploaded(client, image_bytes())}
        refused = client.post("/api/v1/algorithms/images/", json=third)
        assert refused.status_code == 409
        assert first["pk"] in refused.json()["detail"]
        # the upload was not used up by the refusal
        assert client.get(f"/api/v1/uploads/{third['upload']}/").json()["status"] == "Finished"

    @pytest.mark.parametrize("kind", ["images", "models"])
    def test_again_after_it_was_removed(self, client: TestClient, checks: Checks, kind: str):
        """
        What was removed can be uploaded again, and the audit trail knows what the removed one was.
        """
        content = image_bytes() if kind == "images" else model_bytes()
        table: Any = AlgorithmImage if kind == "images" else AlgorithmModel
        first = made(client, kind, content)
        checks.do_all()
        with checks.database.write() as session:
            row = session.get_one(table, UUID(first["pk"]))
            digest = row.sha256 if isinstance(row, AlgorithmModel) else row.digest
            transition(session, row, ArchiveState.REMOVED, reason="not needed")
        second = made(client, kind, content)
        checks.do_all()

        assert client.get(f"/api/v1/algorithms/{kind}/{second['pk']}/").json()["import_status"] == "Ready"
        with checks.database.read() as session:
            event = session.scalars(select(Event).where(Event.action == "uploaded again")).one()
        assert str(event.noun_pk) == first["pk"]
        assert digest in event.details.values()

    def test_model(self, client: TestClient, checks: Checks):
        """
        A model is ready by the digest of its bytes, and refused when it is none.
        """
        good, bad = made(client, "models", model_bytes()), made(client, "models", b"weights")
        checks.do_all()

        assert client.get(f"/api/v1/algorithms/models/{good['pk']}/").json()["import_status"] == "Ready"
        refused = client.get(f"/api/v1/algorithms/models/{bad['pk']}/").json()
        assert refused["import_status"] == "Rejected"
        assert "is not a readable tarball" in refused["reason"]

    def test_a_check_taken_up_again(self, client: TestClient, checks: Checks):
        """
        A worker killed after it moved the file leaves nothing that the next one cannot go on with.
        """
        image = made(client, "images", image_bytes())
        checks.folders.image(UUID(image["pk"])).parent.mkdir()
        checks.folders.upload(UUID(_upload_of(checks, image["pk"]))).rename(
            checks.folders.image(UUID(image["pk"]))
        )
        checks.do_all()

        assert client.get(f"/api/v1/algorithms/images/{image['pk']}/").json()["import_status"] == "Ready"

    def test_uploads_that_cannot_be_used(self, world: World, client: TestClient):
        """
        Unfinished, used, another's: no image is made of it.
        """
        opened = client.post("/api/v1/uploads/", headers={**TUS, "Upload-Length": "5"})
        pk = opened.headers["Location"].rstrip("/").rpartition("/")[2]
        url, body = "/api/v1/algorithms/images/", {"algorithm": "net", "upload": pk}
        unfinished = client.post(url, json=body)
        assert unfinished.status_code == 409
        assert "must be finished, is open: 0 of 5 bytes" in unfinished.json()["detail"]

        body["upload"] = uploaded(client, image_bytes())
        with world.client("other_participant") as other:
            other.post("/api/v1/algorithms/", json={"slug": "theirs", "title": "Theirs"})
            assert other.post(url, json={**body, "algorithm": "theirs"}).status_code == 404
            assert other.post(url, json=body).status_code == 404
        assert client.post(url, json=body).status_code == 201
        assert "is used" in client.post(url, json=body).json()["detail"]
        assert client.delete(f"/api/v1/uploads/{body['upload']}/", headers=TUS).status_code == 410


def _upload_of(checks: Checks, image_pk: str) -> str:
    with checks.database.read() as session:
        return str(session.get_one(AlgorithmImage, UUID(image_pk)).upload_pk)


class TestSubmission:
    def test_with_models(self, world: World, client: TestClient):
        """
        A run for each model, in their order, and one job that starts it all.
        """
        change_phase(world, n_runs=3)
        models = [made(client, "models", model_bytes(bytes([number])))["pk"] for number in range(3)]
        answer = submitted(world, client, algorithm_models=models, comment="Third try")

        assert answer.status_code == 201, answer.text
        document = answer.json()
        assert document["status"] == "Received"
        assert [run["algorithm_model"] for run in document["runs"]] == models
        assert document["team"] == "Lungs"
        with world.database.read() as session:
            jobs = session.scalars(select(Job).where(Job.submission_pk == UUID(document["pk"]))).all()
            entropy = session.get_one(Submission, UUID(document["pk"])).entropy
        assert [(job.kind, job.state) for job in jobs] == [("start", JobState.QUEUED)]
        assert entropy is not None

    def test_with_training(self, world: World, client: TestClient, checks: Checks):
        """
        A phase that trains makes as many runs as it asks for, of an image that can be trained.
        """
        change_phase(world, n_runs=5, submission_kind=SubmissionKind.TRAINING)
        trained = made(client, "images", image_bytes())["pk"]
        untrained = made(client, "images", image_bytes(layer({"x": (b"", 0o644)})))["pk"]
        checks.do_all()

        answer = submitted(world, client, algorithm_image=trained)
        assert len(answer.json()["runs"]) == 5
        refused = submitted(world, client, algorithm_image=untrained)
        assert refused.status_code == 422
        assert "has no executable `train` on its PATH" in refused.json()["detail"]
        refused = submitted(world, client, algorithm_image=trained, algorithm_models=[world.names["model"]])
        assert "it takes no model, got 1" in refused.json()["detail"]

    def test_an_ensemble_has_at_most_so_many_members(self, world: World, client: TestClient, checks: Checks):
        """
        By the label of its image; each is a training of its own.
        """
        change_phase(world, submission_kind=SubmissionKind.TRAINING, members=4)
        ensemble = made(client, "images", image_bytes(Labels={"org.reseed.members": "5"}))["pk"]
        checks.do_all()

        refused = submitted(world, client, algorithm_image=ensemble)
        assert refused.status_code == 422
        assert (
            "trains 5 members for each run, and the phase takes at most 4 members" in refused.json()["detail"]
        )
        change_phase(world, members=5)
        assert submitted(world, client, algorithm_image=ensemble).status_code == 201

    def test_nothing_is_half_made(self, world: World, client: TestClient):
        """
        A refused submission leaves neither runs nor jobs.
        """
        change_phase(world)
        model = world.names["model"]
        for models, words in (
            ([model, model], "each model may be named once"),
            ([str(UUID(int=5))], "algorithm 'net' has no model"),
            ([model, made(client, "models", model_bytes())["pk"]], "at most 1 models"),
        ):
            refused = submitted(world, client, algorithm_models=models)
            assert refused.status_code == 422
            assert words in refused.json()["detail"]
        with world.database.read() as session:
            assert len(session.scalars(select(Run)).all()) == 1
            assert session.scalars(select(Job).where(Job.kind == "start")).all() == []

    def test_refused_parts(self, world: World, client: TestClient, checks: Checks):
        """
        A refused image cannot be submitted, and says why it was refused.
        """
        change_phase(world)
        image = made(client, "images", image_bytes(User="root"))["pk"]
        checks.do_all()

        refused = submitted(world, client, algorithm_image=image)
        assert refused.status_code == 422
        assert "it is rejected: net.tar: must have a USER that is not root" in refused.json()["detail"]

    def test_who_may(self, world: World):
        """
        Who takes no part is refused; another's image is not there.
        """
        change_phase(world)
        with world.client("viewer") as viewer:
            assert submitted(world, viewer).status_code == 403
        with world.client("other_participant") as other:
            assert submitted(world, other).status_code == 404

    @pytest.mark.parametrize(
        ("limits", "words"),
        [
            ({"submissions_per_day": 1}, "takes 1 submissions in 24 hours, you have made 1; the next at"),
            ({"submissions_per_day": 0}, "takes 0 submissions in 24 hours"),
            ({"submissions_in_total": 1}, "takes 1 submissions of each participant or team"),
            ({"opens_at": now_utc() + timedelta(days=1)}, "the phase opens at"),
            ({"closes_at": now_utc() - timedelta(days=1)}, "the phase closed at"),
        ],
    )
    def test_limits(self, world: World, client: TestClient, limits: dict, words: str):
        """
        Closed, or the limit of the day or of all days: said in a sentence.
        """
        change_phase(world, **limits)
        refused = submitted(world, client)

        assert refused.status_code == 409
        assert words in refused.json()["detail"]

    def test_cancelled(self, world: World, client: TestClient):
        """
        A cancelled submission's job goes with it; it still counts.
        """
        change_phase(world, submissions_per_day=2)
        pk = submitted(world, client).json()["pk"]
        assert client.post(f"/api/v1/submissions/{pk}/cancel/").json()["status"] == "Cancelled"
        with world.database.read() as session:
            job = session.scalars(select(Job).where(Job.submission_pk == UUID(pk))).one()
        assert job.state is JobState.CANCELLED
        assert submitted(world, client).status_code == 409


class TestLimits:
    def test_window(self):
        """
        Open from its start up to, and not at, its end.
        """
        start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)

        assert window_refusal(start, start, end) is None
        assert window_refusal(end, start, end) == "the phase closed at 2026-02-01 00:00 UTC"
        assert window_refusal(end, None, None) is None

    @settings(deadline=None)
    @given(n=st.integers(0, 20), per_day=st.integers(0, 10), earlier=st.integers(0, 20))
    def test_count(self, n: int, per_day: int, earlier: int):
        """
        There may be one more exactly while there are fewer than allowed, in the day and in total.
        """
        refusal = count_refusal(
            n_last_day=n, per_day=per_day, n_in_total=n + earlier, in_total=15, again_at=None
        )
        assert (refusal is None) == (n < per_day and n + earlier < 15)

    def test_runs(self):
        """
        As many as there are models, one for none, and the phase's own number where it trains.
        """
        assert runs_of(SubmissionKind.INFERENCE, n_runs=5, n_models=0) == 1
        assert runs_of(SubmissionKind.INFERENCE, n_runs=5, n_models=4) == 4
        assert runs_of(SubmissionKind.TRAINING, n_runs=5, n_models=0) == 5
        with pytest.raises(ValueError, match="at most 5 models"):
            runs_of(SubmissionKind.INFERENCE, n_runs=5, n_models=6)


def test_on_each_database(world_of_each_kind: World):
    """
    From an upload to a submission, on SQLite and on PostgreSQL.
    """
    world = world_of_each_kind
    here = world.installation
    change_phase(world)
    with world.client("participant") as client:
        image = made(client, "images", image_bytes())
        model = made(client, "models", model_bytes())
        assert Checks(here.settings, here.database, here.folder).do_all() == 2
        assert client.get("/api/v1/uploads/", params={"sha256": "a" * 64}).json()["count"] == 0
        answer = submitted(world, client, algorithm_image=image["pk"], algorithm_models=[model["pk"]])
        assert answer.status_code == 201, answer.text
        assert client.get("/api/v1/uploads/", params={"status": "used"}).json()["count"] == 2
    assert expire_uploads(here.database, here.folder) == 0


class TestIdempotencyKey:
    def test_a_request_that_is_sent_again(self, client: TestClient, world: World):
        """
        One submission, also when its making has used up the limit; every other key makes another.
        """
        body = self._body(client, world, n_per_day=2)
        first = self._sent(client, body, '"a-key"')
        again = self._sent(client, body, "a-key")
        assert again.status_code == first.status_code == 201
        assert again.json() == first.json()
        assert self._sent(client, body, '"another"').status_code == 409
        assert client.get("/api/v1/submissions/").json()["count"] == 2

    def test_a_key_that_was_used_for_something_else(self, client: TestClient, world: World):
        """
        It is refused, and names what it made.
        """
        body = self._body(client, world, n_per_day=9)
        first = self._sent(client, body, '"a-key"').json()
        refused = self._sent(client, {**body, "comment": "another"}, '"a-key"')
        assert refused.status_code == 422
        assert f"is that of another submission: {first['pk']}" in refused.json()["detail"]

    def test_keys_are_a_user_s_own(self, client: TestClient, world: World):
        """
        Another participant's key of the same text has nothing to do with it.
        """
        first = self._sent(client, self._body(client, world, n_per_day=9), '"a-key"').json()
        with world.client("other_participant") as other:
            body = self._body(other, world, n_per_day=9, algorithm="theirs")
            assert self._sent(other, body, '"a-key"').json()["pk"] != first["pk"]

    @pytest.mark.parametrize("key", ['""', '"a', "a b", "x" * 101, 'a"b'])
    def test_what_is_no_key(self, client: TestClient, world: World, key: str):
        """
        It is refused, and makes nothing.
        """
        body = self._body(client, world, n_per_day=9)
        assert self._sent(client, body, key).status_code == 422

    @staticmethod
    def _body(client: TestClient, world: World, *, n_per_day: int, algorithm: str = "lungs") -> dict:
        with world.database.write() as session:
            for phase in session.scalars(select(Phase)):
                phase.submissions_per_day = n_per_day
        client.post("/api/v1/algorithms/", json={"slug": algorithm, "title": algorithm})
        return {
            "phase": world.names["phase_pk"],
            "algorithm_image": made(client, "images", image_bytes(), algorithm)["pk"],
            "algorithm_models": [],
        }

    @staticmethod
    def _sent(client: TestClient, body: dict, key: str) -> Any:
        return client.post("/api/v1/submissions/", json=body, headers={"Idempotency-Key": key})
