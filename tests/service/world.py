"""A small world: two challenges, everyone who may ask, and a client for each of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from reseed.service.database.columns import now_utc
from reseed.service.database.engine import Database
from reseed.service.database.models import (
    AlgorithmModel,
    Evaluation,
    Membership,
    Phase,
    RunCase,
    Submission,
    Team,
    TeamMember,
    Upload,
    User,
)
from reseed.service.database.results import record_success
from reseed.service.database.transitions import enter, transition
from reseed.service.domain.permissions import Scope
from reseed.service.domain.roles import Role
from reseed.service.domain.states import (
    ArchiveState,
    CaseState,
    EvaluationState,
    RunState,
    SubmissionState,
)
from reseed.service.folders import DataFolder
from reseed.service.installation import Installation
from reseed.service.security.rates import RequestRate
from reseed.service.security.tokens import make_token
from reseed.service.settings import ServiceSettings, settings_from
from reseed.service.web import web_application
from tests.service.rows import (
    add_challenge,
    add_image,
    add_member,
    add_phase,
    add_submission,
    add_user,
)

SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a6978"

ANONYMOUS = "anonymous"
ROLES = (
    ANONYMOUS,
    "viewer",
    "participant",
    "other_participant",
    "organiser",
    "other_organiser",
    "administrator",
)

METRICS = {
    "schema_version": "1.0",
    "task": "nodule_malignancy",
    "confidence_level": 0.95,
    "aggregates": {"auroc": {"value": 0.9, "standard_error": 0.01, "low": 0.88, "high": 0.92}},
    "results": [{"case_id": "hidden-case-1", "patient": None, "reference": 1.0, "score": 0.8}],
    "comparisons": [],
}


def settings_in(folder: Path, **variables: str) -> ServiceSettings:
    return settings_from(
        {
            "RESEED_SECRET_KEY": SECRET,
            "RESEED_DATA_DIR": str(folder),
            "RESEED_BASE_URL": "http://testserver",
            "RESEED_WRITES_PER_MINUTE": "100000",
            "RESEED_REQUESTS_PER_MINUTE": "1000000",
            **variables,
        }
    )


@dataclass
class World:
    """Rows by name, and the tokens of the people."""

    installation: Installation
    app: FastAPI
    tokens: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    @property
    def database(self) -> Database:
        return self.installation.database

    @contextmanager
    def client(self, role: str = ANONYMOUS) -> Iterator[TestClient]:
        """A program with that person's token, or with none."""
        headers = {} if role == ANONYMOUS else {"Authorization": f"Bearer {self.tokens[role]}"}
        with TestClient(self.app, headers=headers, raise_server_exceptions=False) as client:
            yield client


def empty_world(database: Database, folder: Path, **variables: str) -> World:
    """An installation where nothing is yet; `variables` are further settings."""
    settings = settings_in(folder, **variables)
    installation = Installation(
        settings=settings,
        database=database,
        folder=DataFolder(folder),
        request_rate=RequestRate(settings.requests_per_minute),
    )
    return World(installation, web_application(installation))


def world_in(database: Database, folder: Path, original: World) -> World:
    """The world of a database that was copied from another's."""
    world = empty_world(database, folder)
    world.tokens |= original.tokens
    world.names |= original.names
    write_log(world, "case-hidden-case-1", "reading hidden-case-1")
    return world


@contextmanager
def small_world(migrated_sqlite: Path, folder: Path) -> Iterator[World]:
    """A world in a folder, on a copy of an SQLite database that has all tables and no rows."""
    shutil.copy(migrated_sqlite, folder / "reseed.sqlite3")
    database = Database(f"sqlite:///{folder}/reseed.sqlite3")
    yield build_world(database, folder)
    database.close()


