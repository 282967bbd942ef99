"""`reseed login`, `submit`, `status` and `logs` against a server process on a socket."""

from __future__ import annotations

import itertools
import json
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from reseed.cli import app
from reseed.cli.remote.logins import Login, keep_login, login_for, logins_file, service_url
from reseed.cli.remote.service import Service
from reseed.cli.remote.submissions import submission_pk
from reseed.cli.remote.uploading import local_file, sent_upload
from reseed.cli.submit import phase_names
from reseed.contracts.errors import InfrastructureError, UserError
from reseed.service.database.engine import Database
from reseed.service.database.models import RunCase, Submission, User
from reseed.service.database.transitions import enter, transition
from reseed.service.domain.states import SubmissionState
from reseed.service.folders import DataFolder
from reseed.service.security.passwords import password_hash
from tests.service.server import Server, new_server
from tests.service.tarballs import image_bytes, model_bytes, write
from tests.service.test_submitting import Checks
from tests.service.world import settings_in

MIB = 1 << 20


@pytest.fixture(scope="module")
def server(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = new_server(migrated_sqlite, tmp_path_factory.mktemp("data"), submissions_per_day=100, n_runs=2)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def environment(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("RESEED_URL", server.url)
    monkeypatch.setenv("RESEED_TOKEN", server.token)


@pytest.fixture
def service(server: Server) -> Iterator[Service]:
    with Service(Login(server.url, server.token)) as service:
        yield service


def run(*words: object, typed: str | None = None) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words], input=typed)


def do_checks(server: Server) -> None:
    database = Database(server.database_url)
    checks = Checks(settings_in(server.folder), database, DataFolder(server.folder))
    checks.do_all()
    database.close()


