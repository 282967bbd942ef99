"""How often somebody may do something: exactly, in the database, or cheaply, in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from reseed.contracts.errors import UserError
from reseed.service.database.models import RateWindow


class TooOften(UserError):
    """Somebody does something more often than they may."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


def count_or_refuse(session: Session, key: str, *, limit: int, window_s: int, now_s: float) -> None:
    """
    Count one more of `key` in a window of time that all processes share.

    Raises
    ------
    TooOften
        When there were `limit` already; the transaction is undone then, and the refused one not counted.
    """
    started = int(now_s // window_s) * window_s
    session.execute(delete(RateWindow).where(RateWindow.key == key, RateWindow.started < started))
    # one statement, so that two who are first at once are counted as two
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    count = session.scalar(
        insert(RateWindow)
        .values(key=key, started=started, count=1)
        .on_conflict_do_update(
            index_elements=[RateWindow.key, RateWindow.started], set_={"count": RateWindow.count + 1}
        )
        .returning(RateWindow.count)
    )
    if count is None or count > limit:
        raise TooOften(
            f"at most {limit} in {window_s // 60} minutes", retry_after_s=int(started + window_s - now_s) + 1
        )


def is_exhausted(session: Session, key: str, *, limit: int, window_s: int, now_s: float) -> bool:
    """Whether there were `limit` of `key` in this window."""
    started = int(now_s // window_s) * window_s
    row = session.get(RateWindow, (key, started))
    return row is not None and row.count >= limit


class RequestRate:
    """
    A bucket for each key that refills steadily: one request costs no write to the database.

    Each process of the web server has its own, so that behind `n` of them a person has up to `n`
    times the limit.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, key: str) -> None:
        """
        Count a request.

        Raises
        ------
        TooOften
        """
        now = self._clock()
        with self._lock:
            if len(self._buckets) > 10_000:
                self._forget_full_ones(now)
            left = self._left(key, now)
            if left < 1:
                wait_s = (1 - left) * 60 / self._per_minute
                raise TooOften(f"at most {self._per_minute} requests a minute", retry_after_s=int(wait_s) + 1)
            self._buckets[key] = (left - 1, now)

    def _left(self, key: str, now: float) -> float:
        left, then = self._buckets.get(key, (float(self._per_minute), now))
        return min(float(self._per_minute), left + (now - then) * self._per_minute / 60)

    def _forget_full_ones(self, now: float) -> None:
        full = [key for key in self._buckets if self._left(key, now) >= self._per_minute]
        for key in full:
            del self._buckets[key]