def build_world(database: Database, folder: Path, **variables: str) -> World:
    """Everyone in ROLES, and all that the authorisation matrix asks for."""
    world = empty_world(database, folder, **variables)
    with database.write() as session:
        people = _people(session, world)
        challenge = add_challenge(session, "nodules")
        other = add_challenge(session, "kidneys", is_public=False)
        add_member(session, challenge, people["viewer"], Role.VIEWER)
        add_member(session, challenge, people["participant"], Role.PARTICIPANT)
        second = add_member(session, challenge, people["other_participant"], Role.PARTICIPANT)
        add_member(session, challenge, people["organiser"], Role.ORGANISER)
        add_member(session, other, people["other_organiser"], Role.ORGANISER)
        phase = add_phase(session, challenge)
        add_phase(session, other)
        world.names |= {"slug": "nodules", "phase": "final", "membership": str(second.pk)}
        world.names["phase_pk"] = str(phase.pk)
        _team(session, world, second, people["participant"])
        _submission(session, world, phase, people["participant"])
    write_log(world, "case-hidden-case-1", "reading hidden-case-1")
    world.names["step"] = "trial"
    return world


def write_log(world: World, step: str, text: str) -> None:
    """What a program of the first run of the world's submission has printed."""
    path = world.installation.folder.log(UUID(world.names["submission"]), 1, step)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _people(session: Session, world: World) -> dict[str, User]:
    people = {
        role: add_user(session, role, is_administrator=role == "administrator")
        for role in ROLES
        if role != ANONYMOUS
    }
    for role, user in people.items():
        token, secret = make_token(session, user, name="test", scopes=set(Scope), valid_for=timedelta(days=1))
        world.tokens[role] = secret
        world.names[f"token_of_{role}"] = str(token.pk)
    return people


def _team(session: Session, world: World, membership: Membership, owner: User) -> None:
    team = Team(challenge_pk=membership.challenge_pk, owner=owner, name="Lungs")
    team.members.append(TeamMember(challenge_pk=membership.challenge_pk, user=owner))
    session.add(team)
    session.flush()
    world.names["team"] = str(team.pk)


def _submission(session: Session, world: World, phase: Phase, creator: User) -> None:
    image = add_image(session, creator)
    model = AlgorithmModel(
        algorithm=image.algorithm,
        creator=creator,
        state=ArchiveState.READY,
        sha256="c" * 64,
        size_bytes=10,
    )
    enter(session, model)
    upload = Upload(creator=creator, filename="net.tar", size_bytes=1000)
    enter(session, upload)
    submission = add_submission(session, phase, creator, image)
    evaluation = add_evaluated(session, submission)
    case = RunCase(
        run_pk=submission.runs[0].pk, name="hidden-case-1", is_trial=True, state=CaseState.SUCCEEDED
    )
    enter(session, case)
    world.names |= {
        "algorithm": image.algorithm.slug,
        "image": str(image.pk),
        "model": str(model.pk),
        "upload": str(upload.pk),
        "submission": str(submission.pk),
        "evaluation": str(evaluation.pk),
    }


def add_running(session: Session, submission: Submission, *, is_external: bool = False) -> Evaluation:
    """Bring a received submission to where its only run waits for its evaluation."""
    for state in (SubmissionState.CHECKING, SubmissionState.TRYING, SubmissionState.RUNNING):
        transition(session, submission, state)
    run = submission.runs[0]
    transition(session, run, RunState.PREDICTING)
    transition(session, run, RunState.EVALUATING)
    evaluation = Evaluation(
        run=run, phase_pk=submission.phase_pk, submission=submission, is_external=is_external
    )
    enter(session, evaluation)
    return evaluation


def add_evaluated(session: Session, submission: Submission) -> Evaluation:
    """Bring a received submission of one run to its end, with METRICS."""
    evaluation = add_running(session, submission)
    transition(session, evaluation, EvaluationState.EXECUTING)
    record_success(session, evaluation, METRICS)
    return evaluation


def release(session: Session, submission: Submission) -> None:
    """Show the results of the submission's phase."""
    submission.phase.released_at = now_utc() - timedelta(minutes=1)
