"""Seeds of every job, all descended from the study's one recorded entropy."""

from __future__ import annotations

import functools
import hashlib

import numpy as np

from reseed.contracts.seeds import Seeds, SeedStream, VariationSource
from reseed.contracts.study import Study
from reseed.orchestration.seed_sequence import first_word, first_words

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


def method_seeds(study: Study, *, method: str) -> list[list[Seeds]]:
    """`job_seeds` of every run and member of a method, all at a time: one list a run, one item a member."""
    runs = np.arange(study.n_runs(method), dtype=np.uint64)[:, np.newaxis]
    members = np.arange(study.members, dtype=np.uint64)
    levels, varied, words = [study.levels_of(run) for run in range(len(runs))], study.varied, _words(method)
    by_stream = {}
    for stream, number in _STREAM_NUMBER.items():
        of_member = members * np.uint64(0) if stream is SeedStream.SPLIT else members
        source = _SOURCE[stream]
        beginning: tuple[int, ...]
        if levels and source in levels[0]:
            level = np.array([each[source] for each in levels], dtype=np.uint64)[:, np.newaxis]
            beginning, last = (_DESIGNED, number, *words), (level, of_member)
        elif source in varied:
            beginning, last = (_VARIED, number, *words), (runs, of_member)
        else:
            beginning, last = (_HELD,), (runs * np.uint64(0) + np.uint64(number), of_member)
        by_stream[stream.value] = first_words(study.entropy, beginning, last).tolist()
    return [
        [
            Seeds(**{stream: seeds[run][member] for stream, seeds in by_stream.items()})
            for member in range(study.members)
        ]
        for run in range(len(runs))
    ]


@functools.lru_cache(maxsize=4096)
def _words(name: str) -> tuple[int, ...]:
    """A name as four 32-bit words."""
    digest = hashlib.sha256(name.encode()).digest()
    return tuple(int.from_bytes(digest[start : start + 4], "big") for start in range(0, 16, 4))
