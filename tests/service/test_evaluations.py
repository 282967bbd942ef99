"""Evaluations: who sees which metrics, and evaluators outside the service."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from reseed.service.database.columns import now_utc
from reseed.service.database.models import (
    AlgorithmImage,
    Evaluation,
    Phase,
    Run,
    Submission,
    User,
)
from reseed.service.domain.states import EvaluationState, RunState, SubmissionState
from tests.service.rows import add_submission
from tests.service.world import METRICS, World, add_running, release


def _evaluation(world: World, role: str) -> Any:
    with world.client(role) as client:
        answer = client.get(f"/api/v1/evaluations/{world.names['evaluation']}/")
    assert answer.status_code == 200
    return answer.json()


class TestVisibility:
    def test_nothing_before_the_release(self, world: World):
        """Its owner sees that it succeeded; the organiser sees the metrics."""
        own = _evaluation(world, "participant")
        assert own["status"] == "Succeeded"
        assert own["metrics"] is None
        assert own["outputs"] == []
        assert _evaluation(world, "organiser")["metrics"] == METRICS

    def test_aggregates_after_it_and_never_the_cases(self, world: World):
        """Results by case name the hidden cases; the list shows no more than the detail."""
        with world.database.write() as session:
            release(session, session.get_one(Submission, UUID(world.names["submission"])))
        own = _evaluation(world, "participant")
        assert own["metrics"]["aggregates"] == METRICS["aggregates"]
        with world.client("participant") as client:
            for path in ("evaluations", "submissions", "challenges", "algorithms/images"):
                text = client.get(f"/api/v1/{path}/").text
                assert "hidden-case-1" not in text
                assert "/secret/" not in text
        assert "hidden-case-1" not in str(own)

    def test_a_release_in_the_future_is_none(self, world: World):
        """It comes by itself when the time has come."""
        with world.database.write() as session:
            session.execute(update(Phase).values(released_at=now_utc() + timedelta(hours=1)))
        assert _evaluation(world, "participant")["metrics"] is None

    @pytest.mark.parametrize("role", ["anonymous", "viewer", "other_participant", "other_organiser"])
    def test_others_find_nothing_in_lists(self, world: World, role: str):
        """Not even a count."""
        with world.client(role) as client:
            for noun in (
                "submissions",
                "evaluations",
                "algorithms",
                "algorithms/images",
                "algorithms/models",
            ):
                answer = client.get(f"/api/v1/{noun}/")
                assert answer.status_code == 401 or answer.json()["count"] == 0

    def test_a_private_challenge_is_as_none(self, world: World):
        """In the list, by name, and by its phase."""
        with world.client("participant") as client:
            assert [c["slug"] for c in client.get("/api/v1/challenges/").json()["results"]] == ["nodules"]
            for path in ("", "phases/final/", "teams/"):
                hidden = client.get(f"/api/v1/challenges/kidneys/{path}")
                missing = client.get(f"/api/v1/challenges/livers/{path}")
                assert hidden.status_code == missing.status_code == 404
                assert hidden.json()["detail"].replace("kidneys", "livers") == missing.json()["detail"]

    def test_only_organisers_see_where_the_data_lie(self, world: World):
        """A folder's name can say what the hidden cases are."""
        with world.client("participant") as client:
            assert "cases_folder" not in client.get("/api/v1/challenges/nodules/phases/final/").json()
        with world.client("organiser") as client:
            found = client.get("/api/v1/challenges/nodules/phases/final/").json()
        assert found["cases_folder"] == "/secret/cases"


def _external(world: World) -> str:
    """A running submission whose evaluation waits for somebody outside."""
    with world.database.write() as session:
        submission = add_submission(
            session,
            session.get_one(Phase, UUID(world.names["phase_pk"])),
            session.query(User).filter_by(username="other_participant").one(),
            session.get_one(AlgorithmImage, UUID(world.names["image"])),
        )
        return str(add_running(session, submission, is_external=True).pk)


