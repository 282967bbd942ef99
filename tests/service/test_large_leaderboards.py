"""A large leaderboard is made by a process of its own, and no request waits for it."""

from __future__ import annotations

import json
import logging
import time
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from fastapi.testclient import TestClient

from reseed.service.database.models import Evaluation
from reseed.service.leaderboards import RETRY_AFTER_S, Leaderboards
from tests.service.ranked import add_ranked, rank, take_back
from tests.service.world import World

BOARD = "/challenges/nodules/phases/final/leaderboard/"


def with_large_boards(world: World) -> World:
    """The same installation with other memory, for which every leaderboard is a large one."""
    here = world.installation
    world.app.state.leaderboards = Leaderboards(here.database, here.folder.root, scores_at_once=0)
    return world


def awaited(client: TestClient, *, current: bool = True) -> dict[str, Any]:
    """What the API answers once the leaderboard is there."""
    deadline = time.monotonic() + 120
    while True:
        answer = client.get(f"/api/v1{BOARD}")
        if answer.status_code == 200 and answer.json()["is_current"] >= current:
            return dict(answer.json())
        assert answer.status_code in (200, 503), answer.text
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)


def test_the_first_is_said_to_be_on_its_way_and_is_the_one_that_a_request_would_make(
    world_of_each_kind: World,
):
    """On both databases: 503 with a time to come again, a page that follows it, then the same numbers."""
    world = rank(world_of_each_kind)
    with world.client() as client:
        expected = client.get(f"/api/v1{BOARD}").json()
        (kept,) = (world.installation.folder.root / "leaderboards").iterdir()
        kept.unlink()

        with_large_boards(world)
        first = client.get(f"/api/v1{BOARD}")
        page = client.get(BOARD)

        assert first.status_code == 503
        assert first.headers["Retry-After"] == str(RETRY_AFTER_S)
        assert first.json()["detail"] == "the leaderboard is being made; it will be here in a moment"
        assert page.status_code == 200
        assert "The leaderboard is being made" in page.text
        assert "progress.js" in page.text
        assert awaited(client) == expected
        assert "progress.js" not in client.get(BOARD).text


def test_until_the_next_is_made_there_is_the_one_before(ranked_world: World):
    """It says of itself that there are newer results."""
    with ranked_world.client() as client:
        before = awaited(with_large(client, ranked_world))
        add_ranked(ranked_world, "new", 2.0, 5, np.random.default_rng(9))

        meanwhile = client.get(f"/api/v1{BOARD}").json()
        page = client.get(BOARD).text

        assert meanwhile == {**before, "is_current": False, "entrants": meanwhile["entrants"]}
        assert "There are newer results" in page
        assert "new-team" not in page
        after = awaited(client)
        assert after["leaderboard"]["n_submissions"] == before["leaderboard"]["n_submissions"] + 1
        assert "new-team" in client.get(BOARD).text


def test_who_is_taken_off_is_not_on_the_one_before(ranked_world: World):
    """Rather none than that one."""
    with ranked_world.client() as client:
        awaited(with_large(client, ranked_world))
        take_back(ranked_world, "weak_evaluation")

        assert client.get(f"/api/v1{BOARD}").status_code == 503
        assert "weak-team" not in client.get(BOARD).text
        assert "weak-team" not in json.dumps(awaited(client))


def test_a_process_that_fails_is_an_error_with_its_reason_in_the_log(
    ranked_world: World, caplog: pytest.LogCaptureFixture
):
    """The reason is for the operator, who may see more than a visitor."""
    with ranked_world.database.write() as session:
        broken = session.get_one(Evaluation, UUID(ranked_world.names["good_evaluation"]))
        broken.metrics = {**(broken.metrics or {}), "task": 7}
    with_large_boards(ranked_world)
    with caplog.at_level(logging.ERROR), ranked_world.client() as client:
        while (answer := client.get(f"/api/v1{BOARD}")).status_code == 503:
            time.sleep(0.2)

    assert answer.status_code == 500
    assert answer.json()["detail"] == "the leaderboard could not be made; the operator's log has the reason"
    (line,) = [record for record in caplog.records if record.message == "leaderboard not made"]
    assert line.__dict__["exit_code"] == 1


def with_large(client: TestClient, world: World) -> TestClient:
    """A client of an installation for which every leaderboard is a large one."""
    with_large_boards(world)
    return client
