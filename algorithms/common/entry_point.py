"""The outermost frame of `preprocess`, `train` and `inference`: last words and exit codes."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from algorithms.common.interruption import Interrupted
from algorithms.common.log import start_log
from reseed.contracts.containers import ROOT_VARIABLE, TrainingPaths
from reseed.contracts.errors import ReseedError

EXIT_FAILURE = 1
EXIT_INTERRUPTED = 143
"""What a shell reports for a process that SIGTERM ended."""
CUBLAS_VARIABLE = "CUBLAS_WORKSPACE_CONFIG"
CUBLAS_SETTING = ":4096:8"
"""What NVIDIA asks for when the same bits are wanted; read when CUDA starts."""

Environment = Mapping[str, str]


def run_entry_point(main: Callable[[Path, Environment], None], *, leaves_failure_file: bool) -> NoReturn:
    """
    Run an entry point and end the process.

    Whatever goes wrong, the last line of stderr says it in one line, and the training contract's
    failure file holds the same; a mistake of ours is preceded by its traceback. After a failure Python
    does not take itself down: if a thread that a library left behind is within torch at that moment, the
    process is aborted, with other last words and another code.

    Parameters
    ----------
    main
        Takes the root prefix and the environment, which is read here and nowhere else.
    leaves_failure_file
        True for the training contract; the inference contract has no such file.
    """
    os.environ.setdefault(CUBLAS_VARIABLE, CUBLAS_SETTING)
    start_log()
    root = Path(os.environ.get(ROOT_VARIABLE, "/"))
    failure = TrainingPaths(root).failure if leaves_failure_file else None
    try:
        main(root, os.environ)
    except Interrupted as interruption:
        _leave_last_words(f"interrupted: {interruption}", None)
        _end_at_once(EXIT_INTERRUPTED)
    except ReseedError as error:
        _leave_last_words(" · ".join(str(error).splitlines()), failure)
        _end_at_once(EXIT_FAILURE)
    except Exception as error:  # noqa: BLE001 (the outermost frame)
        traceback.print_exc()
        _leave_last_words(f"{type(error).__name__}: {' '.join(str(error).split())}", failure)
        _end_at_once(EXIT_FAILURE)
    sys.exit(0)


def _leave_last_words(line: str, failure: Path | None) -> None:
    # a full disk takes the file, and not the line
    with contextlib.suppress(OSError):
        if failure is not None:
            failure.parent.mkdir(parents=True, exist_ok=True)
            failure.write_text(f"{line}\n", encoding="utf-8")
    print(line, file=sys.stderr)  # noqa: T201 (the contract's last words)


def _end_at_once(code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        # nobody may be left to read them
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)
