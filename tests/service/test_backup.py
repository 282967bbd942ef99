"""Backup and restore: a whole copy of one instant while others write, or nothing; on both databases."""

from __future__ import annotations

import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from alembic import command as command_of_alembic
from sqlalchemy import func, select, text

from reseed.contracts.errors import NoSpaceLeft, UserError
from reseed.service.database.columns import now_utc
from reseed.service.database.engine import Database
from reseed.service.database.jobs import claim
from reseed.service.database.migration import _configuration, differences, migrate, revision_of
from reseed.service.database.models import (
    AlgorithmImage,
    Base,
    Event,
    Job,
    LoginSession,
    Phase,
    RateWindow,
    RunCase,
    Submission,
    Upload,
    User,
)
from reseed.service.database.overdue import reap
from reseed.service.database.transitions import transition
from reseed.service.domain.states import (
    ArchiveState,
    CaseState,
    JobState,
    RunState,
    SubmissionState,
    UploadState,
)
from reseed.service.installation import Installation, installation
from reseed.service.operations.backup import settling, taking
from reseed.service.operations.backup.archive import HEADER, InvalidBackup, new_archive
from reseed.service.operations.backup.databases import FILE_NAMES, copied, is_empty, kind_of
from reseed.service.operations.backup.restoring import refuse_unfinished_restore, restore_backup
from reseed.service.operations.backup.taking import Header, take_backup
from reseed.service.security.sessions import log_in
from reseed.service.settings import settings_from
from tests.service.backups import (
    all_rows,
    command,
    environment,
    furnish,
    rewrite,
    second_database,
    sha256,
    submission_of,
)
from tests.service.tarballs import image_bytes
from tests.service.world import World, world_in
from tests.small_disk import small_disk

# What a restore changes on purpose; jobs and deadlines are looked at one by one.
_CHANGED = {"login_sessions", "rate_windows", "events", "jobs", "alembic_version"}

# for what is not about the database
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def furnished(world_of_each_kind: World) -> tuple[World, dict[str, bytes]]:
    """A world with files, an evaluated submission, a queued one and uploads."""
    return world_of_each_kind, furnish(world_of_each_kind)


@pytest.fixture
def empty(furnished: tuple[World, Any], tmp_path: Path) -> Iterator[Installation]:
    """A second installation, with nothing in it."""
    folder = tmp_path / "second"
    url = second_database(furnished[0].database, folder)
    here = installation(settings_from(environment(folder, url)))
    yield here
    here.database.close()


def _restored(backup: Path, empty: Installation, original: World) -> World:
    restore_backup(empty, backup)
    return world_in(empty.database, empty.folder.root, original)


def _is_untouched(here: Installation) -> bool:
    """No file, and nothing in the database."""
    names = {path.name for path in here.folder.root.iterdir()} if here.folder.root.exists() else set()
    return names <= {".restore.lock"} and is_empty(here.database)


