"""The ends of an entry point, in processes of their own."""

import json
import subprocess
import sys

import pytest

from tests.algorithms.jobs import PROJECT

_PROGRAM = """
import sys, threading, torch
from algorithms.common.entry_point import run_entry_point
from algorithms.common.interruption import Interrupted
from algorithms.common.log import log_event
from reseed.contracts.errors import UserError

def main(root, environment):
    if "thread" in sys.argv:
        patch, started = torch.zeros(2**24), threading.Event()
        def feed():
            started.set()
            while True:
                torch.clone(patch)
        threading.Thread(target=feed, daemon=True).start()
        started.wait()
    log_event("reached the end")
    {end}

run_entry_point(main, leaves_failure_file=True)
"""
_ENDS = {
    'raise UserError("lower tile_voxels")': (1, "lower tile_voxels"),
    'raise UserError("one thing\\nand another")': (1, "one thing · and another"),
    'raise KeyError("spacing")': (1, "KeyError: 'spacing'"),
    'raise Interrupted("epoch 3 is saved")': (143, "interrupted: epoch 3 is saved"),
}


def ended(end, root, *arguments):
    """The process that ran a `main` with this end."""
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM.replace("{end}", end), *arguments],
        cwd=PROJECT, env={"RESEED_ROOT": str(root), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("end", _ENDS)
def test_the_last_line_says_why(tmp_path, end):
    """
    Also while a thread that a library left behind is within torch, which Python's own end would abort.
    """
    code, line = _ENDS[end]

    run = ended(end, tmp_path, "thread")

    assert run.returncode == code, run.stderr
    assert run.stderr.splitlines()[-1] == line
    assert json.loads(run.stdout.splitlines()[-1])["event"] == "reached the end"


@pytest.mark.parametrize("end", _ENDS)
def test_the_failure_file(tmp_path, end):
    """It holds the same line; an interruption is no failure."""
    code, line = _ENDS[end]
    failure = tmp_path / "opt/ml/output/failure"

    ended(end, tmp_path)

    assert failure.exists() == (code == 1)
    if code == 1:
        assert failure.read_text() == f"{line}\n"


def test_a_failure_file_that_cannot_be_written(tmp_path):
    """Its own error is not the last word."""
    (tmp_path / "opt").write_text("no folder")

    run = ended('raise UserError("lower tile_voxels")', tmp_path)

    assert (run.returncode, run.stderr) == (1, "lower tile_voxels\n")


def test_success(tmp_path):
    """The code is 0, and stderr is empty."""
    run = ended("pass", tmp_path)

    assert (run.returncode, run.stderr) == (0, "")
