"""
The pages in a real browser: what people see on a desk and on a phone, by day and by night.

Screenshots are kept in the folder that RESEED_SCREENSHOTS names, or with the test's own files. axe looks
for what people cannot use.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright import sync_api
from sqlalchemy import select

from reseed.service.database.models import Run, Submission, TeamInvitation, User
from reseed.service.database.transitions import transition
from reseed.service.domain.states import SubmissionState
from reseed.service.security.passwords import password_hash
from tests.service.ranked import add_ranked, phase_of, release, take_back
from tests.service.rows import add_image, add_submission
from tests.service.served import served
from tests.service.world import World

PASSWORD = "correct horse battery"
PHASE = "/challenges/nodules/phases/final/"
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
DEVICES = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture
def full_world(world: World) -> World:
    """A released phase with submissions that are good, bad and single, one that runs, and an invitation."""
    rng = np.random.default_rng(4)
    take_back(world, "evaluation")
    for name, strength, n_runs in (("slow", 1.8, 5), ("weak", 0.3, 5), ("once", 2.0, 1)):
        add_ranked(world, name, strength, n_runs, rng)
    add_ranked(world, "good", 2.0, 5, rng, username="participant")
    release(world, allows_csv=True)
    with world.database.write() as session:
        for user in session.scalars(
            select(User).where(User.username.in_(["participant", "organiser", "viewer"]))
        ):
            user.password_hash = password_hash(PASSWORD, username=user.username)
        own = session.scalars(select(User).where(User.username == "participant")).one()
        asked = session.scalars(select(User).where(User.username == "viewer")).one()
        session.add(TeamInvitation(team_pk=UUID(world.names["team"]), user_pk=asked.pk))
        phase = phase_of(world, session)
        running = add_submission(session, phase, own, add_image(session, own, "next-net"), 2)
        transition(session, running, SubmissionState.CHECKING)
        transition(session, running, SubmissionState.TRYING, reason="the first case runs")
        world.names["running"] = str(running.pk)
    return world


@pytest.fixture
def address(full_world: World) -> Iterator[str]:
    with served(full_world.app) as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[sync_api.Browser]:
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed, and CI tests the pages in it")
        pytest.skip("chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def window(
    chromium: sync_api.Browser, device: str, scheme: Scheme, *, bypass_csp: bool = False, **settings: Any
) -> Iterator[sync_api.Page]:
    width, height = DEVICES[device]
    context = chromium.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, bypass_csp=bypass_csp, **settings
    )
    try:
        yield context.new_page()
    finally:
        context.close()


def log_in(page: sync_api.Page, address: str, username: str) -> None:
    page.goto(f"{address}/login/?to=/account/")
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/account/")


@pytest.mark.parametrize("device", DEVICES)
def test_everybody_can_use_every_page(
    chromium: sync_api.Browser, address: str, full_world: World, device: str, tmp_path: Path
):
    """axe finds nothing serious, nothing is wider than the screen, and pictures are kept."""
    folder = Path(os.environ.get("RESEED_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    names = full_world.names
    paths = {
        "home": "/",
        "challenge": "/challenges/nodules/",
        "phase": PHASE,
        "leaderboard": f"{PHASE}leaderboard/",
        "trained-models": f"{PHASE}leaderboard/?scope=trained_models",
        "submit": f"{PHASE}submit/",
        "submission": f"/submissions/{names['running']}/",
        "evaluation": f"/evaluations/{names['good_evaluation']}/",
        "teams": "/challenges/nodules/teams/",
        "account": "/account/",
    }
    # axe is a script of its own, which the pages' policy would refuse
    with window(chromium, device, "light", bypass_csp=True) as page:
        page.goto(f"{address}/login/")
        _check(page, f"login, {device}")
        page.screenshot(path=folder / f"login-{device}-light.png", full_page=True)
        log_in(page, address, "participant")
        for name, path in paths.items():
            page.goto(address + path)
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                page.screenshot(path=folder / f"{name}-{device}-{scheme}.png", full_page=True)
                # the same elements stand in other places on a phone, in the same colours
                if (device, scheme) != ("phone", "dark"):
                    _check(page, f"{name}, {device}, {scheme}")
        page.emulate_media(color_scheme="light")
        for user, name, path in (
            ("organiser", "organise", f"{PHASE}organise/"),
            ("viewer", "invited", "/challenges/nodules/teams/"),
        ):
            page.context.clear_cookies()
            log_in(page, address, user)
            page.goto(address + path)
            page.screenshot(path=folder / f"{name}-{device}-light.png", full_page=True)
            _check(page, f"{name}, {device}")


def _check(page: sync_api.Page, what: str) -> None:
    found = Axe().run(page).response["violations"]
    serious = [each["id"] for each in found if each["impact"] in {"serious", "critical"}]
    assert serious == [], what
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), what


def test_progress_shows_itself_and_the_policy_holds(
    chromium: sync_api.Browser, address: str, full_world: World
):
    """The page follows the submission without being loaded; the browser refuses nothing of ours."""
    with window(chromium, "desktop", "light") as page:
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        log_in(page, address, "participant")
        page.goto(f"{address}/submissions/{full_world.names['running']}/")
        assert page.locator("[aria-current=step]").inner_text() == "One case tried"
        with full_world.database.write() as session:
            running = session.get_one(Submission, UUID(full_world.names["running"]))
            transition(session, running, SubmissionState.RUNNING, reason="all runs are on their way")
        page.get_by_text("all runs are on their way").wait_for(timeout=20_000)
        assert page.locator("[aria-current=step]").inner_text() == "All runs"
        with full_world.database.write() as session:
            running = session.get_one(Submission, UUID(full_world.names["running"]))
            run = session.scalars(select(Run).where(Run.submission_pk == running.pk)).first()
            assert run is not None
            transition(session, running, SubmissionState.FAILED, reason="run 1: no memory left")
        page.get_by_text("run 1: no memory left").wait_for(timeout=20_000)
        assert page.locator("#progress").get_attribute("data-over") == "yes"
        page.goto(f"{address}{PHASE}leaderboard/")
        assert complaints == []


def test_the_leaderboard_works_without_a_script(chromium: sync_api.Browser, address: str):
    """The switch between scopes is links."""
    with window(chromium, "phone", "dark", java_script_enabled=False) as page:
        page.goto(f"{address}{PHASE}leaderboard/")
        assert page.locator("h1").inner_text() == "Leaderboard"
        page.get_by_role("link", name="Not retrained, new patients").click()
        assert page.locator(".switch [aria-current]").inner_text() == "Not retrained, new patients"
        assert page.get_by_text("1 run", exact=True).count() == 1
