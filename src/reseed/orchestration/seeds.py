"""Seeds of every job, all descended from the study's one recorded entropy."""

from __future__ import annotations

import hashlib

import numpy as np

from reseed.contracts.seeds import Seeds, SeedStream, VariationSource
from reseed.contracts.study import Study

_STREAM_NUMBER = {stream: number for number, stream in enumerate(SeedStream)}
_VARIED, _HELD, _DESIGNED = 0, 1, 2


def job_seeds(study: Study, *, method: str, run: int, member: int) -> Seeds:
    """
    The seeds of one ensemble member of one run, by stream.

    A stream that the study varies depends on method, run and member; one that is held depends on
    the member alone, so that it is the same in every run of every method. The cross-validation
    split is one per run: its members share it. In a designed study a stream of the design depends on
    method, level and member: runs of one level share its seeds. Seeds depend on names and numbers, not on how
    many there are: a study that grows keeps the runs it has.

    Source: numpy.random.SeedSequence, spawn keys.
    """
    keys = {stream: _spawn_key(study, stream, method=method, run=run, member=member) for stream in SeedStream}
    return Seeds(**{stream.value: _seed(study.entropy, key) for stream, key in keys.items()})


def _spawn_key(study: Study, stream: SeedStream, *, method: str, run: int, member: int) -> tuple[int, ...]:
    of_member = 0 if stream is SeedStream.SPLIT else member
    level = study.levels_of(run).get(VariationSource(stream.value))
    if level is not None:
        return (_DESIGNED, _STREAM_NUMBER[stream], *_words(method), level, of_member)
    if not study.varies(stream):
        return (_HELD, _STREAM_NUMBER[stream], of_member)
    return (_VARIED, _STREAM_NUMBER[stream], *_words(method), run, of_member)


def _words(name: str) -> tuple[int, ...]:
    """A name as four 32-bit words."""
    digest = hashlib.sha256(name.encode()).digest()
    return tuple(int.from_bytes(digest[start : start + 4], "big") for start in range(0, 16, 4))


def _seed(entropy: int, spawn_key: tuple[int, ...]) -> int:
    return int(np.random.SeedSequence(entropy, spawn_key=spawn_key).generate_state(1, np.uint32)[0])