@pytest.mark.usefixtures("environment")
class TestSubmit:
    def test_image_and_models(self, server: Server, service: Service, tmp_path: Path):
        """
        Image and models are sent once; the second time only the submission is new.
        """
        image = write(tmp_path / "net.tar", image_bytes())
        models = [write(tmp_path / f"run-{number}.tar.gz", model_bytes(bytes([number]))) for number in (1, 2)]
        words = ["submit", "nodules/final", image, "--algorithm", "lungs"]
        words += [word for model in models for word in ("--model", model)]

        first = run(*words)
        assert first.exit_code == 0, (first.output, first.exception)
        assert "made algorithm lungs" in first.output
        assert "nodules/final, inference, 2 runs" in first.output
        n_uploads = service.get("uploads/")["count"]
        do_checks(server)
        second = run(*words)
        assert second.exit_code == 0, (second.output, second.exception)
        assert "net.tar is there" in second.output
        assert service.get("algorithms/images/", algorithm="lungs")["count"] == 1
        assert service.get("algorithms/models/", algorithm="lungs")["count"] == 2
        assert service.get("uploads/")["count"] == n_uploads
        found = list(service.every("submissions/"))[:2]
        assert found[0]["runs"][0]["algorithm_model"] == found[1]["runs"][0]["algorithm_model"]

        pk = found[0]["pk"]
        status = run("status", f"{server.url}/submissions/{pk}/")
        assert "received" in status.output
        assert json.loads(run("status", pk, "--json").output)["pk"] == pk

    def test_the_log_of_the_trial_case(self, server: Server, service: Service, tmp_path: Path):
        """Once the phase shows it, and no other."""
        image = write(tmp_path / "net.tar", image_bytes())
        assert run("submit", "nodules/final", image, "--algorithm", "logged").exit_code == 0
        pk = next(service.every("submissions/"))["pk"]
        folder = DataFolder(server.folder)
        log = folder.log(UUID(pk), 1, "case-hidden")
        log.parent.mkdir(parents=True)
        log.write_text("loading\nthe weights do not fit\n")
        database = Database(server.database_url)
        with database.write() as session:
            submission = session.get_one(Submission, UUID(pk))
            enter(session, RunCase(run_pk=submission.runs[0].pk, name="hidden", is_trial=True))
            assert isinstance(run("logs", pk).exception, UserError)
            submission.phase.trial_case, submission.phase.shows_trial_log = "hidden", True
        database.close()

        assert run("logs", f"{server.url}/submissions/{pk}/").output == log.read_text()
        assert run("logs", pk, "--list").output == f"trial  {log.stat().st_size} bytes\n"
        assert "only organisers see it" in str(run("logs", pk, "--step", "train").exception)

    def test_waits(self, server: Server, tmp_path: Path):
        """
        With --wait a submission that has failed ends the command with its reason.
        """
        words = ["submit", "nodules/final", write(tmp_path / "other.tar", image_bytes(Labels={"n": "2"}))]
        answer = run(*words, "--algorithm", "other")
        assert answer.exit_code == 0, answer.output
        pk = UUID(answer.output.split("/submissions/")[1].split("/")[0])
        database = Database(server.database_url)
        with database.write() as session:
            submission = session.get_one(Submission, pk)
            transition(session, submission, SubmissionState.FAILED, reason="run 1: exit code 3")
        database.close()

        watched = run("status", str(pk), "--watch")
        assert "failed: run 1: exit code 3" in watched.output

    def test_an_answer_that_was_lost(
        self, server: Server, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """
        The submission is made, and the line is cut before the command hears of it: again, and there is one.
        """
        words = ["submit", "nodules/final", write(tmp_path / "cut.tar", image_bytes(Labels={"n": "3"}))]
        whole = Service.attempt

        def cut(here: Service, method: str, path: str, **request: Any) -> Any:
            answer = whole(here, method, path, **request)
            if (method, path) == ("POST", "submissions/"):
                raise httpx.ReadError("cut")
            return answer

        before = service.get("submissions/")["count"]
        with monkeypatch.context() as patched:
            patched.setattr(Service, "attempt", cut)
            patched.setattr("reseed.cli.remote.service._PAUSES_S", (0.0,))
            answer = run(*words, "--algorithm", "cut")
        assert isinstance(answer.exception, InfrastructureError)
        assert service.get("submissions/")["count"] == before + 1

        again = run(*words, "--algorithm", "cut")
        assert again.exit_code == 0, (again.output, again.exception)
        assert service.get("submissions/")["count"] == before + 1
        assert service.get("submissions/", limit=1)["results"][0]["pk"] in again.output
        # what was meant as another one is another one
        assert run(*words, "--algorithm", "cut").exit_code == 0
        assert service.get("submissions/")["count"] == before + 2

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["nodules", "x.tar"], "must be CHALLENGE/PHASE"),
            (["nodules/other", "x.tar"], "challenge 'nodules' has no phase 'other'"),
            (["nodules/final", "missing.tar"], "missing.tar: no such file"),
            (["https://elsewhere.example/challenges/a/phases/b/", "x.tar"], "no token is kept for it"),
        ],
    )
    def test_mistakes(self, words: list, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """
        One line that names what is wrong; a token is never sent to another service.
        """
        monkeypatch.chdir(tmp_path)
        write(tmp_path / "x.tar", image_bytes())
        answer = run("submit", *words, "--algorithm", "net")

        assert isinstance(answer.exception, UserError)
        assert said in str(answer.exception)


class TestSentUpload:
    def test_goes_on_after_sigkill(self, server: Server, service: Service, tmp_path: Path):
        """
        The server is killed while the file is sent; the same call goes on, and does not begin again.
        """
        content = b"".join(number.to_bytes(8) for number in range(5 * MIB))
        file = local_file(write(tmp_path / "large.tar", content), lambda _done: None)
        seen: list[int] = []

        def kill_once(done: int) -> None:
            if done > 30 * MIB and max(seen, default=0) <= 30 * MIB:
                server.kill()
                server.start()
            seen.append(done)

        upload = sent_upload(service, file, kill_once)

        assert upload["sha256"] == file.sha256
        assert (server.folder / "uploads" / upload["pk"]).read_bytes() == content
        went_on_at = next(after for before, after in itertools.pairwise(seen) if after < before)
        assert 16 * MIB <= went_on_at <= 30 * MIB
        # a finished one is not sent again
        again = sent_upload(service, file, lambda _done: None)
        assert again["pk"] == upload["pk"]


class TestService:
    def test_a_restart_is_waited_for(self, server: Server, service: Service):
        """
        By what only reads; what has never answered is not waited for.
        """
        assert service.get("me/")["username"] == "ada"
        server.kill()
        starter = threading.Timer(1.0, server.start)
        starter.start()
        assert service.get("me/")["username"] == "ada"
        starter.join()

        with (
            Service(Login("http://127.0.0.1:9", server.token)) as nobody,
            pytest.raises(InfrastructureError, match="no answer"),
        ):
            nobody.get("me/")


class TestLogin:
    def test_with_a_password(self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """
        A token is made and kept, readable by its owner alone; later commands find it.
        """
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        for name in ("RESEED_URL", "RESEED_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        database = Database(server.database_url)
        with database.write() as session:
            user = session.scalars(select(User).where(User.username == "ada")).one()
            user.password_hash = password_hash("a long secret", username="ada")
        database.close()

        answer = run("login", server.url, typed="ada\na long secret\n")
        assert answer.exit_code == 0, (answer.output, answer.exception)
        assert f"logged in to {server.url} as ada" in answer.output
        assert "rsd_" not in answer.output
        assert stat.S_IMODE(logins_file().stat().st_mode) == 0o600
        with Service(login_for()) as service:
            assert service.get("me/")["scopes"] == ["read", "submit"]

        refused = run("login", server.url, typed="ada\nwrong\n")
        assert isinstance(refused.exception, UserError)


class TestLoginFor:
    def test_a_token_goes_to_its_own_service(self, tmp_path: Path):
        """
        The environment's token is for the environment's service; another needs its own.
        """
        environment = {
            "XDG_CONFIG_HOME": str(tmp_path),
            "RESEED_URL": "https://a.org",
            "RESEED_TOKEN": "rsd_a",
        }
        keep_login(Login("https://b.org", "rsd_b"), environment)

        assert login_for(None, environment).token == "rsd_a"
        assert login_for("https://a.org/x", environment).token == "rsd_a"
        assert login_for("https://b.org/x", environment).token == "rsd_b"
        with pytest.raises(UserError, match=r"https://c\.org: no token is kept"):
            login_for("https://c.org", environment)
        kept = {"XDG_CONFIG_HOME": str(tmp_path)}
        assert login_for(None, kept) == Login("https://b.org", "rsd_b")

    def test_addresses(self):
        """
        An address that is none, or that hides another host behind an @, is refused.
        """
        assert service_url("https://a.org:8443/x") == "https://a.org:8443"
        for wrong in ("a.org", "ftp://a.org", "https://", "https://a.org@b.org"):
            with pytest.raises(UserError):
                service_url(wrong)


def test_names():
    """
    A phase and a submission by name or address; a folder of a study is no submission.
    """
    pk = "0f8fad5b-d9cb-469f-a165-70867728950e"
    assert phase_names("a/b") == phase_names("https://x.org/challenges/a/phases/b/leaderboard/") == ("a", "b")
    assert submission_pk(pk) == submission_pk(f"https://x.org/submissions/{pk}/") == pk
    assert submission_pk("quickstart") is None
    assert submission_pk(f"results/{pk}") is None
