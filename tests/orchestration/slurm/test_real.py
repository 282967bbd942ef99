"""
Whole small studies through a real Slurm: nodes, orchestrators and submissions that fail half-way.

Every test here needs a Slurm of this machine alone, as .ci/slurm-here starts one.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reseed.contracts.job import JobRecord
from reseed.documents.reading import read_json
from reseed.orchestration.slurm.batch import Batches
from reseed.orchestration.study_folder import StudyFolder
from tests.orchestration.conftest import SmallProject

pytestmark = pytest.mark.slurm

DEADLINE_S = 300
# "planned": it is idle, and the scheduler has something in mind for it
_UP = ("idle", "mixed", "allocated", "completing", "planned")
SETTINGS = {"poll_s": 0.5, "gres": None}


class Node:
    """The one node of the cluster, as its administrator handles it."""

    def __init__(self) -> None:
        self.name = _said("sinfo", "--noheader", "--format=%N")

    def set(self, state: str) -> None:
        """Take it down, drain it or bring it back."""
        reason = () if state == "resume" else ("reason=test",)
        _said("scontrol", "update", f"nodename={self.name}", f"state={state}", *reason)

    def bring_back(self) -> None:
        """Resume it where it has not come back by itself."""
        # "idle*": it has just been brought back, and has not answered yet
        if _said("sinfo", "--noheader", "--format=%T").rstrip("*") not in _UP:
            self.set("resume")


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


@pytest.fixture
def node() -> Iterator[Node]:
    """
    A cluster that answers, for one test at a time; without one, tests are skipped, and fail in CI.

    Tests drain its only node, and two files of tests can be run side by side.
    """
    with (Path(tempfile.gettempdir()) / "reseed-test-slurm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            found = Node()
        except (OSError, subprocess.SubprocessError) as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"no Slurm: {error}")
        found.bring_back()
        yield found
        subprocess.run(["scancel", f"--user={os.getuid()}"], check=False)
        found.bring_back()


def _command(study: Path, out: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "reseed", "run", str(study), "--out", str(out), *options]


def _run(study: Path, out: Path, *options: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ)
    if path is not None:
        environment["PATH"] = f"{path}:{environment['PATH']}"
    return subprocess.run(
        _command(study, out, *options), env=environment, capture_output=True, text=True, timeout=DEADLINE_S,
        check=False,
    )  # fmt: skip


def _until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _records(out: Path) -> dict[str, JobRecord]:
    records = [read_json(path, JobRecord) for path in (out / "jobs").glob("*/state.json")]
    return {record.name: record for record in records}


def _in_slurm(out: Path) -> list[str]:
    """Elements of a study that wait or run."""
    names = {batch.name for batch in Batches.of(StudyFolder(out))}
    lines = _said("squeue", "--array", "--noheader", "--format=%j").splitlines()
    return [line for line in lines if line in names]


def _has_checkpoints(out: Path) -> bool:
    return any((out / "jobs").glob("*/checkpoints/state.json"))


def test_a_node_and_an_orchestrator_are_lost_half_way(project: SmallProject, tmp_path: Path, node: Node):
    """
    The orchestrator is killed, then the node goes down with two trainings on it and comes back.

    Slurm starts them again, they go on from their checkpoints, and the same command ends with the
    bytes of an undisturbed study: every job in Slurm once, every job done once.
    """
    methods = {
        name: {"algorithm": "logistic", "settings": {"features": features, "step_s": 0.08}}
        for name, features in (("one", 1), ("two", 2))
    }
    study = project.study(methods=methods, runs=1, slurm=SETTINGS, executor="slurm")
    out = tmp_path / "slurm"
    orchestrator = subprocess.Popen(
        _command(study, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _until(lambda: _has_checkpoints(out))
    orchestrator.send_signal(signal.SIGKILL)
    orchestrator.wait()
    node.set("down")
    time.sleep(1.0)
    node.bring_back()

    done = _run(study, out)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "11 jobs, on the cluster" in done.stdout
    assert _run(study, tmp_path / "process", "--executor", "process").returncode == 0
    for name in (
        "comparisons.json",
        "scores.csv",
        "runs/two/0/metrics.json",
        "runs/one/0/model/member-1/weights.json",
    ):
        assert (out / name).read_bytes() == (tmp_path / "process" / name).read_bytes()
    records = _records(out)
    assert len(records) == 11
    assert Counter(record.state.value for record in records.values()) == {"succeeded": 11}
    submitted = Counter(key for batch in Batches.of(StudyFolder(out)) for key in batch.document.keys)
    assert set(submitted.values()) == {1}
    interrupted = [record for record in records.values() if len(record.attempts) > 1]
    assert interrupted
    for record in records.values():
        *before, last = record.attempts
        assert last.reason is None
        assert all(past.fault in ("interruption", "infrastructure") for past in before)
    resumed = [
        path for path in (out / "jobs").glob("*/attempts/2/log") if "resumed at step" in path.read_text()
    ]
    assert resumed
    run = json.loads((out / "runs/one/0/run.json").read_text())
    assert run["program"]["executor"] == "slurm"
    assert {member["place"]["node"] for member in run["members"]} == {node.name}


@pytest.mark.docker
@pytest.mark.usefixtures("images")
def test_one_study_file_on_process_docker_and_slurm(project: SmallProject, tmp_path: Path, node: Node):
    """The same study.yaml gives the same comparisons.json, on the cluster in containers by the template."""
    study = project.study(runs=1, members=1, slurm={**SETTINGS, "container": "docker"})

    for executor in ("process", "docker", "slurm"):
        done = _run(study, tmp_path / executor, "--executor", executor)
        assert done.returncode == 0, done.stdout + done.stderr

    documents = [
        (tmp_path / name / "comparisons.json").read_bytes() for name in ("process", "docker", "slurm")
    ]
    assert documents[0] == documents[1] == documents[2]
    keys = [{path.name for path in (tmp_path / name / "jobs").iterdir()} for name in ("docker", "slurm")]
    assert keys[0] == keys[1]
    run = json.loads((tmp_path / "slurm/runs/one/0/run.json").read_text())
    assert run["program"]["image"] == f"reseed/logistic@sha256:{run['program']['digest']}"
    left = _said(
        "docker",
        "ps",
        "--all",
        "--filter",
        "label=org.reseed.slurm",
        "--format",
        '{{.Label "org.reseed.job"}}',
    )
    assert not set(left.splitlines()) & keys[1]


def test_what_fails_by_itself_and_what_is_killed(project: SmallProject, tmp_path: Path, node: Node):
    """
    A failing training is tried twice; a killed one goes back into Slurm's queue, three times at most.

    What does not depend on them is done, and nothing of the rest stays in Slurm. The same command does not
    repeat what failed by itself, unless it is told to.
    """
    methods = {
        name: {"algorithm": "logistic", "settings": {"crash": crash}}
        for name, crash in (("fails", "fail"), ("killed", "kill"), ("good", "none"))
    }
    study = project.study(methods=methods, runs=1, members=1, slurm=SETTINGS, executor="slurm")

    done = _run(study, tmp_path / "out")

    assert done.returncode == 1, done.stdout + done.stderr
    records = _records(tmp_path / "out")
    states = {name: record.state.value for name, record in records.items()}
    assert states["score/good/run-0"] == "succeeded"
    assert states["train/fails/run-0/member-0"] == states["train/killed/run-0/member-0"] == "failed"
    assert "predict/fails/run-0" not in states
    killed = records["train/killed/run-0/member-0"]
    assert [attempt.fault for attempt in killed.attempts] == ["infrastructure"] * 3
    assert len({attempt.handle["slurm_job"] for attempt in killed.attempts}) == 1
    fails = records["train/fails/run-0/member-0"]
    assert [attempt.fault for attempt in fails.attempts] == ["job"] * 2
    assert len({attempt.handle["slurm_job"] for attempt in fails.attempts}) == 1
    assert "the gradient is not finite" in done.stdout
    assert _in_slurm(tmp_path / "out") == []

    again = _run(study, tmp_path / "out")
    n_attempts = len(_records(tmp_path / "out")["train/fails/run-0/member-0"].attempts)
    assert (again.returncode, n_attempts) == (1, 2), again.stdout + again.stderr
    assert "train/fails/run-0/member-0: failed before and is not tried again: exit code 1" in again.stdout
    forced = _run(study, tmp_path / "out", "--retry-failed")
    n_attempts = len(_records(tmp_path / "out")["train/fails/run-0/member-0"].attempts)
    assert (forced.returncode, n_attempts) == (1, 3), forced.stdout + forced.stderr


def test_a_submission_that_is_interrupted_doubles_nothing(project: SmallProject, tmp_path: Path, node: Node):
    """
    The orchestrator is killed before sbatch, after it, and while it is still under way.

    The third sbatch gets through only when the jobs have been submitted again: its array does
    nothing. At the end every job has been done once.
    """
    methods = {"one": {"algorithm": "logistic"}}
    study = project.study(methods=methods, runs=1, members=1, slurm=SETTINGS, executor="slurm")
    out, shims = tmp_path / "out", tmp_path / "bin"
    node.set("drain")
    sbatch = shutil.which("sbatch")
    behaviours = (
        "kill -9 $PPID",
        f'{sbatch} "$@"; kill -9 $PPID',
        f'kill -9 $PPID; until [ -e {tmp_path}/go ]; do sleep 0.1; done; {sbatch} "$@" >{tmp_path}/late',
    )
    for number, behaviour in enumerate(behaviours):
        shim = shims / str(number) / "sbatch"
        shim.parent.mkdir(parents=True)
        shim.write_text(f"#!/bin/bash\n{behaviour}\n")
        shim.chmod(0o755)
        killed = subprocess.Popen(
            _command(study, out, "--detach"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "PATH": f"{shim.parent}:{os.environ['PATH']}"}, start_new_session=True,
        )  # fmt: skip
        assert killed.wait(timeout=DEADLINE_S) == -signal.SIGKILL

    submitted = _run(study, out, "--detach")
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    assert "the jobs go on in Slurm" in submitted.stdout
    assert _run(study, out, "--detach").returncode == 0
    assert len(_in_slurm(out)) == 5
    refused = _run(study, out, "--executor", "process")
    assert refused.returncode == 2
    assert "jobs of this study are in Slurm" in refused.stderr
    (tmp_path / "go").touch()
    late = tmp_path / "late"
    _until(lambda: late.is_file() and late.read_text())
    assert len(_in_slurm(out)) == 6
    node.bring_back()
    done = _run(study, out)

    assert done.returncode == 0, done.stdout + done.stderr
    records = _records(out)
    assert {name: len(record.attempts) for name, record in records.items()} == dict.fromkeys(records, 1)
    assert len(records) == 5


def test_cancelling_lets_trainings_checkpoint(project: SmallProject, tmp_path: Path, node: Node):
    """On a GPU of the cluster: what waits is removed, what runs checkpoints, the study can go on anywhere."""
    manifest = project.root / "algorithms/logistic/manifest.yaml"
    manifest.write_text(manifest.read_text().replace("train: {cpus: 1,", "train: {cpus: 1, gpus: 1,"))
    methods = {"slow": {"algorithm": "logistic", "settings": {"step_s": 0.2}}}
    study = project.study(methods=methods, runs=1, slurm={"poll_s": 0.5}, executor="slurm")
    out = tmp_path / "out"
    assert _run(study, out, "--detach").returncode == 0
    _until(lambda: _has_checkpoints(out))

    cancelled = subprocess.run(
        [sys.executable, "-m", "reseed", "cancel", str(study), "--out", str(out)],
        capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip

    assert cancelled.returncode == 0, cancelled.stderr
    assert "4 waiting and 1 running jobs cancelled;" in cancelled.stdout
    assert _in_slurm(out) == []
    (attempt,) = _records(out)["train/slow/run-0/member-0"].attempts
    assert (attempt.reason, attempt.handle["gpus"]) == ("cancelled by reseed cancel", "0")
    done = _run(study, out, "--executor", "process")
    assert done.returncode == 0, done.stdout + done.stderr
    assert any("resumed at step" in path.read_text() for path in (out / "jobs").glob("*/attempts/2/log"))
