"""The pages: what they say, to whom, and that forms do their work."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from reseed.service.database.models import (
    Algorithm,
    Evaluation,
    Membership,
    Phase,
    Run,
    RunCase,
    Submission,
    Token,
    User,
)
from reseed.service.database.transitions import enter, transition
from reseed.service.domain.roles import MembershipState, Role
from reseed.service.domain.states import (
    CaseState,
    RunState,
    SubmissionState,
)
from reseed.service.pages.forms import inner_path
from reseed.service.pages.rendering import prose
from reseed.service.security.passwords import password_hash
from reseed.service.security.sessions import COOKIE, cookie_value, log_in
from reseed.statistics import Scope
from tests.service.ranked import add_ranked, change_phase, release
from tests.service.rows import add_submission, add_user
from tests.service.world import SECRET, World

PHASE = "/challenges/nodules/phases/final/"
BOARD = f"{PHASE}leaderboard/"


@contextmanager
def browser(world: World, username: str | None = None) -> Iterator[TestClient]:
    """Somebody who has logged in by password, or a visitor."""
    cookies = {}
    if username is not None:
        with world.database.write() as session:
            user = session.scalars(select(User).where(User.username == username)).one()
            login = log_in(session, user, valid_for=timedelta(hours=1))
        cookies = {COOKIE: cookie_value(login.pk, SECRET)}
    with TestClient(world.app, cookies=cookies, raise_server_exceptions=True) as client:
        yield client


def csrf_of(client: TestClient, path: str) -> dict[str, str]:
    """The hidden field of the forms of a page."""
    found = re.search(r'name="csrf_token" value="([0-9a-f]{64})"', client.get(path).text)
    assert found is not None
    return {"csrf_token": found[1]}


class TestLeaderboard:
    def test_it_shows_rank_intervals_groups_and_the_winners_chance(self, ranked_world: World):
        """All that a leaderboard is for is on the page, without a script."""
        with browser(ranked_world) as client:
            text = client.get(BOARD).text

        assert "good-team · Good-net" in text
        assert "is first of 2, if all were retrained and shown new patients" in text
        assert "Would the winner win again?" in text
        assert "95 % interval if retrained and shown new patients" in text
        assert '<td class="better">' in text
        assert text.count('<svg class="chart"') + text.count('class="chart"') >= 2
        assert "<script" not in text

    def test_a_single_run_is_marked_and_ranked_in_one_scope_only(self, ranked_world: World):
        """The switch between scopes is links; one run is ranked as a trained model."""
        with browser(ranked_world) as client:
            wide = client.get(BOARD).text
            narrow = client.get(BOARD, params={"scope": "trained_models"}).text

        not_ranked = wide[wide.index("Not ranked here") :]
        assert "once-team" in not_ranked
        assert "what a retraining would change is unknown" in not_ranked
        assert "Not ranked here" not in narrow
        assert "1 run</span>" in narrow
        assert "Would the winner win again?" not in narrow
        assert f'href="{BOARD}?scope=test_set"' in wide

    def test_nothing_of_the_hidden_cases_is_in_it(self, ranked_world: World):
        """Neither the names of cases nor folders, in the page or in the API."""
        with browser(ranked_world) as client:
            texts = [client.get(BOARD).text, client.get(f"/api/v1{BOARD}").text]
        for text in texts:
            assert "case-0" not in text
            assert "/secret" not in text

    def test_names_that_look_numbered(self, ranked_world: World):
        """Titles are free text: "Net (1)" may be there beside two that are called "Net"."""
        rng = np.random.default_rng(3)
        for name, title in (("a", "Net"), ("b", "Net"), ("c", "Net (1)")):
            add_ranked(ranked_world, name, 2.0, 5, rng, username="participant")
            with ranked_world.database.write() as session:
                found = session.scalars(select(Algorithm).where(Algorithm.slug == f"{name}-net")).one()
                found.title = title
        with browser(ranked_world) as client:
            board = client.get(f"/api/v1{BOARD}").json()["leaderboard"]
        names = [place["name"] for place in board["scopes"]["population"]["places"]]
        assert sorted(each for each in names if "Net" in each and "participant" in each) == [
            "participant · Net (1)",
            "participant · Net (2)",
            "participant · Net (3)",
        ]

    def test_a_scope_that_the_board_does_not_have(self, world: World):
        """Nothing is evaluated yet, or nobody has the runs that it takes: the page says so."""
        release(world)
        with world.database.write() as session:
            session.get_one(Evaluation, UUID(world.names["evaluation"])).published = False
        with browser(world) as client:
            for scope in Scope:
                answer = client.get(BOARD, params={"scope": scope})
                assert answer.status_code == 200
                assert "No submission has been evaluated yet" in answer.text
                assert 'name="scope" value=""' not in answer.text

    def test_before_the_release_only_organisers_see_it(self, ranked_world: World):
        """For everybody else there is no such page, and no number of it."""
        change_phase(ranked_world, released_at=None)
        for name in (None, "viewer", "participant"):
            with browser(ranked_world, name) as client:
                answer = client.get(BOARD)
                assert (answer.status_code, "good-team" in answer.text) == (404, False)
                assert client.get(f"/api/v1{BOARD}").status_code == 404
        with browser(ranked_world, "organiser") as client:
            assert "Only organisers see this page" in client.get(BOARD).text

    def test_an_evaluation_taken_back_is_gone_at_once(self, ranked_world: World):
        """What is remembered is not shown when the evaluations have changed."""
        with browser(ranked_world) as client:
            assert "weak-team" in client.get(BOARD).text
            with ranked_world.database.write() as session:
                pk = UUID(ranked_world.names["weak_evaluation"])
                session.get_one(Evaluation, pk).published = False
            assert "weak-team" not in client.get(BOARD).text

    def test_it_is_kept_as_a_file_for_other_processes(self, ranked_world: World):
        """A second process reads what the first has computed, and gives the same."""
        with browser(ranked_world) as client:
            first = client.get(f"/api/v1{BOARD}").json()
            (kept,) = (ranked_world.installation.folder.root / "leaderboards").iterdir()
            before = kept.stat().st_mtime_ns
            ranked_world.app.state.leaderboards = None
            assert client.get(f"/api/v1{BOARD}").json() == first
        assert kept.stat().st_mtime_ns == before

    def test_a_metric_that_does_not_rank_is_refused(self, ranked_world: World):
        """The refusal says which there are."""
        with browser(ranked_world) as client:
            answer = client.get(BOARD, params={"metric": "brier"})
        assert answer.status_code == 422
        assert "auroc" in answer.text

    def test_an_empty_phase_says_so(self, world: World):
        """No submission is no error."""
        with world.database.write() as session:
            session.get_one(Evaluation, UUID(world.names["evaluation"])).published = False
        release(world)
        with browser(world) as client:
            assert "No submission has been evaluated yet" in client.get(BOARD).text


class TestResultsByCase:
    def csv_of(self, world: World, username: str) -> list[list[str]] | int:
        with browser(world, username) as client:
            answer = client.get(f"/evaluations/{world.names['good_evaluation']}/cases.csv")
        if answer.status_code != 200:
            return answer.status_code
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        return list(csv.reader(io.StringIO(answer.text)))

    def test_the_owner_gets_scores_without_names_or_reference(self, ranked_world: World):
        """Only when the organiser allows it; the hidden cases stay hidden."""
        assert self.csv_of(ranked_world, "good-team") == 404
        change_phase(ranked_world, allows_csv=True)
        rows = self.csv_of(ranked_world, "good-team")
        assert isinstance(rows, list)
        assert rows[0] == ["case", "score"]
        assert [row[0] for row in rows[1:4]] == ["1", "2", "3"]
        assert len(rows) == 61
        change_phase(ranked_world, released_at=None)
        assert self.csv_of(ranked_world, "good-team") == 404

    def test_the_organiser_gets_all_of_it(self, ranked_world: World):
        """With the names of the cases and the reference standard."""
        rows = self.csv_of(ranked_world, "organiser")
        assert isinstance(rows, list)
        assert rows[0] == ["case", "patient", "reference", "score"]
        assert rows[1][0] == "case-001"

    def test_nobody_else_gets_any(self, ranked_world: World):
        """Not even that there is one."""
        change_phase(ranked_world, allows_csv=True)
        assert self.csv_of(ranked_world, "weak-team") == 404
        assert self.csv_of(ranked_world, "viewer") == 404

    def test_the_owners_page_has_the_aggregates_after_the_release(self, ranked_world: World):
        """Before, it has no number."""
        path = f"/evaluations/{ranked_world.names['good_evaluation']}/"
        with browser(ranked_world, "good-team") as client:
            assert "AUROC" in client.get(path).text
            change_phase(ranked_world, released_at=None)
            text = client.get(path).text
        assert "AUROC" not in text
        assert "Not released" in text


class TestSubmission:
    @pytest.fixture
    def running(self, world: World) -> str:
        """A submission with one case done and one failed."""
        with world.database.write() as session:
            phase = session.get_one(Phase, UUID(world.names["phase_pk"]))
            user = session.scalars(select(User).where(User.username == "participant")).one()
            image = session.scalars(select(Submission)).first().algorithm_image  # type: ignore[union-attr]
            submission = add_submission(session, phase, user, image, n_runs=2)
            for state in (SubmissionState.CHECKING, SubmissionState.TRYING):
                transition(session, submission, state, reason="the first case runs")
            run = session.scalars(select(Run).where(Run.submission_pk == submission.pk)).first()
            assert run is not None
            transition(session, run, RunState.TRYING)
            for name, end in (("hidden-a", CaseState.SUCCEEDED), ("hidden-b", CaseState.FAILED)):
                case = RunCase(run_pk=run.pk, name=name)
                enter(session, case)
                transition(session, case, CaseState.RUNNING)
                transition(
                    session, case, end, reason="took longer than 600 s", last_error_line="no memory <b>"
                )
            return f"/submissions/{submission.pk}/"

    def test_its_owner_sees_how_it_stands_without_names_of_cases(self, world: World, running: str):
        """Steps, counts, reasons and, where the phase shows it, the last line of stderr, escaped."""
        with browser(world, "participant") as client:
            assert "no memory" not in client.get(running).text
        change_phase(world, shows_error_lines=True)
        with browser(world, "participant") as client:
            text = client.get(running).text
        assert 'aria-current="step">One case tried' in text
        assert "1 of 2, 1 failed" in text
        assert "case number 2" in text
        assert "took longer than 600 s" in text
        assert "no memory &lt;b&gt;" in text
        assert "hidden-" not in text
        assert '<noscript><meta http-equiv="refresh"' in text

    def test_its_organiser_sees_the_names(self, world: World, running: str):
        """They know the cases."""
        with browser(world, "organiser") as client:
            assert "hidden-b" in client.get(running).text

    def test_cancelling_takes_the_forms_token(self, world: World, running: str):
        """Without it nothing happens; with it the page says what happened, and loads itself no more."""
        with browser(world, "participant") as client:
            assert client.post(f"{running}cancel/").status_code == 403
            answer = client.post(f"{running}cancel/", data=csrf_of(client, running))
        assert answer.history[0].status_code == 303
        assert "cancelled by participant" in answer.text
        assert "refresh" not in answer.text
        assert "progress.js" not in answer.text

    def test_an_image_that_is_here_is_handed_in_by_a_form(self, world: World):
        """With its model; the page of the new submission follows."""
        change_phase(world, submissions_per_day=5)
        with browser(world, "participant") as client:
            path = f"{PHASE}submit/"
            assert world.names["image"] in client.get(path).text
            fields = {
                **csrf_of(client, path),
                "algorithm_image": world.names["image"],
                "algorithm_models": world.names["model"],
                "comment": "the second try",
            }
            text = client.post(path, data=fields).text
            assert "It waits for a worker to look at it" in text
            assert "the second try" in text
            key = re.search(r'name="idempotency_key" value="(\w+)"', client.get(path).text)
            assert key is not None
            fields |= {"idempotency_key": key[1], "comment": "the third"}
            third = client.post(path, data=fields)
            assert client.post(path, data=fields).url == third.url  # a button that is pressed twice
            changed = client.post(path, data={**fields, "comment": "the fourth"})
            assert changed.url != third.url
            refused = client.post(path, data={**fields, "algorithm_image": "x"})
        assert refused.status_code == 422

    def test_results_are_linked_after_the_release_only(self, world: World):
        """Before, the page says that they are there."""
        path = f"/submissions/{world.names['submission']}/"
        with browser(world, "participant") as client:
            assert "not released" in client.get(path).text
            release(world)
            assert f"/evaluations/{world.names['evaluation']}/" in client.get(path).text


class TestPeople:
    def test_log_in_leads_back_and_log_out_ends_it(self, world: World):
        """By password, with the cookie of the form, without a script."""
        with world.database.write() as session:
            user = session.scalars(select(User).where(User.username == "viewer")).one()
            user.password_hash = password_hash("correct horse battery", username="viewer")
        with browser(world) as client:
            answer = client.get("/account/")
            assert answer.url.path == "/login/"
            form = {**csrf_of(client, "/login/?to=/account/"), "username": "viewer", "to": "/account/"}
            wrong = client.post("/login/", data={**form, "password": "wrong"})
            assert wrong.status_code == 401
            assert 'role="alert"' in wrong.text
            answer = client.post("/login/", data={**form, "password": "correct horse battery"})
            assert (answer.url.path, answer.status_code) == ("/account/", 200)
            client.post("/logout/", data=csrf_of(client, "/account/"))
            assert client.get("/account/").url.path == "/login/"

    def test_the_form_of_another_site_logs_nobody_in(self, world: World):
        """Its token belongs to another visitor."""
        with browser(world) as client:
            answer = client.post("/login/", data={"username": "viewer", "password": "x", "csrf_token": "0"})
        assert answer.status_code == 403

    @pytest.mark.parametrize("to", ["//evil.example", "https://evil.example", "/\\evil.example", "x"])
    def test_log_in_leads_nowhere_else(self, to: str):
        """Only paths of our own are gone on to."""
        assert inner_path(to) == "/"

    def test_a_token_is_shown_once_and_can_be_revoked(self, world: World):
        """The page after it was made has it; the next has its last characters."""
        with browser(world, "viewer") as client:
            fields = {**csrf_of(client, "/account/"), "name": "laptop", "scopes": "read", "valid_days": "9"}
            text = client.post("/account/tokens/", data=fields).text
            secret = re.search(r"rsd_[\w-]{43}", text)
            assert secret is not None
            assert secret[0] not in client.get("/account/").text
            with world.client() as program:
                header = {"Authorization": f"Bearer {secret[0]}"}
                assert program.get("/api/v1/me/", headers=header).status_code == 200
                with world.database.read() as session:
                    pk = session.scalars(select(Token.pk).where(Token.name == "laptop")).one()
                client.post(f"/account/tokens/{pk}/revoke/", data=csrf_of(client, "/account/"))
                assert program.get("/api/v1/me/", headers=header).status_code == 401

    def test_joining_and_being_accepted(self, world: World):
        """A request, the organiser's decision, and the right to submit."""
        with world.database.write() as session:
            add_user(session, "newcomer")
        with browser(world, "newcomer") as client:
            client.post("/challenges/nodules/join/", data=csrf_of(client, "/challenges/nodules/"))
            assert "is pending" in client.get("/challenges/nodules/").text
        with browser(world, "organiser") as client:
            with world.database.read() as session:
                pending = select(Membership.pk).where(Membership.state == MembershipState.PENDING)
                pk = session.scalars(pending).one()
            path = f"{PHASE}organise/"
            decided = {**csrf_of(client, path), "state": "accepted"}
            client.post(f"{path}participants/{pk}/", data=decided)
        with world.database.read() as session:
            assert session.get_one(Membership, pk).role is Role.PARTICIPANT
        with browser(world, "newcomer") as client:
            assert "You are a participant" in client.get("/challenges/nodules/").text
            assert "reseed submit nodules/final image.tar.gz --algorithm" in (
                client.get(f"{PHASE}submit/").text
            )

    def test_an_organiser_releases_and_hides_results(self, world: World):
        """One button each; folders are on this page and on no other."""
        path = f"{PHASE}organise/"
        with browser(world, "organiser") as client:
            assert "/secret/cases" in client.get(path).text
            client.post(path, data={**csrf_of(client, path), "change": "release"})
            assert "Hide the results" in client.get(path).text
            client.post(path, data={**csrf_of(client, path), "change": "hide"})
            assert "Release the results" in client.get(path).text
        with browser(world, "participant") as client:
            for page in (PHASE, "/challenges/nodules/", f"{PHASE}submit/"):
                assert "/secret" not in client.get(page).text


