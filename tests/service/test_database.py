"""The database on SQLite and PostgreSQL: the same tables, the same rules, whole transactions."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, StatementError

from reseed.service.database.engine import Database
from reseed.service.database.migration import WrongSchema, check_schema, differences, migrate
from reseed.service.database.models import Evaluation, Event, Submission, User
from reseed.service.database.transitions import StateChanged, enter, transition
from reseed.service.domain.states import (
    EvaluationState,
    ForbiddenTransition,
    SubmissionState,
)
from tests.service.rows import add_challenge, add_image, add_phase, add_submission, add_user


def _submission(database: Database, n_runs: int = 1) -> Submission:
    with database.write() as session:
        user = add_user(session, "ada")
        phase = add_phase(session, add_challenge(session))
        return add_submission(session, phase, user, add_image(session, user), n_runs)


class TestMigrations:
    def test_migrations_give_the_tables_of_the_models(self, database: Database):
        """Nothing is left to migrate after all migrations: a forgotten one is found here."""
        assert differences(database) == []
        check_schema(database)

    def test_migrating_twice_changes_nothing(self, database: Database):
        """Every start of the web process migrates."""
        assert migrate(database) == migrate(database)

    def test_processes_that_migrate_together_take_turns(self, database_url: str):
        """Several gunicorn workers or hosts may start at once."""
        failures: list[BaseException] = []

        def start() -> None:
            own = Database(database_url)
            try:
                migrate(own)
            except Exception as error:  # noqa: BLE001  (told by the test)
                failures.append(error)
            finally:
                own.close()

        threads = [threading.Thread(target=start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)

        assert failures == []

    def test_a_new_sqlite_database_is_waited_for(self, tmp_path: Path):
        """SQLite itself does not wait with the switch to WAL while another process makes the first tables."""
        path = tmp_path / "new.sqlite3"
        writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("CREATE TABLE first (pk)")
        database = Database(f"sqlite:///{path}")
        timer = threading.Timer(0.5, writer.execute, ["COMMIT"])
        timer.start()

        database.ping()

        timer.join()
        with database.read() as session:
            assert session.scalar(text("PRAGMA journal_mode")) == "wal"
        database.close()
        writer.close()

    def test_a_database_without_tables_is_refused_with_the_command_that_helps(self, database_url: str):
        """A worker must not meet tables of another version."""
        database = Database(database_url)
        with pytest.raises(WrongSchema, match=r"has no tables yet.*reseed service migrate"):
            check_schema(database)
        database.close()


class TestTransactions:
    def test_an_exception_undoes_everything(self, database: Database):
        """Nothing half-written."""

        def add_one_and_then_two_alike() -> None:
            with database.write() as session:
                for name in ("ada", "bob", "bob"):
                    add_user(session, name)

        with pytest.raises(IntegrityError):
            add_one_and_then_two_alike()

        with database.read() as session:
            assert session.scalars(select(User)).all() == []

    def test_foreign_keys_are_enforced(self, database: Database):
        """SQLite does so only when asked."""
        with pytest.raises(IntegrityError), database.write() as session:
            session.execute(
                text(
                    "INSERT INTO tokens (pk, user_pk, created, name, digest, hint, scopes, expires_at)"
                    " VALUES (:pk, :pk, :at, 'x', 'x', 'x', '[]', :at)"
                ),
                {"pk": uuid4().hex, "at": datetime.now(UTC).isoformat()},
            )

    def test_instants_come_back_in_utc(self, database: Database):
        """Whatever zone they were given in; a naive one is refused."""
        there = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2)))
        with database.write() as session:
            pk = add_user(session, "ada", created=there).pk
        with database.read() as session:
            found = session.get_one(User, pk).created
        assert found == there
        assert found.utcoffset() == timedelta()

        with pytest.raises(StatementError, match="without a time zone"), database.write() as session:
            add_user(session, "bob", created=datetime(2026, 3, 1))  # noqa: DTZ001

    def test_an_unknown_state_in_the_database_is_an_error(self, database: Database):
        """Never read as if it were another."""
        submission = _submission(database)
        with database.write() as session:
            session.execute(text("UPDATE submissions SET state = 'melted'"))

        with database.read() as session, pytest.raises(LookupError, match="melted"):
            session.get(Submission, submission.pk)

    def test_writers_side_by_side_wait_instead_of_failing(self, database: Database):
        """Read-then-write transactions of eight threads: no 'database is locked', no lost update."""
        with database.write() as session:
            add_user(session, "ada", email="0")
        failures: list[BaseException] = []

        def count() -> None:
            try:
                for _ in range(10):
                    with database.write() as session:
                        user = session.scalars(select(User).with_for_update()).one()
                        user.email = str(int(user.email or "") + 1)
            except Exception as error:  # noqa: BLE001  (told by the test)
                failures.append(error)

        threads = [threading.Thread(target=count) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=120)

        assert failures == []
        with database.read() as session:
            assert session.scalars(select(User.email)).one() == "80"


class TestTransitions:
    def test_a_step_writes_state_reason_deadline_and_event(self, database: Database):
        """All in one transaction."""
        submission = _submission(database)
        assert submission.deadline is not None
        with database.write() as session:
            transition(
                session,
                submission,
                SubmissionState.CHECKING,
                reason="the image is looked at",
                actor=submission.creator_pk,
                within=timedelta(minutes=5),
            )
        assert submission.state is SubmissionState.CHECKING

        with database.read() as session:
            found = session.get_one(Submission, submission.pk)
            events = session.scalars(
                select(Event).where(Event.noun_pk == submission.pk).order_by(Event.number)
            ).all()
        assert (found.state, found.reason) == (SubmissionState.CHECKING, "the image is looked at")
        assert found.deadline == found.state_since + timedelta(minutes=5)
        assert [(event.before, event.after) for event in events] == [
            (None, "received"),
            ("received", "checking"),
        ]
        assert events[1].actor_pk == submission.creator_pk

    def test_a_final_state_has_no_deadline_and_no_way_out(self, database: Database):
        """And the refusal says so."""
        submission = _submission(database)
        with database.write() as session:
            transition(session, submission, SubmissionState.CANCELLED, reason="its owner cancelled it")
        assert submission.deadline is None
        with (
            pytest.raises(ForbiddenTransition, match="from cancelled to running; allowed: nothing"),
            database.write() as session,
        ):
            transition(session, submission, SubmissionState.RUNNING)

    def test_of_two_that_step_from_the_same_state_one_is_told(self, database: Database):
        """Compare-and-set: whoever read an old state writes nothing, no event either."""
        submission = _submission(database)
        with database.read() as session:
            stale = session.get_one(Submission, submission.pk)
        with database.write() as session:
            transition(session, submission, SubmissionState.CHECKING)

        with pytest.raises(StateChanged, match="no longer received"), database.write() as session:
            transition(session, stale, SubmissionState.CANCELLED)

        with database.read() as session:
            assert session.get_one(Submission, submission.pk).state is SubmissionState.CHECKING
            assert len(session.scalars(select(Event).where(Event.noun_pk == submission.pk)).all()) == 2

    def test_a_run_is_evaluated_on_a_phase_once(self, database: Database):
        """The database itself refuses a second evaluation of the same run."""
        submission = _submission(database)
        with database.read() as session:
            run = session.get_one(Submission, submission.pk).runs[0]

        def add_evaluation() -> None:
            with database.write() as session:
                evaluation = Evaluation(
                    run_pk=run.pk, phase_pk=submission.phase_pk, submission_pk=submission.pk
                )
                enter(session, evaluation)
                transition(session, evaluation, EvaluationState.EXECUTING)
                transition(session, evaluation, EvaluationState.SUCCEEDED, metrics={"aggregates": {}})

        add_evaluation()
        with pytest.raises(IntegrityError):
            add_evaluation()
