"""Small studies in real containers. Every test here needs a Docker engine."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import docker.errors
import pytest
import requests.exceptions

from reseed.contracts.errors import EngineSilent, InfrastructureError, NoSpaceLeft, UserError
from reseed.contracts.job import Attempt, JobRecord
from reseed.documents.reading import read_json
from reseed.orchestration.executors.container_status import program_status
from reseed.orchestration.executors.container_user import container_user
from reseed.orchestration.executors.docker import DockerExecutor
from reseed.orchestration.executors.engine import engine_complaint
from reseed.orchestration.executors.executor import ProgramState
from reseed.orchestration.executors.images import build_command
from reseed.orchestration.study_file import read_study
from reseed.orchestration.study_folder import AttemptFolder, StudyFolder
from reseed.orchestration.study_run import StudyRun, process_executor

from .conftest import SmallProject
from .test_study_run import Diary


def docker_study_run(study: Path, out: Path) -> StudyRun:
    context = read_study(study)
    return StudyRun(
        context=context,
        folder=StudyFolder(out),
        dataset=Path(context.study.dataset),
        executor=DockerExecutor.connected(),
        own_executor=process_executor(context),
    )


def _kill_once_trained_a_little(study: Path, out: Path, *, n_trainings: int) -> None:
    """Run a study in containers, and SIGKILL the orchestrator once so many trainings have a checkpoint."""
    command = [
        sys.executable, "-m", "reseed", "run", str(study), "--out", str(out), "--executor", "docker",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while (
        len(list((out / "jobs").glob("*/checkpoints/state.json"))) < n_trainings
        and time.monotonic() < deadline
    ):
        time.sleep(0.02)
    process.kill()
    process.wait()


def _places(engine: docker.DockerClient, folder: Path) -> set[Path]:
    """The attempts below a folder that have a container; other tests do jobs with the same keys."""
    left = engine.containers.list(all=True, filters={"label": "org.reseed.job"}, ignore_removed=True)
    places = (Path(found.labels.get("org.reseed.job.place", "/")) for found in left)
    return {place for place in places if place.is_relative_to(folder)}


@pytest.mark.docker
@pytest.mark.usefixtures("images")
class TestStudies:
    def test_containers_score_as_processes_do(self, project: SmallProject, tmp_path: Path):
        """The same study gives the same scores in containers and as plain processes."""
        study = project.study()
        context = read_study(study)
        own = process_executor(context)
        plain = StudyRun(context, StudyFolder(tmp_path / "process"), Path(context.study.dataset), own, own)
        assert plain.run(Diary(), n_jobs=2).is_complete

        assert docker_study_run(study, tmp_path / "docker").run(Diary(), n_jobs=2).is_complete

        for name in ("scores.csv", "runs/two/1/model/member-0/weights.json"):
            assert (tmp_path / "docker" / name).read_bytes() == (tmp_path / "process" / name).read_bytes()
        record = json.loads((tmp_path / "docker/runs/one/0/run.json").read_text())
        assert record["program"]["image"] == f"reseed/logistic@sha256:{record['program']['digest']}"

    def test_nothing_is_left_behind(self, project: SmallProject, tmp_path: Path, engine):
        """Containers are removed once their end is recorded."""
        docker_study_run(project.study(runs=1, members=1), tmp_path / "out").run(Diary(), n_jobs=2)

        assert _places(engine, tmp_path) == set()

    def test_too_much_memory_is_said_in_words(self, project: SmallProject, tmp_path: Path):
        """The memory limit of the manifest is the container's."""
        methods = {"big": {"algorithm": "logistic", "settings": {"crash": "memory"}}}
        diary = Diary()

        outcome = docker_study_run(project.study(methods=methods, runs=1, members=1), tmp_path / "out").run(
            diary, n_jobs=2
        )

        assert len(outcome.failed) == 1
        assert diary.reason("train/big/run-0/member-0") == (
            "killed: it used more memory than its limit of 0.25 GiB; "
            "raise train.memory_gib in the manifest of logistic or the study"
        )

    def test_a_killed_orchestrator_leaves_its_containers_to_the_next(
        self, project: SmallProject, tmp_path: Path
    ):
        """Containers run on, and the next command takes them over instead of starting them again."""
        methods = {"slow": {"algorithm": "logistic", "settings": {"step_s": 0.1}}}
        study, out = project.study(methods=methods, runs=1), tmp_path / "out"
        _kill_once_trained_a_little(study, out, n_trainings=2)

        assert docker_study_run(study, out).run(Diary(), n_jobs=2).is_complete

        attempts = [
            len(json.loads(path.read_text())["attempts"]) for path in (out / "jobs").glob("*/state.json")
        ]
        assert attempts == [1] * 6

    def test_a_study_that_is_moved_keeps_its_containers_and_its_copy_gets_none(
        self, project: SmallProject, tmp_path: Path, engine
    ):
        """
        Containers write into the folder wherever it is, and are found by their labels.

        What another study, or a copy of this one, has started is not taken for our own.
        """
        methods = {"slow": {"algorithm": "logistic", "settings": {"step_s": 0.2}}}
        study, out = project.study(methods=methods, runs=1, members=1), tmp_path / "out"
        _kill_once_trained_a_little(study, out, n_trainings=1)
        shutil.copytree(out, tmp_path / "copy")
        key = next(path.parent.parent.name for path in out.glob("jobs/*/checkpoints/state.json"))
        executor = DockerExecutor.connected()
        record = read_json(tmp_path / "copy/jobs" / key / "state.json", JobRecord)
        assert record.last is not None
        states = [
            executor.reconcile(record.last, StudyFolder(tmp_path / name).job(key).attempt(1)).state
            for name in ("out", "copy")
        ]
        assert states == [ProgramState.RUNNING, ProgramState.LOST]

        out.rename(tmp_path / "moved")
        assert docker_study_run(study, tmp_path / "moved").run(Diary(), n_jobs=2).is_complete

        records = [json.loads(path.read_text()) for path in (tmp_path / "moved/jobs").glob("*/state.json")]
        assert [len(record["attempts"]) for record in records] == [1] * 5
        left = engine.containers.list(all=True, filters={"label": f"org.reseed.job={key}"})
        assert left == []

    def test_a_container_of_an_orchestrator_killed_before_its_removal_goes_with_the_next(
        self, project: SmallProject, tmp_path: Path, engine
    ):
        """Its end was recorded, so nobody asks for it any more; what another study has left stays."""

        class Killed(BaseException):
            """Nothing can be done after it."""

        class Mortal(DockerExecutor):
            def release(self, attempt: Attempt, folder: AttemptFolder) -> None:
                raise Killed

        study = project.study(runs=1, members=1)
        for name in ("out", "other"):
            doomed = dataclasses.replace(
                docker_study_run(study, tmp_path / name), executor=Mortal.connected()
            )
            with pytest.raises(Killed):
                doomed.run(Diary(), n_jobs=1)
        key = next(
            path.parent.name
            for path in (tmp_path / "out/jobs").glob("*/state.json")
            if json.loads(path.read_text())["state"] == "succeeded"
        )
        expected = {tmp_path / name / "jobs" / key / "attempts/1" for name in ("out", "other")}
        assert _places(engine, tmp_path) == expected

        assert docker_study_run(study, tmp_path / "out").run(Diary(), n_jobs=1).is_complete

        other = tmp_path / "other/jobs" / key / "attempts/1"
        assert _places(engine, tmp_path) == {other}
        for command, left in ((["--dry-run"], {other}), ([], set())):
            done = subprocess.run(
                [sys.executable, "-m", "reseed", "prune", str(tmp_path / "other"), "--containers", *command],
                capture_output=True, text=True, timeout=120, check=True,
            )  # fmt: skip
            assert "1 containers" in done.stdout
            assert _places(engine, tmp_path) == left

    def test_a_container_that_no_plan_asks_for_is_stopped_and_removed(
        self, project: SmallProject, tmp_path: Path, engine
    ):
        """The orchestrator was killed and a setting edited: the training of the old one ends."""
        slow, quick = (
            {"one": {"algorithm": "logistic", "settings": {"step_s": step_s}}} for step_s in (60.0, 0.0)
        )
        out = tmp_path / "out"
        _kill_once_trained_a_little(project.study(methods=slow, runs=1, members=1), out, n_trainings=1)
        assert len(_places(engine, tmp_path)) == 1
        diary = Diary()

        study = project.study(methods=quick, runs=1, members=1)
        assert docker_study_run(study, out).run(diary, n_jobs=2).is_complete

        assert _places(engine, tmp_path) == set()
        assert diary.notices == [
            "train/one/run-0/member-0: still runs and the plan does not ask for it any more; it is stopped"
        ]
        states = [json.loads(path.read_text())["state"] for path in (out / "jobs").glob("*/state.json")]
        assert sorted(states) == ["queued", *["succeeded"] * 5]

    def test_the_sandbox(self, project: SmallProject, tmp_path: Path, engine):
        """No network, no capabilities, a read-only root, not root, limits on memory and processes."""
        methods = {"slow": {"algorithm": "logistic", "settings": {"step_s": 0.2, "n_steps": 10}}}
        seen: list[dict] = []

        class Watcher(Diary):
            def tick(self) -> None:
                """Look at a training while it runs."""
                for found in engine.containers.list(filters={"label": "org.reseed.job"}):
                    if found.labels["org.reseed.job.name"] == "train/slow/run-0/member-0" and not seen:
                        seen.append(found.attrs)

        study = project.study(methods=methods, runs=1, members=1)
        assert docker_study_run(study, tmp_path / "out").run(Watcher(), n_jobs=2).is_complete

        (attrs,) = seen
        host, config = attrs["HostConfig"], attrs["Config"]
        assert host["NetworkMode"] == "none"
        assert host["CapDrop"] == ["ALL"]
        assert host["SecurityOpt"] == ["no-new-privileges"]
        assert host["ReadonlyRootfs"] is True
        assert host["Memory"] == host["MemorySwap"] == 2**28
        assert host["PidsLimit"] == 512
        assert host["Init"] is True
        assert host["AutoRemove"] is False
        assert config["User"].split(":")[0] not in ("", "0", "root")
        writable = {mount["Destination"] for mount in attrs["Mounts"] if mount["RW"]}
        assert writable == {"/opt/ml/checkpoints", "/opt/ml/model", "/opt/ml/output", "/opt/ml/output/data"}

    def test_a_container_that_ends_before_its_program_is_no_failure_of_the_program(
        self, project: SmallProject, tmp_path: Path, engine
    ):
        """An engine that is stopped while it starts a container leaves such a one: it is tried again."""
        context = tmp_path / "context"
        context.mkdir()
        (context / "Dockerfile").write_text(
            "FROM reseed/logistic\nUSER root\nRUN rm /bin/sh && ln -s /bin/false /bin/sh\nUSER 1000\n"
        )
        engine.images.build(path=str(context), tag="reseed/shell_less", rm=True)
        algorithm = project.root / "algorithms/shell_less"
        shutil.copytree(project.root / "algorithms/logistic", algorithm)
        manifest = (algorithm / "manifest.yaml").read_text()
        (algorithm / "manifest.yaml").write_text(
            manifest.replace("algorithm: logistic", "algorithm: shell_less")
        )
        study = project.study(methods={"one": {"algorithm": "shell_less"}}, runs=1, members=1)
        diary = Diary()

        docker_study_run(study, tmp_path / "out").run(diary, n_jobs=2)

        record = diary.endings["preprocess/one"]
        assert [attempt.fault for attempt in record.attempts] == ["infrastructure"] * 3
        assert {attempt.reason for attempt in record.attempts} == {
            "the container ended (exit code 1) before its program did"
        }

    def test_a_missing_image_says_how_to_build_it(self, project: SmallProject, tmp_path: Path, engine):
        """An image is never pulled: it is built from the checkout, by a command that is shown."""
        source = project.root / "algorithms/logistic"
        shutil.copytree(source, project.root / "algorithms/unbuilt")
        manifest = project.root / "algorithms/unbuilt/manifest.yaml"
        manifest.write_text(manifest.read_text().replace("algorithm: logistic", "algorithm: unbuilt"))
        study = project.study(methods={"new": {"algorithm": "unbuilt"}})

        with pytest.raises(UserError, match="docker build --target algorithm --build-arg ALGORITHM=unbuilt"):
            docker_study_run(study, tmp_path / "out").run(Diary())


