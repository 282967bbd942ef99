#!/usr/bin/env python3
"""
Entry point of the evaluation container: one submission in, /output/metrics.json out.

Reads /input/predictions.json, the outputs of its jobs and the ground truth; writes one file, whole
or not at all. Standard error carries one JSON object per line while it works; of a refusal, its
last line is the complete reason in plain words, which is what a platform shows to the submitter.

The exit code is 0 after a result, 1 when something we were given is wrong, 2 when we are.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from pathlib import Path

from reseed.contracts.containers import ROOT_VARIABLE, TASK_VARIABLE, EvaluationPaths
from reseed.contracts.errors import InvalidDocument, UserError
from reseed.contracts.task import Task
from reseed.scoring.evaluation import remove_metrics, write_metrics
from reseed.scoring.tasks import is_path, read_task, task_names

OWN_TASKS = Path(__file__).resolve().parent / "tasks"
PROGRESS_INTERVAL_S = 1.0


def say(line: str) -> None:
    """Write one line to standard error, at once."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def log(event: str, **values: object) -> None:
    """Say what happens, as a line of JSON."""
    say(json.dumps({"event": event, **values}))


class ProgressLog:
    """Reports how many cases are done, once a second and at the end."""

    def __init__(self) -> None:
        self._next_s = time.monotonic() + PROGRESS_INTERVAL_S

    def __call__(self, n_done: int, n_cases: int) -> None:
        """Report, if it is time to."""
        now = time.monotonic()
        if n_done == n_cases or now >= self._next_s:
            self._next_s = now + PROGRESS_INTERVAL_S
            log("cases", done=n_done, total=n_cases)


def task_source(asked_for: str | None, shipped: Path) -> str | Path:
    """
    Which task file counts, as a path or as the name of one of the image's own.

    A path that was asked for comes first; then the task.yaml shipped with the ground truth, which
    overrides the image's own; then the name that was asked for; then the image's only task.
    """
    if asked_for is not None and is_path(asked_for):
        return Path(asked_for)
    if shipped.is_file():
        return shipped
    if asked_for is not None:
        return asked_for
    own = task_names(OWN_TASKS)
    if len(own) == 1:
        return own[0]
    raise UserError(
        f"which task? set {TASK_VARIABLE} to the path of a task file, or to a name ({', '.join(own)}), "
        f"or put {shipped.name} into the ground truth"
    )


def chosen_task(paths: EvaluationPaths) -> Task:
    """The task that this evaluation is about."""
    source = task_source(os.environ.get(TASK_VARIABLE) or None, paths.task)
    task = read_task(source, OWN_TASKS)
    log("task", task=task.task, source=str(source))
    return task


def evaluate(root: Path) -> None:
    """Evaluate the submission below a root folder, which in a container is /."""
    paths = EvaluationPaths(root)
    remove_metrics(paths.metrics)
    task = chosen_task(paths)
    metrics = write_metrics(paths.metrics, paths.submission, paths.ground_truth, task, progress=ProgressLog())
    log("done", **{key: aggregate.value for key, aggregate in metrics.aggregates.items()})


def refusal_lines(error: UserError) -> list[str]:
    """The reasons, one a line, of which the last is complete when it is read alone."""
    lines = list(error.lines) if isinstance(error, InvalidDocument) else [" ".join(str(error).splitlines())]
    if len(lines) > 1:
        lines.append(f"{lines[0]} (the first of {len(lines)} mistakes, all listed above)")
    return lines


def main() -> int:
    """Evaluate, and say why not."""
    started_s = time.monotonic()
    try:
        evaluate(Path(os.environ.get(ROOT_VARIABLE) or "/"))
    except UserError as error:
        for line in refusal_lines(error):
            say(line)
        return 1
    except Exception as error:  # noqa: BLE001 (a border: whatever it is, the last line must say so)
        log("crash", traceback=traceback.format_exc())
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        say(f"the evaluation itself failed ({reason}); this is not about your predictions")
        return 2
    log("finished", seconds=round(time.monotonic() - started_s, 3))
    return 0


if __name__ == "__main__":
    sys.exit(main())
