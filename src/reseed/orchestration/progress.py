"""What a person sees while a study runs: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping
from statistics import median

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from reseed.contracts.job import Job, JobKind, JobRecord, JobState
from reseed.orchestration.durations import duration_text
from reseed.orchestration.plan import Plan

_PLAIN_INTERVAL_S = 10.0
_BAR_INTERVAL_S = 0.25
_N_DURATIONS = 200


class StudyProgress:
    """
    Listens to a runner and tells a console: jobs done, running, and the time left.

    The time left is the work left at the median duration of the latest jobs of each kind, over
    the jobs that run side by side: as many as run now, where a cluster decides how many that are.
    """

    def __init__(self, console: Console, *, n_side_by_side: int | None) -> None:
        self._console = console
        self._n_side_by_side = n_side_by_side
        self._total: Counter[JobKind] = Counter()
        self._done: Counter[JobKind] = Counter()
        self._running: dict[str, JobKind] = {}
        self._durations_s: dict[JobKind, deque[float]] = {
            kind: deque(maxlen=_N_DURATIONS) for kind in JobKind
        }
        self._started_at = self._told_at = time.monotonic()
        self._drawn_at = -_BAR_INTERVAL_S
        self._told = ""
        self._bars = _bars(console) if console.is_terminal else None
        self._bar: TaskID | None = None

    def begun(self, plan: Plan, records: Mapping[str, JobRecord]) -> None:
        """Count what is to do and what earlier commands have done."""
        self._total = Counter(job.kind for job in plan.jobs)
        done = [job for job in plan.jobs if records[job.key].state is JobState.SUCCEEDED]
        self._done = Counter(job.kind for job in done)
        for job in done:
            self._note_duration(job, records[job.key])
        if self._bars is not None:
            self._bar = self._bars.add_task("", total=len(plan.jobs), completed=len(done), left="")
            self._bars.start()
        kept = f"; {len(done)} kept from before" if done else ""
        how = "on the cluster" if self._n_side_by_side is None else f"{self._n_side_by_side} side by side"
        self._say(f"{len(plan.jobs)} jobs, {how}{kept}")

    def started(self, job: Job, *, adopted: bool) -> None:
        """A job runs."""
        self._running[job.key] = job.kind
        if adopted:
            self._say(f"{job.name}: still running from before, taken over")

    def ended(self, job: Job, record: JobRecord, log_tail: str) -> None:
        """Count a success; show why a job has none, with its log's last lines."""
        self._running.pop(job.key, None)
        attempt = record.last
        if record.state is JobState.SUCCEEDED:
            self._done[job.kind] += 1
            self._note_duration(job, record)
            if self._bars is not None and self._bar is not None:
                self._bars.advance(self._bar)
            return
        reason = attempt.reason if attempt else None
        if record.state is JobState.FAILED:
            self._say(f"{job.name}: failed: {reason}", style="red")
            for line in log_tail.splitlines():
                self._say(f"    {line}", style="dim")
        elif record.state is JobState.CANCELLED:
            self._say(f"{job.name}: cancelled")
        else:
            self._say(f"{job.name}: {reason}; goes back to the queue")

    def notice(self, line: str) -> None:
        """Say it."""
        self._say(line, style="yellow")

    def tick(self) -> None:
        """Refresh the bar, or say a line now and then when it is another one."""
        if self._bars is not None and self._bar is not None:
            if time.monotonic() - self._drawn_at < _BAR_INTERVAL_S:
                return
            self._drawn_at = time.monotonic()
            self._bars.update(self._bar, description=self._at_work(), left=self._time_left())
        elif time.monotonic() - self._told_at > _PLAIN_INTERVAL_S:
            self._told_at = time.monotonic()
            line = f"{self._counts()}   {self._time_left()}"
            if line != self._told:
                self._told = line
                self._say(line)

    def close(self) -> None:
        """Stop drawing, and say what was done."""
        if self._bars is not None:
            self._bars.stop()
        elapsed = duration_text(time.monotonic() - self._started_at)
        self._say(f"{self._counts()}   {elapsed}")

    def _say(self, line: str, *, style: str | None = None) -> None:
        """Print a line as it is: no markup, no colours of numbers, no breaks."""
        self._console.print(line, style=style, highlight=False, markup=False, soft_wrap=True)

    def _counts(self) -> str:
        parts = [
            f"{kind.value} {self._done[kind]}/{self._total[kind]}" for kind in JobKind if self._total[kind]
        ]
        running = f"   {len(self._running)} running" if self._running else ""
        return "   ".join(parts) + running

    def _at_work(self) -> str:
        """The counts of the kinds of job that run now: what fits beside a bar."""
        kinds = [kind for kind in JobKind if kind in self._running.values()]
        return "   ".join(f"{kind.value} {self._done[kind]}/{self._total[kind]}" for kind in kinds)

    def _time_left(self) -> str:
        left_s = 0.0
        for kind in JobKind:
            n_left = self._total[kind] - self._done[kind]
            if n_left and not self._durations_s[kind]:
                if kind in (JobKind.PREPROCESS, JobKind.TRAIN):
                    return "time left: not known yet"
                continue
            left_s += n_left * median(self._durations_s[kind]) if n_left else 0.0
        return f"about {duration_text(left_s / (self._n_side_by_side or max(len(self._running), 1)))} left"

    def _note_duration(self, job: Job, record: JobRecord) -> None:
        attempt = record.last
        if attempt is not None and attempt.ended is not None:
            self._durations_s[job.kind].append((attempt.ended - attempt.started).total_seconds())


def _bars(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.fields[left]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
