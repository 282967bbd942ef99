"""At most one process of a cluster has a job, whatever dies, hangs or comes back."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

from reseed.orchestration.slurm.claim import Claim, Claims, Holder


def _elsewhere(task: str = "1_0") -> Holder:
    """A holder on another node."""
    return Holder.here(task).model_copy(update={"node": "another-node"})


def _taken(claims: Claims, holder: Holder) -> Claim:
    after = claims.free_after()
    assert after is not None
    claim = claims.take(holder, after=after)
    assert claim is not None
    return claim


def test_a_free_job_is_claimed_and_let_go(tmp_path: Path):
    """Nobody else can have it meanwhile; the next gets the next number at once."""
    claims = Claims(tmp_path / "claims")
    first = _taken(claims, Holder.here("1_0"))

    assert Claims(claims.folder).free_after() is None

    first.release()
    assert _taken(Claims(claims.folder), Holder.here("2_0")).number == 2


def test_of_many_at_once_one_gets_it(tmp_path: Path):
    """Thirty threads want the same number."""
    start, won = threading.Barrier(30), []

    def want(number: int) -> None:
        claims = Claims(tmp_path / "claims")
        start.wait()
        claim = claims.take(Holder.here(f"{number}_0"), after=0)
        if claim is not None:
            won.append(number)

    threads = [threading.Thread(target=want, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(won) == 1


def test_who_saw_a_job_free_too_long_ago_does_not_get_it(tmp_path: Path):
    """Between looking and taking somebody else has taken it: the number is gone."""
    slow, quick = Claims(tmp_path / "claims"), Claims(tmp_path / "claims")
    seen = slow.free_after()
    assert seen == 0
    _taken(quick, _elsewhere())

    assert slow.take(Holder.here("2_0"), after=seen) is None


def test_a_dead_process_of_this_node_has_nothing(tmp_path: Path):
    """No lease is waited for where the process table tells."""
    program = (
        "import sys; from pathlib import Path; from reseed.orchestration.slurm.claim import *;"
        "Claims(Path(sys.argv[1])).take(Holder.here('1_0'), after=0); sys.stdout.write('taken\\n');"
        "sys.stdout.flush(); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "claims")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert other.stdout is not None
    assert other.stdin is not None
    assert other.stdout.readline() == b"taken\n"
    claims = Claims(tmp_path / "claims")
    assert claims.free_after() is None

    other.kill()
    other.communicate()

    assert claims.free_after() == 1


def test_a_silent_holder_elsewhere_loses_its_job_after_the_lease(tmp_path: Path):
    """Its silence is told by the watcher's own clock, from looks that follow each other."""
    claims = Claims(tmp_path / "claims", lease_s=0.6)
    _taken(claims, _elsewhere())
    began = time.monotonic()
    while (free := claims.free_after()) is None:
        time.sleep(0.05)

    assert free == 1
    assert time.monotonic() - began >= 0.6


def test_a_holder_that_is_heard_of_keeps_its_job(tmp_path: Path):
    """A beat starts the count again, and so does a gap in the looking."""
    claims = Claims(tmp_path / "claims", lease_s=0.5)
    claim = _taken(Claims(tmp_path / "claims"), _elsewhere())
    for beat in range(8):
        os.utime(claim.claims.path(1), ns=(beat, beat))
        assert claims.free_after() is None
        time.sleep(0.1)

    late = Claims(tmp_path / "claims", lease_s=0.2)
    assert late.free_after() is None
    late._looked_at -= 100.0  # the file system hung between two looks
    late._silent_since -= 100.0
    assert late.free_after() is None


def test_silence_once_told_outlasts_a_gap_in_the_looking(tmp_path: Path):
    """Slurm may take its time to answer between telling and taking; a sign of the holder does end it."""
    claim = _taken(Claims(tmp_path / "claims"), _elsewhere())
    claims = Claims(tmp_path / "claims", lease_s=0.2)
    while claims.free_after() is None:
        time.sleep(0.05)
    claims._looked_at -= 100.0
    claims._silent_since -= 100.0
    assert claims.free_after() == 1
    assert not claims.is_heard

    os.utime(claim.claims.path(1), ns=(1, 1))

    assert claims.free_after() is None
    assert claims.is_heard


def test_who_has_lost_a_job_is_told(tmp_path: Path):
    """A holder that was silent too long, and comes back, learns that the job is another's."""
    told = threading.Event()
    lost = _taken(Claims(tmp_path / "claims"), _elsewhere())
    other = Claims(tmp_path / "claims", lease_s=0.2)
    while (after := other.free_after()) is None:
        time.sleep(0.05)
    other.take(Holder.here("2_0"), after=after)

    lost.keep(told.set, beat_s=0.05)

    assert told.wait(60)
    assert lost.is_lost
    lost.release()  # and does not touch the other's claim
    assert other.holder() is not None


def test_numbers_start_after_other_executors_attempts(tmp_path: Path):
    """A job that was tried as a process before has attempt 3 next, not 1."""
    claims = Claims(tmp_path / "claims")

    claim = claims.take(Holder.here("1_0"), after=0, at_least=3)

    assert claim is not None
    assert claim.number == 3


def test_a_pid_that_was_given_to_another_process_is_not_the_holder():
    """The process table is asked for the time of creation too."""
    here = Holder.here("1_0")

    assert here.process() is not None
    assert here.model_copy(update={"created": psutil.Process().create_time() - 5}).process() is None
    assert here.model_copy(update={"boot": "an earlier one"}).process() is None