class TestExternalEvaluation:
    def test_claim_and_update(self, world_of_each_kind: World):
        """The last run's metrics end the submission as evaluated; a second update is refused."""
        world = world_of_each_kind
        pk = _external(world)
        with world.client("organiser") as client:
            assert [e["pk"] for e in client.get("/api/v1/evaluations/claimable_evaluations/").json()] == [pk]
            claimed = client.patch(f"/api/v1/evaluations/{pk}/claim/")
            assert claimed.status_code == 200
            assert claimed.json()["status"] == "Claimed"
            assert claimed.json()["claimed_by"] == {"username": "organiser"}
            assert claimed.json()["algorithm_image_digest"] == "sha256:" + "b" * 64
            assert client.get("/api/v1/evaluations/claimable_evaluations/").json() == []
            url = f"/api/v1/evaluations/{pk}/update_external_evaluation/"
            done = client.patch(url, json={"status": "Succeeded", "metrics": METRICS})
            assert done.json()["status"] == "Succeeded"
            again = client.patch(url, json={"status": "Failed", "error_message": "no"})
        assert again.status_code == 409
        with world.database.read() as session:
            evaluation = session.get_one(Evaluation, UUID(pk))
            assert evaluation.aggregates == METRICS["aggregates"]
            assert session.get_one(Run, evaluation.run_pk).state is RunState.EVALUATED
            assert evaluation.submission.state is SubmissionState.EVALUATED

    def test_a_failure_ends_the_submission_with_its_reason(self, world: World):
        """Nothing is left that waits."""
        pk = _external(world)
        with world.client("organiser") as client:
            client.patch(f"/api/v1/evaluations/{pk}/claim/")
            url = f"/api/v1/evaluations/{pk}/update_external_evaluation/"
            assert client.patch(url, json={"status": "Failed"}).status_code == 422
            client.patch(url, json={"status": "Failed", "error_message": "wrong grid"})
        with world.database.read() as session:
            submission = session.get_one(Evaluation, UUID(pk)).submission
            assert submission.state is SubmissionState.FAILED
            assert submission.reason == "run 1: wrong grid"
            assert {run.state for run in submission.runs} == {RunState.FAILED}

    def test_only_one_at_a_time_and_only_by_whom_it_was_claimed(self, world: World):
        """As the platform has it."""
        first, second = _external(world), _external(world)
        with world.client("organiser") as client:
            client.patch(f"/api/v1/evaluations/{first}/claim/")
            assert client.patch(f"/api/v1/evaluations/{second}/claim/").status_code == 409
        with world.client("administrator") as client:
            url = f"/api/v1/evaluations/{first}/update_external_evaluation/"
            answer = client.patch(url, json={"status": "Failed", "error_message": "mine"})
            assert answer.status_code == 403
        with world.database.read() as session:
            assert session.get_one(Evaluation, UUID(first)).state is EvaluationState.CLAIMED

    def test_metrics_that_break_the_contract_are_explained(self, world: World):
        """Each mistake is a line; the evaluation stays claimed."""
        pk = _external(world)
        wrong = {**METRICS, "aggregates": {"auroc": {"value": "high"}}}
        with world.client("organiser") as client:
            client.patch(f"/api/v1/evaluations/{pk}/claim/")
            url = f"/api/v1/evaluations/{pk}/update_external_evaluation/"
            answer = client.patch(url, json={"status": "Succeeded", "metrics": wrong})
            assert answer.status_code == 422
            assert "aggregates.auroc.value: must be a number" in answer.json()["detail"]
            other_task = {**METRICS, "task": "kidneys"}
            answer = client.patch(url, json={"status": "Succeeded", "metrics": other_task})
        assert "metrics.task: must be 'nodule_malignancy'" in answer.json()["detail"]


def test_cancelling_ends_everything_of_a_submission(world: World):
    """Runs, evaluations and jobs; a second time is refused."""
    pk = _external(world)
    with world.database.read() as session:
        submission = session.get_one(Evaluation, UUID(pk)).submission_pk
    with world.client("other_participant") as client:
        answer = client.post(f"/api/v1/submissions/{submission}/cancel/")
        assert answer.status_code == 200
        assert answer.json()["status"] == "Cancelled"
        assert answer.json()["reason"] == "cancelled by other_participant"
        assert {run["status"] for run in answer.json()["runs"]} == {"Cancelled"}
        assert client.post(f"/api/v1/submissions/{submission}/cancel/").status_code == 409
    with world.database.read() as session:
        assert session.get_one(Evaluation, UUID(pk)).state is EvaluationState.CANCELLED
