"""Rates: exact ones in the database, cheap ones in the process."""

from __future__ import annotations

import threading

import pytest

from reseed.service.database.engine import Database
from reseed.service.security.rates import RequestRate, TooOften, count_or_refuse, is_exhausted


def test_a_window_holds_its_limit_and_the_next_one_starts_anew(database: Database):
    """The refusal says when to come back."""

    def count(at_s: float) -> None:
        with database.write() as session:
            count_or_refuse(session, "ada", limit=2, window_s=60, now_s=at_s)

    count(120.0)
    count(121.0)
    with pytest.raises(TooOften) as refusal:
        count(150.0)
    assert refusal.value.retry_after_s == 31
    count(180.0)


def test_those_who_come_at_once_are_all_counted(database: Database):
    """Ten threads, each the first: nobody fails, and exactly the limit gets through."""
    refused: list[TooOften] = []

    def count() -> None:
        try:
            with database.write() as session:
                count_or_refuse(session, "ada", limit=6, window_s=60, now_s=120.0)
        except TooOften as error:
            refused.append(error)

    threads = [threading.Thread(target=count) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert len(refused) == 4
    with database.read() as session:
        assert is_exhausted(session, "ada", limit=6, window_s=60, now_s=130.0)
        assert not is_exhausted(session, "ada", limit=7, window_s=60, now_s=130.0)


def test_a_bucket_refills_steadily():
    """Of sixty a minute, one is there again after a second; another person has their own."""
    seconds = [0.0]
    rate = RequestRate(60, clock=lambda: seconds[0])
    for _ in range(60):
        rate.take("ada")
    with pytest.raises(TooOften):
        rate.take("ada")
    rate.take("grace")
    seconds[0] = 1.0
    rate.take("ada")
    with pytest.raises(TooOften):
        rate.take("ada")
