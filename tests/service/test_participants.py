"""Taking part: joining, accepting."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from reseed.service.database.models import Challenge
from reseed.service.domain.roles import JoinPolicy
from tests.service.world import World

_JOIN = "/api/v1/challenges/nodules/join/"
_PARTICIPANTS = "/api/v1/challenges/nodules/participants/"
_TEAMS = "/api/v1/challenges/nodules/teams/"


def test_an_organiser_accepts_a_request(world_of_each_kind: World):
    """Until then the person is no participant."""
    world = world_of_each_kind
    with world.client("other_organiser") as client:
        asked = client.post(_JOIN).json()
        assert asked["state"] == "pending"
        assert client.get(_TEAMS).status_code == 403
    with world.client("organiser") as client:
        waiting = client.get(_PARTICIPANTS, params={"state": "pending"}).json()
        assert [each["user"]["username"] for each in waiting["results"]] == ["other_organiser"]
        client.patch(f"{_PARTICIPANTS}{asked['pk']}/", json={"state": "accepted"})
    with world.client("other_organiser") as client:
        assert client.post(_JOIN).json()["state"] == "accepted"
        assert client.get(_TEAMS).status_code == 200


@pytest.mark.parametrize(("policy", "status", "state"), [("open", 200, "accepted"), ("closed", 409, None)])
def test_open_and_closed_challenges(world: World, policy: str, status: int, state: str | None):
    """Nobody waits for an organiser there."""
    with world.database.write() as session:
        session.execute(update(Challenge).values(join_policy=JoinPolicy(policy)))
    with world.client("other_organiser") as client:
        answer = client.post(_JOIN)
    assert answer.status_code == status
    assert answer.json().get("state") == state


def test_a_challenge_keeps_an_organiser(world: World):
    """The last one cannot make themselves a viewer, and nothing is changed then."""
    with world.client("organiser") as client:
        own = next(
            each
            for each in client.get(_PARTICIPANTS).json()["results"]
            if each["user"]["username"] == "organiser"
        )
        change = {"state": "accepted", "role": "viewer"}
        assert client.patch(f"{_PARTICIPANTS}{own['pk']}/", json=change).status_code == 409
        assert client.get(_PARTICIPANTS).status_code == 200
