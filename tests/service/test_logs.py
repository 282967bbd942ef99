"""Logs: organisers see all of their challenge, owners that of the named trial case, nobody else any."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import update

from reseed.service.database.models import Phase, RunCase
from reseed.service.database.transitions import enter
from reseed.service.domain.states import CaseState
from tests.service.test_pages import browser, csrf_of
from tests.service.world import World, write_log

TRIAL, OTHER = "hidden-case-1", "hidden-case-2"
LOGS = {
    "train": "epoch 1 of patient-7",
    f"case-{TRIAL}": "voxels of the trial case <b>",
    f"case-{OTHER}": "voxels that nobody may see",
    "evaluate": "reference of hidden-case-2",
}


def set_phase(world: World, **values: object) -> None:
    with world.database.write() as session:
        session.execute(update(Phase).values(**values))


@pytest.fixture
def logged(world: World) -> World:
    """A submission with logs of every kind, in a phase that names its trial case and shows its log."""
    set_phase(world, trial_case=TRIAL, shows_trial_log=True)
    with world.database.write() as session:
        run = session.query(RunCase).one().run_pk
        enter(session, RunCase(run_pk=run, name=OTHER, state=CaseState.SUCCEEDED))
    for step, text in LOGS.items():
        write_log(world, step, text)
    return world


def place(world: World) -> str:
    return f"/submissions/{world.names['submission']}/runs/1/logs/"


def answers(world: World, role: str, step: str, **query: int):
    with world.client(role) as client:
        return client.get(f"/api/v1{place(world)}{step}/", params=query)


class TestOwner:
    def test_sees_the_log_of_the_trial_case(self, logged: World):
        """By that name: the case's own is hidden."""
        answer = answers(logged, "participant", "trial")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.text == LOGS[f"case-{TRIAL}"]
        with logged.client("participant") as client:
            found = client.get(f"/api/v1{place(logged)}").json()
        assert [each["step"] for each in found] == ["trial"]
        assert TRIAL not in str(found)

    @pytest.mark.parametrize(
        "step", [*LOGS, "preprocess", "case-none", "trial.log", "..", "%2e%2e%2fx", "é" * 140]
    )
    def test_sees_no_other(self, logged: World, step: str):
        """Whether it is there or not: a refusal must not say which cases there are."""
        answer = answers(logged, "participant", step)
        assert answer.status_code in ({403} if step in LOGS else {403, 404})
        assert not any(text in answer.text for text in LOGS.values())
        if step.startswith("case-"):
            assert answer.json()["detail"] == answers(logged, "participant", "case-x").json()["detail"]

    @pytest.mark.parametrize(
        "values",
        [{"shows_trial_log": False}, {"trial_case": None}, {"trial_case": OTHER}],
        ids=["forbidden", "not_named", "another_one_was_tried"],
    )
    def test_sees_none_unless_the_phase_shows_that_very_case(self, logged: World, values: dict):
        """What was tried before the organiser named a case is not declared to be harmless."""
        set_phase(logged, **values)
        answer = answers(logged, "participant", "trial")
        assert answer.status_code in {403, 404}
        with logged.client("participant") as client:
            assert client.get(f"/api/v1{place(logged)}").json() == []
        with browser(logged, "participant") as client:
            page = client.get(f"/submissions/{logged.names['submission']}/").text
            assert "/logs/" not in page
            assert "voxels" not in client.get(f"{place(logged)}trial/").text

    def test_sees_none_of_another_run(self, logged: World):
        """There is no trial but the first run's."""
        with logged.client("participant") as client:
            answer = client.get(f"/api/v1{place(logged).replace('/runs/1/', '/runs/2/')}trial/")
        assert answer.status_code == 404

    def test_its_page_links_to_it(self, logged: World):
        """And shows it escaped."""
        with browser(logged, "participant") as client:
            page = client.get(f"/submissions/{logged.names['submission']}/").text
            assert f'href="{place(logged)}trial/"' in page
            assert TRIAL not in page
            text = client.get(f"{place(logged)}trial/").text
        assert "voxels of the trial case &lt;b&gt;" in text
        assert TRIAL not in text


