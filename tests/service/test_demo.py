"""`reseed demo` fills a challenge from a finished study; `reseed leaderboard` shows it on the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from reseed.cli import app
from reseed.cli.leaderboard import api_address, leaderboard_lines
from reseed.contracts.errors import UserError
from reseed.service.database.models import Challenge, Evaluation, Job
from reseed.service.operations.demo import add_demo, read_finished_study
from tests.service.boards import metrics_of
from tests.service.served import served
from tests.service.world import SECRET, World

TASKS = Path(__file__).parents[2] / "evaluation/tasks"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The folder of a study of three methods, one of which ran once."""
    rng = np.random.default_rng(8)
    for method, strength, n_runs in (("strong", 2.5, 4), ("weak", 0.3, 4), ("once", 2.0, 1)):
        for run in range(n_runs):
            folder = tmp_path / "small_study/runs" / method / str(run)
            folder.mkdir(parents=True)
            document = metrics_of(strength, rng).document()
            (folder / "metrics.json").write_text(json.dumps(document), encoding="utf-8")
    return tmp_path / "small_study"


@pytest.fixture
def demo_world(world: World, study: Path) -> World:
    with world.database.write() as session:
        add_demo(session, read_finished_study(study, TASKS), slug="demo")
    return world


@pytest.fixture
def address(demo_world: World) -> Iterator[str]:
    """The service on a port of its own."""
    with served(demo_world.app) as address:
        yield address


def test_every_run_is_there_and_nothing_is_run(demo_world: World, study: Path):
    """Evaluations of all runs, and no job for a worker."""
    with demo_world.database.read() as session:
        demo = session.scalars(select(Challenge).where(Challenge.slug == "demo")).one()
        evaluations = session.scalars(
            select(Evaluation).where(Evaluation.phase_pk == demo.phases[0].pk)
        ).all()
        assert len(evaluations) == 9
        assert session.scalars(select(Job)).all() == []


def test_the_same_name_twice_is_refused(demo_world: World, study: Path):
    """What is there stays as it is."""
    with demo_world.database.write() as session, pytest.raises(UserError, match="--slug"):
        add_demo(session, read_finished_study(study, TASKS), slug="demo")


def test_a_folder_without_results_is_refused(tmp_path: Path):
    """The message says what it must be."""
    with pytest.raises(UserError, match="finished study"):
        read_finished_study(tmp_path, TASKS)


def test_the_command_makes_it_and_says_where(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """From an empty folder to an address, with the tables made on the way."""
    monkeypatch.setenv("RESEED_SECRET_KEY", SECRET)
    monkeypatch.setenv("RESEED_DATA_DIR", str(tmp_path / "service"))

    result = CliRunner().invoke(app, ["demo", str(study)])

    assert result.exit_code == 0, result.output
    assert "3 methods with 9 runs" in result.output
    assert "/challenges/demo-small-study/phases/results/leaderboard/" in result.output


def test_the_leaderboard_on_the_terminal(address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Ranks, scores, intervals and the sentences, from a real server."""
    monkeypatch.delenv("RESEED_TOKEN", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    phase = f"{address}/challenges/demo/phases/results/"

    result = CliRunner().invoke(app, ["leaderboard", phase])

    assert result.exit_code == 0, result.output
    assert "(retrained, new patients)" in result.output.splitlines()[0]
    assert "demo · strong" in result.output
    assert "is first of 2" in result.output
    assert "demo · once: one run" in result.output
    document = json.loads(CliRunner().invoke(app, ["leaderboard", phase, "--json"]).output)
    assert list(document["leaderboard"]["scopes"]) == ["population", "test_set", "trained_models"]
    with pytest.raises(UserError, match="no scope 'all'"):
        leaderboard_lines(document, "all")


def test_a_phase_that_is_not_there_is_one_line(address: str):
    """In the service's words."""
    result = CliRunner().invoke(app, ["leaderboard", f"{address}/challenges/demo/phases/none/"])

    assert isinstance(result.exception, UserError)
    assert "has no phase 'none'" in str(result.exception)


@pytest.mark.parametrize(
    "url", ["nodules", "https://example.org/challenges/a/", "ftp://x/challenges/a/phases/b"]
)
def test_other_addresses_are_refused(url: str):
    """The rule is in the message."""
    with pytest.raises(UserError, match="must be the address of a phase"):
        api_address(url)
