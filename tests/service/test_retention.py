"""What goes some time after a submission has ended, what never does, and what people see of it."""

from __future__ import annotations

import fcntl
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from reseed.service.database.columns import now_utc
from reseed.service.database.models import (
    AlgorithmImage,
    AlgorithmModel,
    Evaluation,
    Event,
    Phase,
    Run,
    Submission,
    User,
)
from reseed.service.database.overdue import end_submission
from reseed.service.domain.states import ArchiveState, SubmissionState
from reseed.service.operations.retention import Removal, keep_house
from tests.service.backups import all_rows, command
from tests.service.rows import add_image, add_submission
from tests.service.world import World, release

_DAYS = 30


@pytest.fixture
def old_world(world_of_each_kind: World) -> World:
    """The evaluated submission, with an output, ended long ago."""
    world = world_of_each_kind
    _let_time_pass(world, world.names["submission"])
    output = _folder(world) / "runs/1/predictions/hidden-case-1/output/likelihood.json"
    output.parent.mkdir(parents=True)
    output.write_bytes(b"0.8")
    return world


def _let_time_pass(world: World, pk: str, days: int = _DAYS + 1) -> None:
    with world.database.write() as session:
        session.get_one(Submission, UUID(pk)).state_since -= timedelta(days=days)


def _folder(world: World) -> Path:
    return world.installation.folder.submission(UUID(world.names["submission"]))


def _keep(world: World, **values: Any) -> list[Removal]:
    here = world.installation
    return keep_house(here.database, here.folder, **{"retention_days": _DAYS, **values})