class TestRestored:
    def test_it_is_the_same_service(
        self, furnished: tuple[World, dict[str, bytes]], empty: Installation, tmp_path: Path
    ):
        """
        Every row but those of log-ins and leases, every file, the leaderboard, and people's tokens.
        """
        world, files = furnished
        with world.database.write() as session:
            organiser = session.scalars(select(User).where(User.username == "organiser")).one()
            log_in(session, organiser, valid_for=timedelta(days=1))
        taken = take_backup(world.installation, tmp_path / "backup.tar")
        assert taken.missing == ()
        assert taken.sha256 == sha256((tmp_path / "backup.tar").read_bytes())
        assert taken.n_bytes == (tmp_path / "backup.tar").stat().st_size

        again = _restored(tmp_path / "backup.tar", empty, world)

        there = {
            path.relative_to(empty.folder.root).as_posix(): path.read_bytes()
            for path in empty.folder.root.rglob("*")
            if path.is_file() and not path.name.startswith("reseed.sqlite3")
        }
        assert {name: content for name, content in there.items() if name != ".restore.lock"} == files
        for mapper in Base.registry.mappers:
            table = mapper.class_
            if table.__tablename__ not in _CHANGED:
                before, after = all_rows(world.database, table), all_rows(again.database, table)
                for row in [*before, *after]:
                    row.pop("deadline", None)
                assert after == before, table.__tablename__
        path = "/api/v1/challenges/nodules/phases/final/leaderboard/"
        with world.client("organiser") as one, again.client("organiser") as other:
            first = one.get(path)
            assert first.status_code == 200
            assert other.get(path).json() == first.json()
        assert differences(again.database) == []

    def test_what_was_under_way_goes_on(
        self,
        furnished: tuple[World, Any],
        empty: Installation,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ):
        """
        Weeks later nothing has expired; the job is anybody's, and its attempt does not count; log-ins end.
        """
        world, _ = furnished
        with world.database.write() as session:
            user = session.scalars(select(User).where(User.username == "organiser")).one()
            log_in(session, user, valid_for=timedelta(days=1))
            session.add(RateWindow(key="login:x", started=1, count=3))
        take_backup(world.installation, tmp_path / "backup.tar")
        later = now_utc() + timedelta(days=60)
        monkeypatch.setattr(settling, "now_utc", lambda: later)

        again = _restored(tmp_path / "backup.tar", empty, world)

        monkeypatch.undo()
        before = submission_of(world.database, world.names["queued_submission"])
        after = submission_of(again.database, world.names["queued_submission"])
        assert after.state is SubmissionState.RECEIVED
        assert before.deadline is not None
        assert after.deadline is not None
        assert after.deadline - before.deadline > timedelta(days=59)
        with again.database.write() as session:
            job = session.scalars(select(Job)).one()
            assert (job.state, job.lease_owner, job.attempts) == (JobState.QUEUED, None, 0)
            # as if the sixty days had passed
            job.available_at = now_utc()
            assert session.scalars(select(LoginSession.ended_at)).one() is not None
            assert session.scalars(select(RateWindow)).all() == []
            restored = session.scalars(select(Event).where(Event.action == "restored")).one()
            assert "from a backup of" in restored.reason
        assert reap(again.database) == 0
        lease = claim(again.database, "w", lease_for=timedelta(minutes=1))
        assert lease is not None
        assert str(lease.submission_pk) == world.names["queued_submission"]

    def test_an_upload_goes_on(self, furnished: tuple[World, Any], empty: Installation, tmp_path: Path):
        """
        At the byte that was counted; one that is finished can be used.
        """
        world, _ = furnished
        take_backup(world.installation, tmp_path / "backup.tar")
        again = _restored(tmp_path / "backup.tar", empty, world)
        url = f"/api/v1/uploads/{world.names['upload']}/"
        headers = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
        with again.client("participant") as client:
            assert client.head(url, headers=headers).headers["upload-offset"] == "500"
            sent = client.patch(url, headers={**headers, "Upload-Offset": "500"}, content=b"v" * 500)
            assert sent.status_code == 204, sent.text
        with again.database.read() as session:
            upload = session.get_one(Upload, UUID(world.names["upload"]))
        assert upload.state is UploadState.FINISHED
        assert upload.sha256 == sha256(b"u" * 500 + b"v" * 500)

    @on_sqlite
    def test_the_phases_folders_when_they_are_asked_for(
        self, furnished: tuple[World, Any], empty: Installation, tmp_path: Path
    ):
        """
        They lie in the data folder then, and the phase says so; else its folders are named as missing.
        """
        world, _ = furnished
        (tmp_path / "store").mkdir()
        (tmp_path / "store/image.mha").write_bytes(b"voxels")
        for name in ("cases/one", "reference"):
            (tmp_path / name).mkdir(parents=True)
            (tmp_path / name / "image.mha").symlink_to(tmp_path / "store/image.mha")
        with world.database.write() as session:
            phase = session.get_one(Phase, UUID(world.names["phase_pk"]))
            phase.cases_folder, phase.reference_folder = str(tmp_path / "cases"), str(tmp_path / "reference")
            other = session.scalars(select(Phase).where(Phase.pk != phase.pk)).one()
            other.cases_folder, other.reference_folder = phase.cases_folder, phase.reference_folder
        take_backup(world.installation, tmp_path / "with.tar", with_cases=True)
        take_backup(world.installation, tmp_path / "without.tar")
        for name in ("cases", "reference"):
            (tmp_path / name).rename(tmp_path / f"{name}-away")

        restore_backup(empty, tmp_path / "with.tar")

        with empty.database.read() as session:
            phase = session.get_one(Phase, UUID(world.names["phase_pk"]))
        assert Path(phase.cases_folder).is_relative_to(empty.folder.root)
        assert (Path(phase.cases_folder) / "one/image.mha").read_bytes() == b"voxels"
        assert (Path(phase.reference_folder) / "image.mha").read_bytes() == b"voxels"
        third = tmp_path / "third"
        url = second_database(world.database, third)
        restored = restore_backup(
            installation(settings_from(environment(third, url))), tmp_path / "without.tar"
        )
        line = (
            f"phase nodules/final: its cases folder is not here, and was not in the backup: {tmp_path}/cases"
        )
        assert line in restored.notes

    def test_tables_of_an_older_version(self, database_url: str, tmp_path: Path):
        """
        They are brought to this version.
        """
        old = Database(database_url)
        with old.write() as session:
            command_of_alembic.upgrade(_configuration(session.connection()), "0001")
            session.execute(
                text(
                    "INSERT INTO users (pk, created, username, is_administrator, is_active)"
                    " VALUES (:pk, :at, 'ada', :no, :yes)"
                ),
                {"pk": UUID(int=1).hex, "at": now_utc().isoformat(), "no": False, "yes": True},
            )
        with new_archive(tmp_path / "backup.tar") as (archive, copy):
            with copied(old, copy) as session:
                header = Header(
                    format="reseed-backup-1",
                    created=now_utc(),
                    version="0.0.1",
                    revision=revision_of(session),
                    database=kind_of(old),
                    has_cases=False,
                    counts={},
                )
            archive.add_bytes(HEADER, header.model_dump_json().encode())
            with copy.open("rb") as rows:
                archive.add_stream(FILE_NAMES[header.database], rows)
        assert header.revision == "0001"
        folder = tmp_path / "second"
        here = installation(settings_from(environment(folder, second_database(old, folder))))

        restore_backup(here, tmp_path / "backup.tar")

        assert differences(here.database) == []
        with here.database.read() as session:
            assert session.scalars(select(User.username)).all() == ["ada"]
        for each in (old, here.database):
            each.close()


