"""A challenge from its file: made whole, or refused with the place of every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from reseed.contracts.errors import UserError
from reseed.scoring.tasks import TASKS_FOLDER
from reseed.service.challenge_file import create_challenge, read_challenge
from reseed.service.database.engine import Database
from reseed.service.database.models import Challenge, Membership, Phase
from reseed.service.domain.roles import Role, SubmissionKind
from tests.service.rows import add_user

TASKS = Path(__file__).parents[2] / TASKS_FOLDER

FILE = """\
challenge: nodules
title: Malignancy of lung nodules
organisers: [ada]
join_policy: open
phases:
  debug:
    title: Try it
    task: nodule_malignancy
    cases: data/cases
    reference: data/reference
    released_at: 2026-01-01T00:00:00Z
  final:
    title: The test
    task: nodule_malignancy
    cases: data/cases
    reference: data/reference
    training: data/training
    submission_kind: training
    runs: 8
    hyperparameters: {epochs: "10"}
    limits: {submissions_per_day: 2, gpus: 1}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A challenge file with folders that fit its task."""
    (tmp_path / "data" / "cases" / "one").mkdir(parents=True)
    (tmp_path / "data" / "training").mkdir()
    (tmp_path / "data" / "reference").mkdir()
    (tmp_path / "data" / "reference" / "reference.csv").write_text("case,patient,label\none,p1,1\ntwo,p2,0\n")
    file = tmp_path / "challenge.yaml"
    file.write_text(FILE)
    return file


def test_a_challenge_is_made_with_phases_and_organisers(database: Database, path: Path):
    """Paths are absolute then: the worker runs elsewhere."""
    checked = read_challenge(path, TASKS)
    with database.write() as session:
        add_user(session, "ada")
        create_challenge(session, checked)
    with database.read() as session:
        debug, final = session.scalars(select(Phase).order_by(Phase.position)).all()
        assert [debug.slug, final.slug] == ["debug", "final"]
        assert debug.released_at is not None
        assert debug.submission_kind is SubmissionKind.INFERENCE
        assert (final.n_runs, final.gpus, final.submissions_per_day) == (8, 1, 2)
        assert final.hyperparameters == {"epochs": "10"}
        assert Path(final.cases_folder) == path.parent.resolve() / "data" / "cases"
        assert final.task_text.startswith((TASKS / "nodule_malignancy.yaml").read_text()[:40])
        assert session.scalars(select(Membership.role)).all() == [Role.ORGANISER]


def test_nothing_is_made_when_an_organiser_is_no_user(database: Database, path: Path):
    """The whole file or nothing; and a challenge is made once."""
    checked = read_challenge(path, TASKS)

    def create() -> None:
        with database.write() as session:
            create_challenge(session, checked)

    with pytest.raises(UserError, match="there is no user 'ada'"):
        create()
    with database.write() as session:
        assert session.scalars(select(Challenge)).all() == []
        add_user(session, "ada")
    create()
    with pytest.raises(UserError, match="there is a challenge 'nodules' already"):
        create()


_DEBUG = "task: nodule_malignancy\n    cases: data/cases\n    reference: data/reference\n    released"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("runs: 8", "runs: many", "yaml:19:5: phases.final.runs: must be a whole number, got 'many'"),
        ("join_policy", "join_polcy", "yaml:4:1: join_polcy: unknown key; did you mean 'join_policy'?"),
        ("    training: data/training\n", "", "training is missing: submissions with training need"),
        ("challenge: nodules", "challenge: Nodules", "yaml:1:1: challenge: must be a slug"),
        (_DEBUG, _DEBUG.replace("malignancy", "malignance"), "did you mean 'nodule_malignancy'?"),
        (_DEBUG, _DEBUG.replace("data/reference", "data/nothing"), "no such folder"),
        (
            "runs: 8",
            "runs: 8\n    shows_trial_log: true",
            "trial_case is missing: shows_trial_log shows submitters",
        ),
        ("runs: 8", "runs: 8\n    trial_case: two", "trial_case 'two': "),
        (_DEBUG, "task: nodule_malignancy\n    dataset: data\n    released", "is not a dataset"),
    ],
)
def test_mistakes_have_their_place(path: Path, before: str, after: str, words: str):
    """As `reseed task check` explains them."""
    assert before in FILE
    path.write_text(FILE.replace(before, after, 1))
    with pytest.raises(UserError) as refusal:
        read_challenge(path, TASKS)
    assert words in str(refusal.value)
    assert "challenge.yaml:" in str(refusal.value)
