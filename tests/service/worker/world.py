"""A phase with real hidden cases, submissions of real small images, and workers of this process."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import docker
from sqlalchemy import select

from reseed.contracts.digests import file_digest
from reseed.contracts.files import write_json_atomically
from reseed.contracts.sockets import Socket, SocketValue
from reseed.service.database.engine import Database
from reseed.service.database.jobs import enqueue
from reseed.service.database.models import (
    AlgorithmImage,
    AlgorithmModel,
    Challenge,
    Job,
    Phase,
    Run,
    Submission,
    Upload,
    User,
)
from reseed.service.database.transitions import enter
from reseed.service.domain.roles import SubmissionKind
from reseed.service.domain.states import ArchiveState, UploadState
from reseed.service.installation import Installation, installation
from reseed.service.settings import settings_from
from reseed.service.worker.loop import run_worker
from reseed.service.worker.worker import Worker
from tests.service.rows import add_challenge, add_image, add_phase, add_submission, add_user

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
TASK_TEXT = (REPOSITORY / "tests/orchestration/project/evaluation/tasks/two_features.yaml").read_text()
SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a6978"
CASES = tuple(f"case-{number}" for number in range(1, 5))

_CASE_ID = Socket(slug="case-id", kind="String", super_kind="Value", relative_path="case-id.json")
_FEATURES = Socket(slug="features", kind="Anything", super_kind="Value", relative_path="features.json")


def image_tag(behaviour: str) -> str:
    return f"reseed-test-worker:{behaviour}"


def build_test_image(
    behaviour: str, *, account: str = "10001:10001", dockerfile: str = "Dockerfile", tag: str = ""
) -> str:
    """Build the small algorithm with a behaviour, for a user; its digest."""
    built = subprocess.run(
        [
            "docker", "build", "--quiet", "--network", "none", "--tag", tag or image_tag(behaviour),
            "--build-arg", f"BEHAVIOUR={behaviour}", "--build-arg", f"ACCOUNT={account}",
            "--file", str(HERE / "image" / dockerfile), str(HERE / "image"),
        ],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr[-4000:]
    return built.stdout.strip()


def saved_under_another_name(engine: docker.DockerClient, folder: Path) -> tuple[str, Path]:
    """The digest and the tarball of an image that the engine has no more; in it is somebody else's name."""
    digest = build_test_image("stored")
    stolen = "reseed-test-worker:somebody-elses"
    engine.images.get(digest).tag(stolen)
    engine.images.remove(image_tag("stored"))
    saved = folder / "saved.tar"
    with saved.open("wb") as stream:
        for block in engine.images.get(stolen).save(named=stolen):
            stream.write(block)
    engine.images.remove(stolen)
    return digest, saved


def write_data(folder: Path) -> None:
    """Hidden cases, their reference and a training table, below a folder."""
    rng = random.Random(7)
    reference = folder / "reference" / "reference.csv"
    reference.parent.mkdir(parents=True)
    with reference.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["case", "patient", "label"])
        for number, case in enumerate(CASES):
            label = number % 2
            writer.writerow([case, f"patient-{case}", label])
            values = [SocketValue.of(_CASE_ID, value=case), SocketValue.of(_FEATURES)]
            place = folder / "cases" / case
            place.mkdir(parents=True)
            write_json_atomically(place / "inputs.json", [value.model_dump(mode="json") for value in values])
            (place / "case-id.json").write_text(json.dumps(case))
            (place / "features.json").write_text(json.dumps([rng.gauss(label, 0.5), rng.gauss(label, 0.5)]))
    (folder / "training").mkdir()
    (folder / "training" / "training.csv").write_text("label,a,b\n1,1,1\n0,0,0\n")