class TestTaken:
    @on_sqlite
    def test_other_programs_read_and_check_it(self, furnished: tuple[World, Any], tmp_path: Path):
        """
        It is a plain tarball with digests: what an administrator needs when there is no Reseed.
        """
        world, files = furnished
        take_backup(world.installation, tmp_path / "backup.tar")
        (tmp_path / "out").mkdir()
        subprocess.run(["tar", "xf", str(tmp_path / "backup.tar"), "-C", str(tmp_path / "out")], check=True)
        checked = subprocess.run(
            ["sha256sum", "--check", "--strict", "SHA256SUMS"],
            cwd=tmp_path / "out",
            capture_output=True,
            text=True,
            check=True,
        )
        assert checked.stdout.count(": OK") == len(files) + 2
        assert (tmp_path / "backup.tar").stat().st_mode & 0o077 == 0

    def test_while_another_process_writes(self, database: Database, tmp_path: Path):
        """
        Of each instant: every image and upload that the database speaks of has its bytes in the backup, or
        was removed since and is so called.
        """
        folder = tmp_path / "data"
        url = database.url.render_as_string(hide_password=False)
        here = installation(settings_from(environment(folder, url)))
        writer = subprocess.Popen(
            [sys.executable, "-m", "tests.service.writer"],
            env=environment(folder, url),
            cwd=Path(__file__).parents[2],
        )
        try:
            counts: list[int] = []
            for number in range(4):
                deadline = time.monotonic() + 60
                while _n_images(database) <= (counts[-1] if counts else 0):
                    assert writer.poll() is None
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
                taken = take_backup(here, tmp_path / f"{number}.tar")
                counts.append(taken.header.counts["image"])
            assert writer.poll() is None
        finally:
            writer.kill()
            writer.wait()
        assert counts == sorted(counts)
        assert counts[0] < counts[-1]
        for number in range(4):
            second = tmp_path / f"second-{number}"
            again = installation(settings_from(environment(second, second_database(database, second))))
            restore_backup(again, tmp_path / f"{number}.tar")
            _check_stored(again)
            again.database.close()
        here.database.close()

    @on_sqlite
    def test_of_a_retraining_what_is_finished(self, furnished: tuple[World, Any], tmp_path: Path):
        """
        A trained member, what `preprocess` made, a case that has succeeded and logs; not the member and the
        case that are under way, nor checkpoints.
        """
        world, _ = furnished
        pk, folder = UUID(world.names["queued_submission"]), world.installation.folder
        with world.database.write() as session:
            submission = session.get_one(Submission, pk)
            transition(session, submission, SubmissionState.CHECKING)
            transition(session, submission, SubmissionState.TRYING)
            run = submission.runs[0]
            transition(session, run, RunState.TRAINING)
            run.seeds = {"member-0": {"weights": 1}}
            for name, state in (("one", CaseState.SUCCEEDED), ("two", CaseState.RUNNING)):
                session.add(RunCase(run_pk=run.pk, name=name, state=state))
        finished = {
            folder.preprocessed(pk) / "array.npy",
            folder.model_folder(pk, 1) / "member-0/weights",
            folder.trained(pk, 1, "member-0") / "data/curve.csv",
            folder.case_output(pk, 1, "one") / "score.json",
            folder.log(pk, 1, "train-member-0"),
        }
        under_way = {
            folder.model_folder(pk, 1) / "member-1/weights",
            folder.trained(pk, 1, "member-1") / "data/curve.csv",
            folder.case_output(pk, 1, "two") / "score.json",
            folder.step(pk, 1, "train-member-1") / "checkpoints/last",
            folder.log(pk, 1, "evaluate").with_name(".evaluate.log.1.tmp"),
        }
        for path in finished | under_way:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        take_backup(world.installation, tmp_path / "backup.tar")
        with tarfile.open(tmp_path / "backup.tar") as tar:
            names = {name for name in tar.getnames() if str(pk) in name}
        assert names == {path.relative_to(folder.root).as_posix() for path in finished}

    @on_sqlite
    def test_nothing_is_written_over_a_backup(self, furnished: tuple[World, Any], tmp_path: Path):
        """
        Also when the disk is full: the part that was written goes.
        """
        world, _ = furnished
        (tmp_path / "backup.tar").write_bytes(b"older")
        with pytest.raises(UserError, match=r"backup\.tar is there already"):
            take_backup(world.installation, tmp_path / "backup.tar")
        assert (tmp_path / "backup.tar").read_bytes() == b"older"

    @on_sqlite
    def test_a_full_disk_leaves_nothing(self, furnished: tuple[World, Any], tmp_path: Path):
        """
        One line, and neither a backup nor a part of one.
        """
        world, _ = furnished
        world.installation.folder.image(UUID(world.names["image"])).write_bytes(bytes(32 << 20))
        with small_disk(tmp_path / "disk", n_mib=16) as disk:
            with pytest.raises(NoSpaceLeft, match="no room for the backup"):
                take_backup(world.installation, disk / "backup.tar")
            assert [path.name for path in disk.iterdir() if path.name != "lost+found"] == []

    @on_sqlite
    def test_killed(self, furnished: tuple[World, Any], tmp_path: Path):
        """
        There is no backup, and the next one of that name is whole.
        """
        world, _ = furnished
        backups = tmp_path / "backups"
        backups.mkdir()
        words = ("service", "backup", str(backups / "one.tar"))
        place = "reseed.service.operations.backup.archive:sums_line"
        ended = command(tmp_path, world.database, *words, killed_at=place)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        assert not (backups / "one.tar").exists()
        assert (backups / ".one.tar.part").exists()

        ended = command(tmp_path, world.database, *words)

        assert ended.returncode == 0, ended.stderr
        assert [path.name for path in backups.iterdir()] == ["one.tar"]
        digest = sha256((backups / "one.tar").read_bytes())
        assert f"sha256 {digest}" in ended.stdout
        assert "2 submissions" in ended.stdout
        assert "not in it: the phases' own folders" in ended.stdout

    @on_sqlite
    def test_what_is_missing_already_is_said(
        self, furnished: tuple[World, Any], empty: Installation, tmp_path: Path
    ):
        """
        A damaged installation can be backed up; what has no bytes says so after the restore.
        """
        world, _ = furnished
        world.installation.folder.image(UUID(world.names["image"])).unlink()
        taken = take_backup(world.installation, tmp_path / "backup.tar")
        assert taken.missing == (f"images/{world.names['image']}.tar (image of net, ready)",)
        again = _restored(tmp_path / "backup.tar", empty, world)
        with again.database.read() as session:
            image = session.get_one(AlgorithmImage, UUID(world.names["image"]))
        assert image.state is ArchiveState.REMOVED
        assert "were not in the backup" in image.reason