@pytest.mark.parametrize("role", ["viewer", "other_participant", "other_organiser", "anonymous"])
def test_nobody_else_sees_any(logged: World, role: str):
    """As if there were no submission."""
    for step in ("trial", *LOGS):
        answer = answers(logged, role, step)
        assert answer.status_code == (401 if role == "anonymous" else 404)
        assert not any(text in answer.text for text in LOGS.values())


class TestOrganiser:
    def test_sees_all(self, logged: World):
        """Of their own challenge, also where owners see none."""
        set_phase(logged, shows_trial_log=False)
        with logged.client("organiser") as client:
            found = client.get(f"/api/v1{place(logged)}").json()
            assert [each["step"] for each in found] == ["trial", *sorted(LOGS)]
            for each in found:
                text = client.get(each["api_url"]).text
                assert text == LOGS.get(each["step"], LOGS[f"case-{TRIAL}"])
                assert each["size_bytes"] == len(text)
        with browser(logged, "organiser") as client:
            assert f'href="{place(logged)}"' in client.get(f"/submissions/{logged.names['submission']}/").text
            assert f'href="{place(logged)}case-{OTHER}/"' in client.get(place(logged)).text
            assert LOGS[f"case-{OTHER}"] in client.get(f"{place(logged)}case-{OTHER}/").text

    @pytest.mark.parametrize("step", ["..", "%2e%2e%2ftrain", "x" * 140, "é" * 140, "train.log"])
    def test_a_step_is_never_a_path(self, logged: World, step: str):
        """Also none that no file system takes."""
        assert answers(logged, "organiser", step).status_code in {404, 422}

    def test_shows_logs_only_of_a_named_case(self, logged: World):
        """By the API and by the form."""
        path = "/challenges/nodules/phases/final/"
        set_phase(logged, shows_trial_log=False)
        with browser(logged, "organiser") as client:
            form = {**csrf_of(client, f"{path}organise/"), "change": "show_trial_log"}
            assert "do not see what their programs print" in client.get(f"{path}organise/").text
            assert "Participants see what" in client.post(f"{path}organise/", data=form).text
            assert "what your program prints at the trial case" in client.get(path).text
        set_phase(logged, shows_trial_log=False, trial_case=None)
        with logged.client("organiser") as client:
            answer = client.patch(f"/api/v1{path}", json={"shows_trial_log": True})
        assert answer.status_code == 422
        assert "has no trial_case" in answer.json()["detail"]


class TestTail:
    def test_of_a_long_log_the_end_in_whole_lines(self, logged: World):
        """With the size of all of it; the page says what it leaves out."""
        lines = [f"line {number} 0123456789 0123456789\n" for number in range(5000)]
        write_log(logged, f"case-{TRIAL}", "".join(lines))
        answer = answers(logged, "participant", "trial", tail_bytes=100)
        assert answer.text == "".join(lines[-3:])
        assert answer.headers["x-log-bytes"] == str(sum(map(len, lines)))
        with browser(logged, "participant") as client:
            page = client.get(f"{place(logged)}trial/").text
        assert "without the first" in page
        assert lines[-1] in page
        assert lines[0] not in page

    def test_bytes_that_are_no_text(self, logged: World):
        """A program may print anything."""
        path = logged.installation.folder.log(UUID(logged.names["submission"]), 1, f"case-{TRIAL}")
        path.write_bytes(b"\xff\x00\x1b[31m\n")
        assert answers(logged, "participant", "trial").text == "\ufffd\x00\x1b[31m\n"
        with browser(logged, "participant") as client:
            assert "\x00" not in client.get(f"{place(logged)}trial/").text
