"""The worker's loop: claim a job, keep it by heartbeat, do it, end it; reap; stop when asked."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from reseed.contracts.errors import EngineSilent, InfrastructureError, UserError
from reseed.service.database.jobs import (
    Lease,
    LeaseLost,
    claim,
    give_up,
    heartbeat,
    held_job,
    put_back,
    release,
)
from reseed.service.database.overdue import fail_subject, reap
from reseed.service.database.transitions import StateChanged
from reseed.service.images.keeping import remove_refused
from reseed.service.operations.retention import keep_house
from reseed.service.uploads.retention import expire_uploads
from reseed.service.worker.handlers import HANDLERS
from reseed.service.worker.leftovers import remove_leftovers
from reseed.service.worker.orphans import end_orphans
from reseed.service.worker.worker import Worker, WorkerStops

_ENGINE_REST = timedelta(seconds=15)
_IDLE_S = 1.0
_FILES_EVERY_S = 60.0
_HOUSE_EVERY_S = 3600.0
_BACKOFF_S = 5.0
_FURTHER = 4.0
_log = logging.getLogger(__name__)


def run_worker(worker: Worker, *, kinds: Collection[str] | None = None, until_idle: bool = False) -> None:
    """
    Take jobs until the worker is told to stop.

    Parameters
    ----------
    worker
        This process.
    kinds
        Only jobs of these; None for all that it knows.
    until_idle
        Return when no job is due, as tests and one-off commands do.
    """
    known = [kind for kind in HANDLERS if kinds is None or kind in kinds]
    _log.info("worker started", extra={"owner": worker.owner, "kinds": known})
    next_tidying = next_cleaning = next_house = 0.0
    while not worker.stop.is_set():
        try:
            if time.monotonic() >= next_tidying:
                next_tidying = time.monotonic() + worker.settings.lease_s / 3
                tidy(worker)
            if time.monotonic() >= next_cleaning:
                next_cleaning = time.monotonic() + _FILES_EVERY_S
                expire_uploads(worker.database, worker.folders)
                remove_refused(worker.database, worker.folders)
                remove_leftovers(worker.database, worker.folders)
            if time.monotonic() >= next_house:
                next_house = time.monotonic() + _HOUSE_EVERY_S
                days = worker.settings.retention_days
                keep_house(worker.database, worker.folders, retention_days=days)
            lease = claim(worker.database, worker.owner, lease_for=worker.lease_for, kinds=known)
            if lease is not None:
                work(worker, lease)
                continue
        except (SQLAlchemyError, InfrastructureError) as error:
            # the job, if there was one, is taken back when its lease runs out
            _log.exception("cannot go on for now", extra={"error": str(error)})
        if until_idle:
            break
        worker.stop.wait(_IDLE_S)
    _log.info("worker stopped", extra={"owner": worker.owner})


def tidy(worker: Worker) -> None:
    """Reap what is overdue, and end containers that nobody will ask for again."""
    reap(worker.database)
    end_orphans(worker.database, worker.folders, worker.programs)


def work(worker: Worker, lease: Lease) -> None:
    """Do one claimed job, and end it in every case in which it is still this worker's."""
    what = {"job": str(lease.job_pk), "kind": lease.kind, "attempt": lease.attempt}
    _log.info("job begun", extra=what)
    started = time.monotonic()
    worker.lost.clear()
    with _heartbeat(worker, lease):
        try:
            outcome = _outcome(worker, lease)
        except (LeaseLost, StateChanged) as error:
            outcome = f"lost: {error}"
    _log.info(
        "job ended", extra={**what, "outcome": outcome, "seconds": round(time.monotonic() - started, 3)}
    )
    if outcome.startswith("lost"):
        tidy(worker)


def _outcome(worker: Worker, lease: Lease) -> str:
    """Do a job and say what became of it."""
    try:
        HANDLERS[lease.kind](worker, lease)
    except (LeaseLost, StateChanged):
        raise
    except WorkerStops:
        _write(worker, lambda session: release(session, lease, reason="its worker was stopped"))
        return "released"
    except EngineSilent as error:
        # says nothing of the job, which waits for the engine until its deadline
        reason = str(error)
        _write(worker, lambda session: release(session, lease, reason=reason, after=_ENGINE_REST))
        return f"released: {reason}"
    except UserError as error:
        reason = str(error)
        _write(worker, lambda session: _fail(session, lease, reason, is_refusal=True))
        return f"failed: {reason}"
    except Exception as error:  # noqa: BLE001  (a border: whatever it is, the job must end)
        _log.exception("job failed", extra={"job": str(lease.job_pk), "error": str(error)})
        reason = f"{type(error).__name__}: {error}"
        return "put back" if _tried_again(worker, lease, reason) else "failed: not tried again"
    return "done"


def _write(worker: Worker, change: Callable[[Session], None]) -> None:
    with worker.database.write() as session:
        change(session)


def _fail(session: Session, lease: Lease, reason: str, *, is_refusal: bool) -> None:
    job = held_job(session, lease)
    give_up(session, lease, reason=reason)
    fail_subject(session, job, reason, is_refusal=is_refusal)


def _tried_again(worker: Worker, lease: Lease, reason: str) -> bool:
    """Put a job back that failed by the service's fault, or end it when that was the last time."""
    wait = timedelta(seconds=_BACKOFF_S * _FURTHER**lease.n_failed)
    with worker.database.write() as session:
        job = held_job(session, lease)
        if put_back(session, lease, reason=reason, after=wait):
            return True
        # paths and hosts are the operators' business
        shown = f"the service could not do this ({lease.kind}); its operators find out why by job {job.pk}"
        fail_subject(session, job, shown)
        return False


@contextmanager
def _heartbeat(worker: Worker, lease: Lease) -> Iterator[None]:
    """Keep a job while its handler works; `worker.lost` is set when it is gone."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(worker.settings.lease_s / 3):
            try:
                heartbeat(worker.database, lease, lease_for=worker.lease_for)
            except LeaseLost:
                worker.lost.set()
                return
            except SQLAlchemyError as error:
                _log.warning("no heartbeat", extra={"job": str(lease.job_pk), "error": str(error)})

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def stopped_by_signals(worker: Worker) -> Iterator[None]:
    """SIGTERM and SIGINT ask the worker to stop; the second one interrupts it at once."""

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if worker.stop.is_set():
            raise KeyboardInterrupt
        worker.stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
