"""The page of teams: what each person may do there, by forms alone."""

from __future__ import annotations

import html
import re
from uuid import UUID

from fastapi.testclient import TestClient

from reseed.service.database.models import Team
from tests.service.test_pages import browser, csrf_of
from tests.service.world import World

CHALLENGE = "/challenges/nodules/"
TEAMS = f"{CHALLENGE}teams/"


def forms(client: TestClient) -> list[str]:
    """Where the forms of the page lead, but for the one that logs out; none is there twice."""
    found = re.findall(r'<form[^>]*action="(/challenges/[^"]+)"', client.get(TEAMS).text)
    assert len(found) == len(set(found))
    return [html.unescape(path) for path in found]


def send(client: TestClient, path: str, **fields: str) -> int:
    """Fill in a form that the page has."""
    assert path in forms(client)
    answer = client.post(path, data={**csrf_of(client, TEAMS), **fields}, follow_redirects=False)
    if answer.status_code == 303:
        assert answer.headers["location"] == TEAMS
    return answer.status_code


def team_named(world: World, name: str) -> Team:
    with world.database.read() as session:
        return session.query(Team).filter_by(name=name).one()


def test_a_team_from_its_creation_to_its_members_leaving(world: World):
    """By forms that are on the page when somebody may use them, and not otherwise."""
    with browser(world, "other_participant") as owner, browser(world, "viewer") as viewer:
        assert send(owner, TEAMS, name="Airways & Co", institution="Radboudumc", website="") == 303
        team = f"{TEAMS}{team_named(world, 'Airways & Co').pk}/"
        assert forms(owner) == [f"{team}invitations/"]
        assert forms(viewer) == []
        assert "asks you to join" not in viewer.get(CHALLENGE).text

        assert send(owner, f"{team}invitations/", username="viewer") == 303
        assert forms(owner) == [f"{team}members/viewer/remove/", f"{team}invitations/"]
        assert "1 team asks you to join" in viewer.get(CHALLENGE).text
        assert forms(viewer) == [f"{team}join/", f"{team}members/viewer/remove/"]

        assert send(viewer, f"{team}members/viewer/remove/") == 303
        assert forms(viewer) == []
        assert send(owner, f"{team}invitations/", username="viewer") == 303
        assert send(viewer, f"{team}join/") == 303
        assert "Your team, Airways &amp; Co" in viewer.get(TEAMS).text
        assert forms(viewer) == [f"{team}members/viewer/remove/"]

        assert send(viewer, f"{team}members/viewer/remove/") == 303
        assert "Your team" not in viewer.get(TEAMS).text


def test_refusals_say_why(world: World):
    """On a page, as everywhere."""
    with browser(world, "participant") as client:
        (invitations,) = forms(client)
        fields = {**csrf_of(client, TEAMS), "username": "other_organiser"}
        answer = client.post(invitations, data=fields)
    assert answer.status_code == 409
    assert "does not take part in the challenge" in answer.text
    assert answer.headers["content-type"].startswith("text/html")


def test_a_form_of_another_site_does_nothing(world: World):
    """It lacks the token of the log-in."""
    with browser(world, "other_participant") as client:
        assert client.post(TEAMS, data={"name": "Airways"}).status_code == 403
        assert "Airways" not in client.get(TEAMS).text


def test_who_has_not_logged_in_and_who_does_not_take_part(world: World):
    """A visitor is led to the form, an outsider refused, and neither has a link to the page."""
    with browser(world) as client:
        assert "/login/?to=" in str(client.get(TEAMS).url)
        assert TEAMS not in client.get(CHALLENGE).text
    with browser(world, "other_organiser") as client:
        assert client.get(TEAMS).status_code == 403
        assert TEAMS not in client.get(CHALLENGE).text
    with browser(world, "participant") as client:
        assert TEAMS in client.get(CHALLENGE).text


def test_what_a_team_says_of_itself_is_text(world: World):
    """Markup is shown, not obeyed."""
    with world.database.write() as session:
        team = session.get_one(Team, UUID(world.names["team"]))
        team.name, team.institution = "<b>bold</b>", "<script>alert(1)</script>"
    with browser(world, "participant") as client:
        text = client.get(TEAMS).text
    assert "<b>bold" not in text
    assert "<script>alert" not in text
    assert "&lt;b&gt;bold" in text
