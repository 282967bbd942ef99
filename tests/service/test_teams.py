"""Teams: nobody is in one without having said so, and nobody in two."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.world import World

_TEAMS = "/api/v1/challenges/nodules/teams/"


def _names(people: list[dict[str, Any]]) -> list[str]:
    return [person["username"] for person in people]


@pytest.fixture
def team(world: World) -> str:
    """The address of a team of the other participant."""
    with world.client("other_participant") as client:
        made = client.post(_TEAMS, json={"name": "Airways", "website": "https://example.org"})
    assert made.status_code == 201
    return f"{_TEAMS}{made.json()['pk']}/"


def test_an_invitation_changes_nothing_until_it_is_accepted(world_of_each_kind: World):
    """Then the person is in the team, and their submissions are the team's."""
    world = world_of_each_kind
    with world.client("other_participant") as client:
        team = f"{_TEAMS}{client.post(_TEAMS, json={'name': 'Airways'}).json()['pk']}/"
        for _ in range(2):  # a second time nothing happens
            asked = client.post(f"{team}invitations/", json={"username": "viewer"}).json()
        assert (_names(asked["members"]), _names(asked["invited"])) == (["other_participant"], ["viewer"])
    with world.client("viewer") as client:
        joined = client.post(f"{team}join/").json()
        assert (_names(joined["members"]), joined["invited"]) == (["other_participant", "viewer"], [])
        assert client.post(f"{team}join/").status_code == 409


def test_whoever_is_not_invited_cannot_join(world: World, team: str):
    """Not even a member of the challenge; and an outsider is not told of the team."""
    with world.client("viewer") as client:
        answer = client.post(f"{team}join/")
    assert (answer.status_code, answer.json()["detail"]) == (409, "the team 'Airways' has not invited you")
    with world.client("other_organiser") as client:
        assert client.post(f"{team}join/").status_code == 403


def test_one_team_at_a_time(world: World, team: str):
    """Who is in a team is not asked by another, and an outsider by none."""
    with world.client("other_participant") as client:
        for name, words in (
            ("participant", "is in a team of this challenge already"),
            ("other_organiser", "does not take part in the challenge"),
        ):
            answer = client.post(f"{team}invitations/", json={"username": name})
            assert (answer.status_code, answer.json()["detail"]) == (409, f"{name} {words}")
        assert client.post(_TEAMS, json={"name": "Trachea"}).status_code == 409


def test_saying_yes_to_one_says_no_to_the_others(world: World, team: str):
    """The invitation of the other team is gone."""
    with world.client("participant") as client:
        theirs = f"{_TEAMS}{client.get(_TEAMS).json()['results'][1]['pk']}/"
        assert client.post(f"{theirs}invitations/", json={"username": "viewer"}).status_code == 200
    with world.client("other_participant") as client:
        client.post(f"{team}invitations/", json={"username": "viewer"})
    with world.client("viewer") as client:
        assert client.post(f"{team}join/").status_code == 200
        assert client.post(f"{theirs}join/").status_code == 409
        assert [_names(each["invited"]) for each in client.get(_TEAMS).json()["results"]] == [[], []]


def test_anybody_can_leave_or_decline_but_the_owner(world: World, team: str):
    """And be taken out by the owner, but by no other member."""
    with world.client("other_participant") as owner, world.client("viewer") as client:
        owner.post(f"{team}invitations/", json={"username": "viewer"})
        assert client.delete(f"{team}members/viewer/").json()["invited"] == []
        owner.post(f"{team}invitations/", json={"username": "viewer"})
        assert client.post(f"{team}join/").status_code == 200
        assert client.delete(f"{team}members/other_participant/").status_code == 403
        assert _names(client.delete(f"{team}members/viewer/").json()["members"]) == ["other_participant"]
        assert client.delete(f"{team}members/viewer/").status_code == 404
        assert owner.delete(f"{team}members/other_participant/").status_code == 409


@pytest.mark.parametrize(
    ("name", "status"),
    [("Airways", 409), ("Participant", 409), ("other_participant", 201), ("x" * 100, 201), ("x" * 101, 422)],
)
def test_names(world: World, name: str, status: int):
    """No two entries of a leaderboard sound alike, but for one's own name."""
    with world.client("administrator") as client:
        assert client.post(_TEAMS, json={"name": "Airways"}).status_code == 201
    with world.client("other_participant") as client:
        assert client.post(_TEAMS, json={"name": name}).status_code == status


def test_a_website_that_is_a_script_is_refused(world: World):
    """It becomes a link on a page."""
    with world.client("other_participant") as client:
        answer = client.post(_TEAMS, json={"name": "X", "website": "javascript:alert(1)"})
    assert answer.status_code == 422
