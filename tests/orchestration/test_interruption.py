"""Kill the orchestrator at any moment, type the same command: nothing is lost, nothing is done twice."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import SmallProject

DEADLINE_S = 240


def _command(study: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "reseed", "run", str(study), "--out", str(out), "--jobs", "2"]


def _finished(study: Path, out: Path) -> str:
    done = subprocess.run(
        _command(study, out), capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _n_succeeded(out: Path) -> int:
    return sum('"state": "succeeded"' in path.read_text() for path in (out / "jobs").glob("*/state.json"))


def _killed_once_more_is_done(study: Path, out: Path, *, delay_s: float) -> None:
    """Start the command, wait until it has finished another job and a random moment, then SIGKILL it."""
    before = _n_succeeded(out)
    process = subprocess.Popen(_command(study, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + DEADLINE_S
    while _n_succeeded(out) == before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(delay_s)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_five_sigkills_change_nothing(project: SmallProject, tmp_path: Path):
    """
    Killed at five random moments and restarted, a study ends with the bytes of an undisturbed one.

    Every job has succeeded exactly once: what ran on while no orchestrator was there was taken
    over, not started again.
    """
    methods = {
        "one": {"algorithm": "logistic", "settings": {"features": 1, "step_s": 0.01}},
        "two": {"algorithm": "logistic", "settings": {"features": 2, "step_s": 0.01}},
    }
    study = project.study(methods=methods)
    _finished(study, tmp_path / "undisturbed")
    out = tmp_path / "killed"
    moments = random.Random(time.time_ns())
    delays = [moments.uniform(0, 0.8) for _ in range(5)]

    for delay_s in delays:
        _killed_once_more_is_done(study, out, delay_s=delay_s)
    _finished(study, out)

    for name in ("comparisons.json", "scores.csv"):
        assert (out / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes(), delays
    records = [json.loads(path.read_text()) for path in (out / "jobs").glob("*/state.json")]
    assert len(records) == 19
    assert {record["state"] for record in records} == {"succeeded"}
    assert {len(record["attempts"]) for record in records} == {1}, delays


def test_killed_trainings_resume_from_their_checkpoints(project: SmallProject, tmp_path: Path):
    """
    When the jobs die too, as in a power cut, each is tried again from where it was.

    The result is that of an undisturbed study.
    """
    methods = {"slow": {"algorithm": "logistic", "settings": {"step_s": 0.1}}}
    study = project.study(methods=methods, runs=1)
    quick = project.study("quick.yaml", methods={"slow": {"algorithm": "logistic"}}, runs=1)
    _finished(quick, tmp_path / "undisturbed")
    out = tmp_path / "killed"
    process = subprocess.Popen(_command(study, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + DEADLINE_S
    while len(list((out / "jobs").glob("*/checkpoints/state.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    subprocess.run(["pkill", "-KILL", "-f", str(out)], check=False)

    said = _finished(study, out)

    assert "vanished without an exit code" in said
    logs = [log.read_text() for log in (out / "jobs").glob("*/attempts/2/log")]
    assert sum("resumed at step" in log for log in logs) == 2
    assert (out / "scores.csv").read_bytes() == (tmp_path / "undisturbed/scores.csv").read_bytes()


def test_an_interrupt_from_the_keyboard(project: SmallProject, tmp_path: Path):
    """SIGINT stops at the next checkpoint, says what to do, and exits with 130."""
    methods = {"slow": {"algorithm": "logistic", "settings": {"step_s": 5.0}}}
    study, out = project.study(methods=methods, runs=1, members=1), tmp_path / "out"
    process = subprocess.Popen(_command(study, out), stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + DEADLINE_S
    while not list((out / "jobs").glob("*/checkpoints/state.json")) and time.monotonic() < deadline:
        time.sleep(0.02)

    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=DEADLINE_S)

    assert process.returncode == 130
    assert "the same command goes on from here" in said
