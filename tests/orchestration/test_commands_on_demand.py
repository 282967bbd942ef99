"""The list of commands: quick, complete, and usable without the extras."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reseed.cli.commands import COMMANDS, loaded_command


def _reseed(*words: str, before: str = "pass") -> subprocess.CompletedProcess[str]:
    program = f"import sys; {before}; sys.argv = {['reseed', *words]!r}; from reseed.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )


def test_the_list_imports_no_command():
    """`reseed --help` needs neither numpy nor pandas, so it answers at once."""
    done = _reseed("--help", before="sys.modules['numpy'] = sys.modules['pandas'] = None")

    assert done.returncode == 0, done.stderr
    assert all(f" {name} " in done.stdout for name in COMMANDS)


def _help_texts(command: Any) -> Iterator[str]:
    """What a command and all below it say of themselves and of what they are given."""
    yield command.help or ""
    yield from (getattr(parameter, "help", None) or "" for parameter in command.params)
    for below in getattr(command, "commands", {}).values():
        yield from _help_texts(below)


@pytest.mark.parametrize("name", COMMANDS)
def test_no_help_text_has_a_part_that_is_not_shown(name: str):
    """Help is Markdown, which leaves out what looks like HTML: `runs/<method>` is shown as `runs/`."""
    texts = [COMMANDS[name].help, *_help_texts(loaded_command(name))]

    assert [text for text in texts if "<" in text] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_listed_command_is_there(name: str):
    """Each line of the list leads to a command of that name with help of its own."""
    command = loaded_command(name)

    assert command.name == name
    assert command.help


def test_a_command_whose_extra_is_not_installed_says_so(tmp_path: Path):
    """The evaluation image has no charts: `report` names the extra, `compare` works."""
    without = "sys.modules['altair'] = None"

    (tmp_path / "comparisons.json").write_text("{}")
    done = _reseed("report", str(tmp_path), before=without)
    assert done.returncode == 2
    assert "needs the package 'altair', which is not installed: pip install 'reseed[train]'" in done.stderr
    assert "Traceback" not in done.stderr

    assert _reseed("compare", "--help", before=without).returncode == 0


def test_a_mistyped_command_is_guessed():
    """A near miss is offered the command that there is."""
    done = _reseed("compar")

    assert done.returncode == 2
    assert "Did you mean 'compare'?" in done.stderr