class TestEveryPage:
    def test_private_challenges_are_not_there_for_others(self, world: World):
        """Neither in the list nor by their address."""
        with browser(world, "participant") as client:
            assert "kidneys" not in client.get("/").text.lower()
            answer = client.get("/challenges/kidneys/")
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")

    def test_no_inline_script_and_nothing_from_elsewhere(self, ranked_world: World):
        """The policy that browsers are told allows neither."""
        for path in ("/", "/challenges/nodules/", PHASE, BOARD, "/login/"):
            with browser(ranked_world) as client:
                answer = client.get(path)
            assert "script-src 'self'" in answer.headers["content-security-policy"]
            assert not re.findall(r"<script(?![^>]*\ssrc=\"/static/)", answer.text)
            assert not re.findall(r"\son\w+=", answer.text)
            assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", answer.text)

    def test_prose_is_markdown_without_markup(self):
        """What an organiser writes cannot run anything."""
        assert "<strong>bold</strong>" in prose("**bold**")
        assert "<script>" not in prose("<script>alert(1)</script>")
        assert "href" not in prose("[x](javascript:alert(1))")

    def test_static_files_may_be_kept(self, world: World):
        """Pages may not."""
        with browser(world) as client:
            assert "max-age" in client.get("/static/style.css").headers["cache-control"]
            assert client.get("/").headers["cache-control"] == "no-store"