class TestRefused:
    @pytest.mark.parametrize(
        "what", ["changed", "left out", "added", "cut", "no end", "no backup", "outside"]
    )
    def test_whoever_changed_it(
        self, furnished: tuple[World, Any], empty: Installation, tmp_path: Path, what: str
    ):
        """
        One line, and nothing is there.
        """
        world, _ = furnished
        path = tmp_path / "backup.tar"
        take_backup(world.installation, path)
        image = f"images/{world.names['image']}.tar"
        if what == "changed":
            rewrite(path, lambda name, content: content[:-1] + b"x" if name == image else content)
            complaint = f"{image} is not what was backed up"
        elif what == "left out":
            rewrite(path, lambda name, content: None if name == image else content)
            complaint = f"{image} is missing"
        elif what == "added":
            rewrite(path, lambda _, content: content, {f"uploads/{UUID(int=1)}": b"x"})
            complaint = f"uploads/{UUID(int=1)} is not what was backed up"
        elif what == "outside":
            rewrite(path, lambda _, content: content, {"../outside": b"x"})
            complaint = "'../outside' does not belong there"
        elif what == "cut":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            complaint = "not whole|not a whole one"
        elif what == "no end":
            rewrite(path, lambda name, content: None if name == "SHA256SUMS" else content)
            complaint = "ends before its SHA256SUMS"
        else:
            path.write_bytes(image_bytes())
            complaint = "is not a backup"

        with pytest.raises(InvalidBackup, match=complaint):
            restore_backup(empty, path)

        assert _is_untouched(empty)
        assert not (tmp_path / "outside").exists()

    def test_an_installation_that_is_not_empty(
        self, furnished: tuple[World, Any], empty: Installation, tmp_path: Path
    ):
        """
        Neither its database nor its files are touched.
        """
        world, _ = furnished
        take_backup(world.installation, tmp_path / "backup.tar")
        with pytest.raises(UserError, match="has users already"):
            restore_backup(world.installation, tmp_path / "backup.tar")
        assert submission_of(world.database, world.names["submission"]).state is SubmissionState.EVALUATED
        (empty.folder.root / "images").mkdir(parents=True)
        (empty.folder.root / "images/mine").write_bytes(b"mine")
        with pytest.raises(UserError, match="has images already"):
            restore_backup(empty, tmp_path / "backup.tar")
        assert (empty.folder.root / "images/mine").read_bytes() == b"mine"

    def test_one_whose_tables_nobody_has_used(
        self, furnished: tuple[World, Any], empty: Installation, tmp_path: Path
    ):
        """
        As `docker compose up` leaves them: that is taken for empty.
        """
        world, _ = furnished
        take_backup(world.installation, tmp_path / "backup.tar")
        migrate(empty.database)
        empty.database.close()
        again = _restored(tmp_path / "backup.tar", empty, world)
        assert submission_of(again.database, world.names["submission"]).state is SubmissionState.EVALUATED

    @on_sqlite
    def test_a_newer_version(
        self,
        furnished: tuple[World, Any],
        empty: Installation,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ):
        """
        Before anything is unpacked.
        """
        world, _ = furnished
        monkeypatch.setattr(taking, "revision_of", lambda _session: "9999")
        take_backup(world.installation, tmp_path / "backup.tar")
        with pytest.raises(UserError, match=r"is of a newer version.*revision 9999"):
            restore_backup(empty, tmp_path / "backup.tar")
        assert _is_untouched(empty)

    def test_another_kind_of_database(self, furnished: tuple[World, Any], tmp_path: Path):
        """
        One line that names both.
        """
        world, _ = furnished
        take_backup(world.installation, tmp_path / "backup.tar")
        other = f"postgresql://nobody@/x?host={tmp_path}" if world.database.is_sqlite else ""
        here = installation(settings_from(environment(tmp_path / "second", other)))
        with pytest.raises(UserError, match=r"of the kind .*RESEED_DATABASE_URL names one of the kind"):
            restore_backup(here, tmp_path / "backup.tar")
        assert not (tmp_path / "second").exists()

    def test_postgresql_without_its_client(
        self, furnished: tuple[World, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """
        SQLite needs none.
        """
        world, _ = furnished
        monkeypatch.setenv("PATH", str(tmp_path))
        if world.database.is_sqlite:
            take_backup(world.installation, tmp_path / "backup.tar")
            return
        with pytest.raises(UserError, match="pg_dump is not installed here"):
            take_backup(world.installation, tmp_path / "backup.tar")
        assert not any(tmp_path.glob("*backup*"))


class TestKilled:
    @pytest.mark.parametrize("place", ["settle", "sync_folder"])
    def test_a_restore(self, furnished: tuple[World, Any], empty: Installation, tmp_path: Path, place: str):
        """
        Before its database is ready, and with its files in their places: until it has ended, no command
        works there; the same command begins again, and ends it.
        """
        world, files = furnished
        path = tmp_path / "backup.tar"
        take_backup(world.installation, path)
        url = empty.database.url.render_as_string(hide_password=False)
        words = ("service", "restore", str(path))
        module = "reseed.service.operations.backup.restoring"

        ended = command(empty.folder.root, url, *words, killed_at=f"{module}:{place}")

        assert ended.returncode == -signal.SIGKILL, ended.stderr
        refused = command(empty.folder.root, url, "service", "user", "list")
        assert refused.returncode == 2
        assert "was not restored to its end" in refused.stderr
        ended = command(empty.folder.root, url, *words)
        assert ended.returncode == 0, ended.stderr
        assert "jobs that wait for a worker: 1; one had taken 1 of them" in ended.stdout
        assert f"{len(files) + 2} files" in ended.stdout
        refuse_unfinished_restore(empty.folder)
        assert submission_of(empty.database, world.names["submission"]).state is SubmissionState.EVALUATED
        for name, content in files.items():
            assert (empty.folder.root / name).read_bytes() == content


def _n_images(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(AlgorithmImage)) or 0


def _check_stored(here: Installation) -> None:
    """Each image of the writer has the bytes of its digest, and each upload those that it counts."""
    with here.database.read() as session:
        for image in session.scalars(select(AlgorithmImage)):
            path = here.folder.image(image.pk)
            if image.state is ArchiveState.READY:
                assert sha256(path.read_bytes()) == image.sha256
            else:
                assert image.state is ArchiveState.REMOVED
        uploads = session.scalars(select(Upload).where(Upload.offset > 0)).all()
        assert uploads
        for upload in uploads:
            stored = here.folder.upload(upload.pk).read_bytes()
            assert stored == bytes(index % 251 for index in range(upload.offset))