class TestStates:
    @pytest.mark.parametrize(
        ("state", "expected"),
        [
            ({"Status": "created"}, (ProgramState.RUNNING, None, False)),
            ({"Status": "running"}, (ProgramState.RUNNING, None, False)),
            ({"Status": "paused"}, (ProgramState.RUNNING, None, False)),
            ({"Status": "exited", "ExitCode": 0}, (ProgramState.EXITED, 0, False)),
            ({"Status": "exited", "ExitCode": 137, "OOMKilled": True}, (ProgramState.EXITED, 137, True)),
            ({"Status": "dead", "ExitCode": 1}, (ProgramState.EXITED, 1, False)),
            ({"Status": "exited", "ExitCode": 255}, (ProgramState.LOST, None, False)),
        ],
    )
    def test_known_states(self, state, expected):
        """Every status that the engine documents has one meaning."""
        status = program_status(state)

        assert (status.state, status.exit_code, status.out_of_memory) == expected

    def test_an_unknown_state_is_an_error(self):
        """A status that is not known is never taken for done."""
        with pytest.raises(InfrastructureError, match="unknown docker state"):
            program_status({"Status": "hibernating", "ExitCode": 0})


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (requests.exceptions.ConnectionError("Connection aborted."), EngineSilent),
        (docker.errors.DockerException("Error while fetching server API version"), EngineSilent),
        (docker.errors.APIError("write /var/lib/docker/x: no space left on device"), NoSpaceLeft),
        (docker.errors.APIError("invalid mount config"), InfrastructureError),
    ],
)
def test_what_an_error_of_the_engine_means(error: Exception, kind: type[InfrastructureError]):
    """Nobody there and no room are waited for; a refusal is a fault of the attempt."""
    complaint = engine_complaint("the container cannot be created", error)

    assert type(complaint) is kind
    assert str(complaint).startswith("the container cannot be created: ")


class TestUser:
    @pytest.mark.parametrize("user", ["", "root", "0", "0:0", "root:root"])
    def test_an_image_that_runs_as_root_is_refused(self, user):
        """The contract asks for a USER that is not root."""
        with pytest.raises(UserError, match="must set a USER that is not root"):
            container_user({"User": user}, image="unet")

    def test_root_starts_containers_as_the_images_user(self):
        """Files of a container belong to whoever started the study, unless that is root."""
        expected = "10001:10001" if os.getuid() == 0 else f"{os.getuid()}:{os.getgid()}"

        assert container_user({"User": "10001:10001"}, image="unet") == expected


def test_build_commands_name_the_targets():
    """The evaluation image has its own target."""
    assert "--target evaluation" in build_command("evaluation")
