"""
A challenge as its people meet it: commands, a web server, a worker, a real engine and a real browser.

An organiser opens a challenge; three participants join in the browser and submit images that retrain:
one is good, one too slow, one broken. Pictures are kept in the folder that RESEED_SCREENSHOTS names.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from playwright import sync_api

from tests.service.server import free_port
from tests.service.test_browser import PASSWORD, chromium, log_in
from tests.service.worker.conftest import engine, evaluation_image, folder
from tests.service.worker.world import REPOSITORY, SECRET, build_test_image, image_tag, write_data

__all__ = ["chromium", "engine", "evaluation_image", "folder"]

PARTICIPANTS = {"grace": "good", "linus": "slow", "mary": "broken"}
PHASE = "/challenges/features/phases/final/"
DEADLINE_S = 240

pytestmark = pytest.mark.docker


@dataclass
class Installed:
    """The service as one installs it: a data folder, variables, and the command `reseed`."""

    root: Path
    url: str
    variables: dict[str, str]

    def run(self, *words: str, typed: str = "", **variables: str) -> str:
        """What a command says; it must succeed."""
        done = subprocess.run(
            [sys.executable, "-m", "reseed", *words], cwd=self.root, env={**self.variables, **variables},
            input=typed, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """A command that goes on."""
        with (self.root / f"{words[0]}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "reseed", *words], cwd=self.root, env=self.variables,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip


@pytest.fixture
def installed(folder: Path, evaluation_image: str) -> Iterator[Installed]:
    """Web server and worker, with an organiser, three participants and one phase."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    service = Installed(
        folder,
        url,
        {
            **os.environ,
            "RESEED_SECRET_KEY": SECRET,
            "RESEED_DATA_DIR": str(folder / "data"),
            "RESEED_DATABASE_URL": "",
            "RESEED_BASE_URL": url,
            "XDG_CONFIG_HOME": str(folder / "config"),
        },
    )
    write_data(folder)
    for name in ("olivia", *PARTICIPANTS):
        service.run("service", "user", "add", name, "--password-stdin", typed=f"{PASSWORD}\n")
    (folder / "features.yaml").write_text(yaml.safe_dump(_challenge()))
    service.run("challenge", "create", "features.yaml")
    processes = [service.start("serve", "--bind", f"127.0.0.1:{port}"), service.start("worker")]
    _until_it_answers(url, processes[0])
    yield service
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        process.wait(timeout=60)


def _challenge() -> dict[str, object]:
    task = REPOSITORY / "tests/orchestration/project/evaluation/tasks/two_features.yaml"
    return {
        "challenge": "features",
        "title": "Two features",
        "is_public": True,
        "organisers": ["olivia"],
        "join_policy": "open",
        "phases": {
            "final": {
                "title": "The test",
                "task": str(task),
                "cases": "cases",
                "reference": "reference",
                "training": "training",
                "submission_kind": "training",
                "runs": 3,
                "limits": {"case_timeout_s": 5, "training_timeout_s": 60, "cpus": 1, "memory_gib": 1},
            }
        },
    }


def _until_it_answers(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert server.poll() is None
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _submitted(service: Installed, user: str, behaviour: str) -> str:
    """The address of a submission that is made by docker build, docker save and reseed submit."""
    build_test_image(behaviour)
    tarball = service.root / f"{behaviour}.tar"
    subprocess.run(["docker", "save", "--output", tarball, image_tag(behaviour)], check=True, timeout=120)
    token = next(
        word for word in service.run("service", "token", "create", user).split() if word.startswith("rsd_")
    )
    said = service.run(
        "submit", "features/final", tarball.name, "--algorithm", f"{user}-net",
        RESEED_URL=service.url, RESEED_TOKEN=token,
    )  # fmt: skip
    return next(word for word in said.split() if "/submissions/" in word)


def test_a_challenge_from_its_creation_to_its_leaderboard(
    chromium: sync_api.Browser, installed: Installed, tmp_path: Path
):
    """The good image is ranked, with an interval; the slow and the broken one say why they are not."""
    pictures = Path(os.environ.get("RESEED_SCREENSHOTS", tmp_path))
    pictures.mkdir(parents=True, exist_ok=True)
    addresses = {}
    for user, behaviour in PARTICIPANTS.items():
        context = chromium.new_context()
        page = context.new_page()
        log_in(page, installed.url, user)
        page.goto(f"{installed.url}/challenges/features/")
        page.get_by_role("button", name="Take part").click()
        page.get_by_text("You are a participant of this challenge.").wait_for()
        context.close()
        addresses[user] = _submitted(installed, user, behaviour)

    expected = {
        "grace": "evaluated",
        "linus": "timed out after 5 s",
        "mary": "exit code 3",
    }
    for user, words in expected.items():
        context = chromium.new_context(bypass_csp=True)
        page = context.new_page()
        log_in(page, installed.url, user)
        page.goto(addresses[user])
        page.locator("#progress[data-over=yes]").wait_for(timeout=DEADLINE_S * 1000)
        page.reload()
        page.screenshot(path=pictures / f"end-to-end-{PARTICIPANTS[user]}.png", full_page=True)
        text = page.locator("main").inner_text().lower()
        assert words in text, user
        assert "the weights do not fit" not in text, "what a program said can quote a hidden case"
        assert _serious(page) == [], user
        board = page.goto(f"{installed.url}{PHASE}leaderboard/")
        assert board is not None
        assert board.status in {403, 404}, "nobody but the organiser sees results before their release"
        context.close()

    context = chromium.new_context(bypass_csp=True)
    page = context.new_page()
    log_in(page, installed.url, "olivia")
    page.goto(f"{installed.url}{PHASE}organise/")
    page.screenshot(path=pictures / "end-to-end-organiser.png", full_page=True)
    page.get_by_role("button", name="Release the results").click()
    context.clear_cookies()
    page.goto(f"{installed.url}{PHASE}leaderboard/")
    page.screenshot(path=pictures / "end-to-end-leaderboard.png", full_page=True)
    text = page.locator("main").inner_text()
    assert "grace" in text
    assert "linus" not in text
    assert "mary" not in text
    assert _serious(page) == []
    context.close()


def _serious(page: sync_api.Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [each["id"] for each in found if each["impact"] in {"serious", "critical"}]
