"""The note of how a program ended, and what the program may have laid in its place."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from reseed.contracts.job import Attempt
from reseed.orchestration.clock import boot_instant, end_of, utc_now
from reseed.orchestration.executors.exit_code import ended_unnoted, make_room_for_exit_code, noted_end

ATTEMPT = Attempt(
    number=1, executor="docker", handle={}, started=utc_now(), started_on_boot_clock=boot_instant()
)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _link(path: Path) -> None:
    path.with_name("elsewhere").write_text("0 1.0")
    path.symlink_to("elsewhere")


def _socket(path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, socket.socket(socket.AF_UNIX) as bound:
        patch.chdir(path.parent)  # names of sockets are short
        bound.bind(path.name)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("lay", [_pipe, _device, _link, _socket, Path.mkdir])
@pytest.mark.parametrize("name", ["exit_code", "exit_code.tmp"])
def test_what_is_not_a_file_is_no_note(tmp_path: Path, name: str, lay: Callable[[Path], None]):
    """It is neither waited for nor followed."""
    lay(tmp_path / name)

    assert noted_end(tmp_path / "exit_code", ATTEMPT) is None
    assert not ended_unnoted(tmp_path / "exit_code")


@pytest.mark.parametrize(
    "text",
    [
        "", "nonsense", "0 nan -", "0 inf", "0 -1", "0 1e300", "-1 5.0", "256 5.0", "0 five", "0" * 65, "\xff"
    ],
)  # fmt: skip
def test_what_does_not_say_how_it_ended_is_no_note(tmp_path: Path, text: str):
    """A number that is no exit code, or no time, least of all."""
    (tmp_path / "exit_code").write_text(text)

    assert noted_end(tmp_path / "exit_code", ATTEMPT) is None


def test_a_note_says_how_and_when_it_ended(tmp_path: Path):
    """As the shell writes it, also when it could not tell the time."""
    path = tmp_path / "exit_code"
    make_room_for_exit_code(path)
    assert ended_unnoted(path)

    assert ATTEMPT.started_on_boot_clock is not None
    path.write_text(f"{143:<8}{ATTEMPT.started_on_boot_clock.seconds + 5:<16.2f}{'stopped':<8}")
    noted = noted_end(path, ATTEMPT)

    assert noted is not None
    assert (noted.exit_code, noted.was_stopped) == (143, True)
    assert 4.9 < (end_of(ATTEMPT, ran_s=noted.ran_s) - ATTEMPT.started).total_seconds() < 5.1
    assert not ended_unnoted(path)
    path.write_text("0 -")
    noted = noted_end(path, ATTEMPT)
    assert noted is not None
    assert noted.ran_s is None
