"""Programs as plain processes, of this orchestrator and of one that is gone."""

from __future__ import annotations

import subprocess
from pathlib import Path

from reseed.contracts.job import Attempt
from reseed.orchestration.clock import boot_instant, utc_now
from reseed.orchestration.executors.executor import ProgramState
from reseed.orchestration.executors.process import ProcessExecutor
from reseed.orchestration.project import Project
from reseed.orchestration.study_folder import AttemptFolder

from .conftest import SmallProject


def test_a_program_whose_number_nobody_noted(project: SmallProject, tmp_path: Path):
    """
    An orchestrator was killed between a start and its record: the program is found, and its end is one.

    Before it is found it may as well never have been started; afterwards it was killed from outside.
    """
    folder = AttemptFolder(tmp_path / "attempts/1")
    folder.path.mkdir(parents=True)
    attempt = Attempt(
        number=1, executor="process", handle={}, started=utc_now(), started_on_boot_clock=boot_instant()
    )
    executor = ProcessExecutor(Project(project.root), {})

    assert executor.reconcile(attempt, folder).state is ProgramState.ABSENT
    waiting = ["/bin/sh", "-c", "read line", str(folder.exit_code)]
    with subprocess.Popen(waiting, stdin=subprocess.PIPE) as program:
        found = executor.reconcile(attempt, folder), executor.poll(attempt, folder)
        program.kill()
    assert [status.state for status in found] == [ProgramState.RUNNING, ProgramState.RUNNING]
    assert executor.poll(attempt, folder).state is ProgramState.LOST
    folder.exit_code.write_text("0 1.0\n")
    assert executor.poll(attempt, folder).exit_code == 0
