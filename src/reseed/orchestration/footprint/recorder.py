"""Listens to a runner and writes down what every job used, before anyone shows the result."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import psutil

from reseed.contracts.errors import InfrastructureError, UserError
from reseed.contracts.footprint import AttemptUse, Grounds, JobUse, Measuring, Use
from reseed.contracts.job import Attempt, Job, JobRecord
from reseed.documents.reading import read_json
from reseed.orchestration.executors.executor import Programs
from reseed.orchestration.footprint.ledger import Account, Ledger
from reseed.orchestration.footprint.meter import EnergyMeter
from reseed.orchestration.footprint.rates import Site
from reseed.orchestration.outcome import Listener
from reseed.orchestration.plan import Plan
from reseed.orchestration.state import job_record
from reseed.orchestration.study_folder import AttemptFolder, JobFolder, StudyFolder

INTERVAL_S = 5.0
"""Between readings while nothing starts or ends."""


@runtime_checkable
class LocalPrograms(Protocol):
    """An executor whose programs run on this machine, and whose CPU time can be seen."""

    def cpu_seconds(self, attempt: Attempt, folder: AttemptFolder) -> float | None:
        """CPU time of an attempt so far, or in all once it has ended; None where nobody saw it."""


@dataclass
class _Running:
    job: Job
    attempt: Attempt
    is_local: bool


@dataclass
class FootprintRecorder:
    """
    Writes jobs/<key>/footprint.json, and passes everything on.

    Parameters
    ----------
    study
        Whose jobs they are.
    executor_for
        The executor of a job.
    site
        By whose rated powers energy is reckoned where it cannot be measured.
    gpu
        The model of this machine's GPUs; None without.
    listener
        Told after the job's use is on disk.
    """

    study: StudyFolder
    executor_for: Callable[[Job], Programs]
    site: Site
    gpu: str | None
    listener: Listener
    _meter: EnergyMeter | None = None
    _ledger: Ledger = field(default_factory=Ledger)
    _running: dict[str, _Running] = field(default_factory=dict)
    _booked_at: float = 0.0
    _machine_cpu_s: float = 0.0

    def catch_up(self, plan: Plan) -> None:
        """Write down what jobs used, by their times, that a cluster did while nobody listened."""
        for job in plan.jobs:
            folder, record = self.study.job(job.key), job_record(self.study, job)
            if record.last is not None and not folder.footprint.is_file():
                for attempt in record.attempts:
                    if attempt.ended is not None:
                        _write(folder, self._attempt_use(job, attempt, None))

    def begun(self, plan: Plan, records: Mapping[str, JobRecord]) -> None:
        """Pass on."""
        self.listener.begun(plan, records)

    def started(self, job: Job, *, adopted: bool) -> None:
        """Open an account; of an adopted job from here on."""
        if self._meter is None:
            self._meter = EnergyMeter()
            self._booked_at, self._machine_cpu_s = time.monotonic(), _machine_cpu_s()
        self._book()
        attempt = job_record(self.study, job).last
        if attempt is not None:
            executor = self.executor_for(job)
            running = _Running(job, attempt, isinstance(executor, LocalPrograms))
            self._running[job.key] = running
            if running.is_local:
                account = Account(job.resources.cpus, _gpus(attempt))
                account.cpu_s = self._cpu_s(running) if adopted else 0.0
                self._ledger.accounts[job.key] = account
        self.listener.started(job, adopted=adopted)

    def ended(self, job: Job, record: JobRecord, log_tail: str) -> None:
        """Close the account, write it down, and pass on."""
        self._book()
        running, attempt = self._running.pop(job.key, None), record.last
        account = self._ledger.accounts.pop(job.key, None)
        if attempt is not None and attempt.ended is not None:
            found = self._attempt_use(job, attempt, account if running else None)
            _write(self.study.job(job.key), found)
        self.listener.ended(job, record, log_tail)

    def notice(self, line: str) -> None:
        """Pass on."""
        self.listener.notice(line)

    def tick(self) -> None:
        """Book now and then, and pass on."""
        if self._running and time.monotonic() - self._booked_at > INTERVAL_S:
            self._book()
        self.listener.tick()

    def close(self) -> Measuring | None:
        """Stop measuring; how it was done, None where nothing was measured."""
        if self._meter is None:
            return None
        found = self._meter.measuring()
        self._meter.stop()
        return found

    def _book(self) -> None:
        now, machine = time.monotonic(), _machine_cpu_s()
        self._ledger.book(
            seconds=now - self._booked_at,
            cpu_s={key: self._cpu_s(running) for key, running in self._running.items() if running.is_local},
            machine_cpu_s=machine - self._machine_cpu_s,
            energy=self._meter.read() if self._meter is not None else None,
        )
        self._booked_at, self._machine_cpu_s = now, machine

    def _cpu_s(self, running: _Running) -> float | None:
        executor = self.executor_for(running.job)
        folder = self.study.job(running.job.key).attempt(running.attempt.number)
        if not isinstance(executor, LocalPrograms):
            return None
        try:
            return executor.cpu_seconds(running.attempt, folder)
        except InfrastructureError:
            return None  # the runner has its own patience with an engine that does not answer

    def _attempt_use(self, job: Job, attempt: Attempt, account: Account | None) -> AttemptUse:
        gpu = self.gpu if job.resources.gpus and _gpus(attempt) else None
        wall_s = (attempt.ended - attempt.started).total_seconds() if attempt.ended else 0.0
        if account is not None:
            # from its start to its end, also what an earlier orchestrator had of it
            account.gpu_s *= wall_s / account.wall_s if account.wall_s > 0 else 1.0
            account.wall_s = wall_s
            use, grounds = account.use()
            if grounds is not Grounds.MODELLED:
                return AttemptUse(number=attempt.number, grounds=grounds, gpu=gpu, use=use)
        return AttemptUse(
            number=attempt.number,
            grounds=Grounds.MODELLED,
            gpu=gpu,
            use=self._modelled(job, attempt, account, wall_s),
        )

    def _modelled(self, job: Job, attempt: Attempt, account: Account | None, wall_s: float) -> Use:
        use = self.site.modelled(
            wall_hours=wall_s / 3600, n_cpus=job.resources.cpus, n_gpus=len(_gpus(attempt)), gpu=self.gpu
        )
        busy = None if account is None or account.cpu_s is None else account.cpu_s / 3600
        return use.model_copy(update={"cpu_busy_hours": busy})


def job_use(folder: JobFolder) -> JobUse | None:
    """
    What is written down of a job; None when nothing readable is.

    A footprint is not worth a study: what cannot be read counts as not recorded.
    """
    try:
        return read_json(folder.footprint, JobUse) if folder.footprint.is_file() else None
    except UserError:
        return None


def _write(folder: JobFolder, found: AttemptUse) -> None:
    earlier = job_use(folder) or JobUse()
    others = tuple(attempt for attempt in earlier.attempts if attempt.number != found.number)
    document = JobUse(attempts=(*others, found)).model_dump(mode="json")
    # whole or not at all, but not forced to disk: what a power cut takes of it is an estimate's worth
    temporary = folder.footprint.with_name(f".{folder.footprint.name}.tmp")
    temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    temporary.replace(folder.footprint)


def _gpus(attempt: Attempt) -> tuple[int, ...]:
    return tuple(int(gpu) for gpu in str(attempt.handle.get("gpus", "")).split(",") if gpu)


def _machine_cpu_s() -> float:
    """CPU time of all programs of this machine, at work and not waiting."""
    times = psutil.cpu_times()
    return float(sum(times[:3]) + getattr(times, "irq", 0.0) + getattr(times, "softirq", 0.0))
