"""Seeds of every job, all descended from the study's one recorded entropy."""

from __future__ import annotations

import functools
import hashlib

from reseed.contracts.seeds import Seeds, SeedStream, VariationSource
from reseed.contracts.study import Study
from reseed.orchestration.seed_sequence import first_word

_STREAM_NUMBER = {stream: number for number, stream in enumerate(SeedStream)}
_SOURCE = {stream: VariationSource(stream.value) for stream in SeedStream}
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
    levels, varied, words = study.levels_of(run), study.varied, _words(method)
    seeds = {}
    for stream, number in _STREAM_NUMBER.items():
        of_member = 0 if stream is SeedStream.SPLIT else member
        source = _SOURCE[stream]
        key: tuple[int, ...]
        if source in levels:
            key = (_DESIGNED, number, *words, levels[source], of_member)
        elif source in varied:
            key = (_VARIED, number, *words, run, of_member)
        else:
            key = (_HELD, number, of_member)
        seeds[stream.value] = first_word(study.entropy, key)
    return Seeds(**seeds)


@functools.lru_cache(maxsize=4096)
def _words(name: str) -> tuple[int, ...]:
    """A name as four 32-bit words."""
    digest = hashlib.sha256(name.encode()).digest()
    return tuple(int.from_bytes(digest[start : start + 4], "big") for start in range(0, 16, 4))
