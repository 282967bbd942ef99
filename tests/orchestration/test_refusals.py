"""An engine that breaks off, or refuses something, while a study runs; here as plain processes."""

from __future__ import annotations

import dataclasses
import functools
import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from reseed.contracts.errors import EngineSilent, InfrastructureError
from reseed.contracts.job import Attempt, JobRecord, JobState
from reseed.documents.reading import read_json
from reseed.orchestration import study_run as study_run_module
from reseed.orchestration.executors.executor import ProgramState, ProgramStatus
from reseed.orchestration.executors.process import ProcessExecutor
from reseed.orchestration.runner import Runner
from reseed.orchestration.study_folder import AttemptFolder
from reseed.orchestration.study_run import StudyRun

from .conftest import SmallProject
from .test_study_run import Diary, study_run

REFUSAL = "the Docker engine does not like it: 500 Server Error"


class Reluctant(ProcessExecutor):
    """
    Raises from some verbs.

    `times` is how often it does so for each verb, `verbs` which they are, `error` what it raises.
    """

    times: int
    verbs: tuple[str, ...]
    error: InfrastructureError
    raised: Counter[str]

    def poll(self, attempt: Attempt, folder: AttemptFolder) -> ProgramStatus:
        """Perhaps not."""
        self._perhaps("poll")
        return super().poll(attempt, folder)

    def logs(self, attempt: Attempt, folder: AttemptFolder) -> str:
        """Perhaps not."""
        self._perhaps("logs")
        return super().logs(attempt, folder)

    def cancel(self, attempt: Attempt, folder: AttemptFolder, *, force: bool = False) -> None:
        """Perhaps not."""
        self._perhaps("cancel")
        super().cancel(attempt, folder, force=force)

    def release(self, attempt: Attempt, folder: AttemptFolder) -> None:
        """Perhaps not."""
        self._perhaps("release")
        super().release(attempt, folder)

    def _perhaps(self, verb: str) -> None:
        if verb in self.verbs and self.raised[verb] < self.times:
            self.raised[verb] += 1
            raise self.error


def _with(run: StudyRun, *verbs: str, error: InfrastructureError, times: int = 1) -> StudyRun:
    executor = Reluctant(run.context.project, run.context.algorithms)
    executor.verbs, executor.error, executor.times, executor.raised = verbs, error, times, Counter()
    return dataclasses.replace(run, executor=executor)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("verb", ["poll", "logs", "release"])
@pytest.mark.parametrize("error", [EngineSilent("the engine does not answer"), InfrastructureError(REFUSAL)])
def test_one_that_breaks_off_once_is_asked_again(
    project: SmallProject, tmp_path: Path, verb: str, error: InfrastructureError
):
    """At whatever it was asked, also when nothing else runs that could say that it answers again."""
    diary = Diary()

    outcome = (_with(study_run(project.study(runs=1, members=1), tmp_path / "out"), verb, error=error)).run(
        diary, n_jobs=1
    )

    assert outcome.is_complete
    assert sum(str(error) in line for line in diary.notices) == 1
    n_answers = diary.notices.count("the engine answers again; the study goes on")
    assert n_answers == isinstance(error, EngineSilent)


def test_what_it_does_not_remove_is_waited_for_by_nobody(project: SmallProject, tmp_path: Path):
    """The end of the job is recorded: one line, and the study goes on."""
    plain = study_run(project.study(runs=1, members=1), tmp_path / "out")
    diary = Diary()

    outcome = _with(plain, "release", error=InfrastructureError(REFUSAL), times=1000).run(diary, n_jobs=2)

    assert outcome.is_complete
    assert len(diary.endings) == len(outcome.succeeded)
    expected = f"train/one/run-0/member-0: {REFUSAL}; it stays until the next `reseed run`"
    assert diary.notices.count(expected) == 1


@pytest.mark.timeout(120)
def test_what_it_does_not_stop_keeps_nobody_else_from_going_on(
    project: SmallProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Once everything else is done, and not for ever, it is waited for; then the command says why it ends."""
    patient = functools.partial(Runner, patience_s=1.0)
    monkeypatch.setattr(study_run_module, "Runner", patient)
    methods = {
        "slow": {
            "algorithm": "logistic",
            "settings": {"step_s": 60.0},
            "resources": {"train": {"timeout_s": 1}},
        },
        "fast": {"algorithm": "logistic"},
    }
    plain = study_run(project.study(methods=methods, runs=1, members=1), tmp_path / "out")
    run = _with(plain, "cancel", error=InfrastructureError(REFUSAL), times=1000)
    diary = Diary()

    try:
        with pytest.raises(InfrastructureError, match=f"^train/slow/run-0/member-0: {REFUSAL}$"):
            run.run(diary, n_jobs=2)
    finally:
        for path in (tmp_path / "out/jobs").glob("*/state.json"):
            _end_what_runs(run, path)

    assert "score/fast/run-0" in diary.endings
    expected = f"train/slow/run-0/member-0: {REFUSAL}; tried again, while other jobs go on"
    assert [line for line in diary.notices if REFUSAL in line] == [expected]


def _end_what_runs(run: StudyRun, path: Path) -> None:
    record = read_json(path, JobRecord)
    if record.state is JobState.RUNNING and record.last is not None:
        os.killpg(int(record.last.handle["pid"]), signal.SIGKILL)
        folder = run.folder.job(record.key).attempt(record.last.number)
        assert isinstance(run.executor, Reluctant)
        while run.executor.poll(record.last, folder).state is ProgramState.RUNNING:
            time.sleep(0.01)