class TestOutputs:
    def test_they_go_and_the_scores_stay(self, old_world: World):
        """
        Once; the audit trail says so, and nothing else of the rows changes.
        """
        evaluations, runs = (all_rows(old_world.database, table) for table in (Evaluation, Run))

        (removal,) = _keep(old_world)

        assert removal.what == f"outputs and logs of submission {old_world.names['submission']}"
        assert removal.n_bytes >= 3
        assert not _folder(old_world).exists()
        assert _keep(old_world) == []
        with old_world.database.read() as session:
            row = session.get_one(Submission, UUID(old_world.names["submission"]))
            event = session.scalars(select(Event).where(Event.action == "outputs removed")).one()
        assert row.outputs_removed_at is not None
        assert event.noun_pk == row.pk
        assert event.reason == "kept for 30 days after its end"
        assert all_rows(old_world.database, Evaluation) == evaluations
        assert all_rows(old_world.database, Run) == runs

    def test_not_before_their_time(self, world_of_each_kind: World):
        """
        Nor ever when nothing is to go, nor those of a submission that is not over.
        """
        world = world_of_each_kind
        _let_time_pass(world, world.names["submission"], days=_DAYS - 1)
        assert _keep(world) == []
        _let_time_pass(world, world.names["submission"])
        assert _keep(world, retention_days=0) == []
        with world.database.write() as session:
            image = session.get_one(AlgorithmImage, UUID(world.names["image"]))
            phase = session.get_one(Phase, UUID(world.names["phase_pk"]))
            session.delete(session.get_one(Submission, UUID(world.names["submission"])))
            pk = add_submission(session, phase, image.creator, image).pk
        _let_time_pass(world, str(pk))
        assert _keep(world) == []

    def test_trying_out_removes_nothing(self, old_world: World):
        """
        It says what would go.
        """
        assert _keep(old_world, dry_run=True) == _keep(old_world, dry_run=True) != []
        assert _folder(old_world).exists()

    def test_one_that_was_killed_is_gone_on_with(self, old_world: World, monkeypatch: pytest.MonkeyPatch):
        """
        Between the row and the files: the next time removes the files.
        """
        with monkeypatch.context() as patched:
            patched.setattr("reseed.service.operations.retention._remove_marked", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                _keep(old_world)
        assert _folder(old_world).exists()
        assert _keep(old_world) == []
        assert not _folder(old_world).exists()

    def test_one_process_at_a_time(self, old_world: World):
        """
        Whoever comes second leaves it to the first.
        """
        with (old_world.installation.folder.root / ".housekeeping.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert _keep(old_world) == []
        assert len(_keep(old_world)) == 1

    def test_what_people_see(self, old_world: World):
        """
        When they will go; then when they went, 410 for a log, and the scores as before.
        """
        submission = old_world.names["submission"]
        api, page = f"/api/v1/submissions/{submission}/", f"/submissions/{submission}/"
        with old_world.database.write() as session:
            release(session, session.get_one(Submission, UUID(submission)))
        with old_world.client("organiser") as client:
            assert "Outputs and logs kept until" in client.get(page).text
            assert client.get(api).json()["outputs_removed_at"] is None
            assert client.get(f"{api}runs/1/logs/case-hidden-case-1/").status_code == 200
            before = client.get(f"/api/v1/evaluations/{old_world.names['evaluation']}/").json()

            _keep(old_world)

            today = f"{now_utc():%Y-%m-%d}"
            text = client.get(page).text
            assert "Its outputs and logs were removed on" in text
            assert f"{page}runs/1/logs/" not in text
            assert client.get(api).json()["outputs_removed_at"].startswith(today)
            gone = client.get(f"{api}runs/1/logs/case-hidden-case-1/")
            assert gone.status_code == 410
            assert gone.json()["detail"] == f"the logs of submission {submission} were removed on {today}"
            assert client.get(f"{api}runs/1/logs/").json() == []
            assert "They were removed on" in client.get(f"{page}runs/1/logs/").text
            assert client.get(f"{page}runs/1/logs/case-hidden-case-1/").status_code == 410
            assert client.get(f"/api/v1/evaluations/{old_world.names['evaluation']}/").json() == before
        with old_world.client("other_participant") as client:
            assert client.get(f"{api}runs/1/logs/case-hidden-case-1/").status_code == 404


class TestArchives:
    @pytest.mark.parametrize(
        ("first", "second", "goes"),
        [
            (SubmissionState.FAILED, None, True),
            (SubmissionState.FAILED, SubmissionState.CANCELLED, True),
            (SubmissionState.FAILED, SubmissionState.RECEIVED, False),
            (None, None, False),
        ],
    )
    def test_an_image_that_only_failures_have_used(
        self,
        world_of_each_kind: World,
        first: SubmissionState | None,
        second: SubmissionState | None,
        goes: bool,
    ):
        """
        With the models that they brought; not one that is still needed, nor one that nobody has submitted.
        """
        world = world_of_each_kind
        with world.database.write() as session:
            user = session.scalars(select(User).where(User.username == "participant")).one()
            phase = session.get_one(Phase, UUID(world.names["phase_pk"]))
            image = add_image(session, user, "bad")
            model = AlgorithmModel(
                algorithm=image.algorithm, creator=user, state=ArchiveState.READY, sha256="d" * 64
            )
            session.add(model)
            session.flush()
            for state in (first, second):
                if state is None:
                    continue
                submission = add_submission(session, phase, user, image)
                session.refresh(submission)
                submission.runs[0].algorithm_model_pk = model.pk
                if state.is_terminal:
                    end_submission(session, submission, state, "no")
                submission.state_since -= timedelta(days=_DAYS + 1)
        folder = world.installation.folder
        for path in (folder.image(image.pk), folder.model(model.pk), folder.image(UUID(int=3))):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"tarball")

        _keep(world)

        with world.database.read() as session:
            states = {session.get_one(AlgorithmImage, image.pk).state}
            states.add(session.get_one(AlgorithmModel, model.pk).state)
        assert states == {ArchiveState.REMOVED if goes else ArchiveState.READY}
        assert folder.image(image.pk).exists() is folder.model(model.pk).exists() is not goes
        assert folder.image(UUID(int=3)).exists()

    def test_one_that_was_evaluated_stays(self, old_world: World):
        """
        However old: it is what the leaderboard speaks of.
        """
        _keep(old_world)
        with old_world.database.read() as session:
            image = session.get_one(AlgorithmImage, UUID(old_world.names["image"]))
        assert image.state is ArchiveState.READY


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_command(old_world: World):
    """It says what would go, and what has gone."""
    _let_time_pass(old_world, old_world.names["submission"], days=365)
    root = old_world.installation.folder.root
    shown = command(root, old_world.database, "service", "prune", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert f"outputs and logs of submission {old_world.names['submission']}" in shown.stdout
    assert "would go: 1" in shown.stdout
    assert _folder(old_world).exists()
    assert "removed: 1" in command(root, old_world.database, "service", "prune").stdout
    assert not _folder(old_world).exists()