@dataclass
class Hosted:
    """
    An installation with one challenge.

    Parameters
    ----------
    root
        Folder of its data; the cases are below it too.
    here
        The installation.
    """

    root: Path
    here: Installation
    challenge: Challenge
    user: User
    _n_algorithms: int = field(default=0)

    @property
    def database(self) -> Database:
        return self.here.database

    def phase(self, **changes: Any) -> Phase:
        """A phase on the cases, in which every case may take 20 s."""
        self._n_algorithms += 1
        with self.database.write() as session:
            challenge = session.get_one(Challenge, self.challenge.pk)
            return add_phase(
                session,
                challenge,
                f"phase-{self._n_algorithms}",
                **{
                    "task_name": "two_features",
                    "task_text": TASK_TEXT,
                    "cases_folder": str(self.root / "cases"),
                    "reference_folder": str(self.root / "reference"),
                    "training_folder": str(self.root / "training"),
                    "case_timeout_s": 20,
                    "training_timeout_s": 60,
                    "evaluation_timeout_s": 60,
                    "cpus": 1,
                    "memory_gib": 1,
                    "shows_error_lines": True,
                    **changes,
                },
            )

    def submit(self, phase: Phase, digest: str | None, *, models: int | list[Path] = 1, **image: Any) -> UUID:
        """A submission of a checked image: retrained, or with as many runs as it has models."""
        self._n_algorithms += 1
        with self.database.write() as session:
            phase, user = session.merge(phase), session.merge(self.user)
            row = add_image(
                session,
                user,
                f"algorithm-{self._n_algorithms}",
                **{"digest": digest, "has_training": True, **image},
            )
            is_trained = phase.submission_kind is SubmissionKind.TRAINING
            n_runs = phase.n_runs if is_trained else models if isinstance(models, int) else len(models)
            submission = add_submission(session, phase, user, row, n_runs)
            session.refresh(submission)
            for run, tarball in zip(
                submission.runs, models if isinstance(models, list) else (), strict=False
            ):
                model = AlgorithmModel(
                    algorithm=row.algorithm,
                    creator=user,
                    state=ArchiveState.READY,
                    sha256=f"{run.number:064}",
                )
                enter(session, model)
                run.algorithm_model_pk = model.pk
                stored = self.here.folder.model(model.pk)
                stored.parent.mkdir(parents=True, exist_ok=True)
                stored.write_bytes(tarball.read_bytes())
            enqueue(session, Job(kind="start", submission_pk=submission.pk))
            return submission.pk

    def upload(self, image_pk: UUID, tarball: Path) -> None:
        """The bytes of an image, as an upload that is finished leaves them, and the job that checks them."""
        with self.database.write() as session:
            upload = Upload(
                creator_pk=self.user.pk,
                filename=tarball.name,
                size_bytes=tarball.stat().st_size,
                sha256=file_digest(tarball),
                state=UploadState.USED,
            )
            enter(session, upload)
            session.get_one(AlgorithmImage, image_pk).upload_pk = upload.pk
            enqueue(session, Job(kind="check_image", algorithm_image_pk=image_pk))
        stored = self.here.folder.upload(upload.pk)
        stored.parent.mkdir(parents=True)
        tarball.rename(stored)

    def jobs(self, kind: str) -> list[Job]:
        """The jobs of a kind."""
        with self.database.read() as session:
            return list(session.scalars(select(Job).where(Job.kind == kind)))

    def make_due(self, job: Job) -> None:
        """Let a job that waits be due now."""
        with self.database.write() as session:
            session.get_one(Job, job.pk).available_at = self.database.now(session) - timedelta(seconds=1)

    def work(self, **changes: Any) -> Worker:
        """Let a worker do everything that is due."""
        worker = Worker.of(self.here)
        for name, value in changes.items():
            setattr(worker, name, value)
        run_worker(worker, until_idle=True)
        return worker

    def submission(self, pk: UUID) -> Submission:
        """As it is now, with its runs."""
        with self.database.read() as session:
            row = session.get_one(Submission, pk)
            for run in row.runs:
                assert run.cases is not None  # read here, used later
            return row

    def run(self, pk: UUID, number: int = 1) -> Run:
        return self.submission(pk).runs[number - 1]


def environment(folder: Path, database_url: str, **variables: str) -> dict[str, str]:
    """The variables of an installation."""
    return {
        "RESEED_SECRET_KEY": SECRET,
        "RESEED_DATA_DIR": str(folder),
        "RESEED_DATABASE_URL": database_url,
        "RESEED_LEASE_S": "5",
        # of the tests' own engine, where there is one
        **{name: value for name, value in os.environ.items() if name == "DOCKER_HOST"},
        **variables,
    }


def hosted(root: Path, database_url: str) -> Hosted:
    """An installation below a folder, on a database that has its tables."""
    write_data(root)
    here = installation(settings_from(environment(root / "data", database_url)))
    with here.database.write() as session:
        challenge = add_challenge(session, "features")
        user = add_user(session, "ada")
    return Hosted(root, here, challenge, user)
