"""
Running cells in parallel, in chunks that are kept as soon as they are finished.

A chunk's randomness depends on the study's seed, the cell and the chunk only, so that any number of workers,
and any interruption, gives the same result.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
import zlib
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reseed.contracts.errors import InvalidTable
from reseed.statistics.calibration.procedures import PROCEDURES
from reseed.statistics.calibration.retraining import SplitRuns
from reseed.statistics.metric import resolved_metric
from reseed.statistics.sample import observed_sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from reseed.statistics.calibration.designs import Cell

LEVELS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
CHUNK = 50
_CHUNKS_FILE = "chunks.jsonl"


@dataclass
class ProcedureCounts:
    """Of n p values, how many lay at or below each of `LEVELS`; of the intervals, how many covered."""

    n: int = 0
    rejected: list[int] = field(default_factory=lambda: [0] * len(LEVELS))
    n_intervals: int = 0
    covered: int = 0

    def add(self, other: ProcedureCounts) -> None:
        """Count another chunk's in."""
        self.n += other.n
        self.rejected = [mine + theirs for mine, theirs in zip(self.rejected, other.rejected, strict=True)]
        self.n_intervals += other.n_intervals
        self.covered += other.covered


@dataclass(frozen=True)
class CellResult:
    """A cell and what its procedures did; `n_undefined` simulated studies were refused."""

    cell: Cell
    counts: dict[str, ProcedureCounts]
    n_undefined: int


def run_study(
    cells: Sequence[Cell],
    *,
    seed: int = 0,
    n_workers: int = 1,
    folder: Path | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[CellResult]:
    """
    Run all cells, or go on where an earlier call stopped.

    Parameters
    ----------
    cells
        What to simulate.
    seed
        Of the whole study.
    n_workers
        Processes; 1 works in this one.
    folder
        Where finished chunks are kept; without one nothing is.
    progress
        Called with simulations done, simulations in all, and the cell just worked on.
    """
    wanted = [
        (cell, start, min(CHUNK, cell.n_simulations - start))
        for cell in cells
        for start in range(0, cell.n_simulations, CHUNK)
    ]
    finished = _kept_chunks(folder, seed)
    total = sum(size for _, _, size in wanted)
    tally = {
        cell.key: CellResult(cell, {name: ProcedureCounts() for name in cell.procedures}, 0) for cell in cells
    }
    todo = []
    done = 0
    for cell, start, size in wanted:
        kept = finished.get(_chunk_key(cell, start, size))
        if kept is None:
            todo.append((cell, start, size))
        else:
            done += size
            _count(tally, cell, kept)
    for cell, start, size, chunk in _chunks(todo, seed, n_workers):
        _keep(folder, seed, _chunk_key(cell, start, size), chunk)
        _count(tally, cell, chunk)
        done += size
        if progress is not None:
            progress(done, total, cell.key)
    return list(tally.values())


def _count(tally: dict[str, CellResult], cell: Cell, chunk: dict[str, Any]) -> None:
    old = tally[cell.key]
    for name, counts in chunk["counts"].items():
        old.counts[name].add(ProcedureCounts(**counts))
    tally[cell.key] = CellResult(cell, old.counts, old.n_undefined + chunk["n_undefined"])


def _chunks(
    todo: list[tuple[Cell, int, int]], seed: int, n_workers: int
) -> Iterator[tuple[Cell, int, int, dict[str, Any]]]:
    if n_workers <= 1:
        for cell, start, size in todo:
            yield cell, start, size, simulated_chunk(cell, start, size, seed)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_workers, mp_context=context, initializer=_end_with_parent) as pool:
        waiting = iter(todo)
        running: dict[Any, tuple[Cell, int, int]] = {}
        while True:
            for job in waiting:
                running[pool.submit(simulated_chunk, *job, seed)] = job
                if len(running) >= 3 * n_workers:
                    break
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield *running.pop(future), future.result()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever; it ends instead."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def simulated_chunk(cell: Cell, start: int, size: int, seed: int) -> dict[str, Any]:
    """Simulations start … start + size - 1 of a cell, as counts."""
    rng = np.random.default_rng([seed, zlib.crc32(cell.key.encode()), start])
    metric = resolved_metric(cell.metric)
    counts = {name: ProcedureCounts() for name in cell.procedures}
    n_undefined = 0
    for index in range(start, start + size):
        model = cell.model
        scores = model.draw_split(index) if isinstance(model, SplitRuns) else model.draw(cell.run_counts, rng)
        try:
            sample = observed_sample(scores, metric, estimator="jackknife", rng=rng)
        except InvalidTable:
            n_undefined += 1
            continue
        for name in cell.procedures:
            verdict = PROCEDURES[name][0](sample, rng)
            _add_verdict(counts[name], verdict.p_value, (verdict.low, verdict.high), cell.difference)
    return {"counts": {name: vars(count) for name, count in counts.items()}, "n_undefined": n_undefined}


def _add_verdict(counts: ProcedureCounts, p_value: float, limits: tuple[float, float], truth: float) -> None:
    counts.n += 1
    for i, level in enumerate(LEVELS):
        counts.rejected[i] += int(p_value <= level * (1 + 1e-9))
    if not np.isnan(limits).any():
        counts.n_intervals += 1
        counts.covered += int(limits[0] <= truth <= limits[1])


def _chunk_key(cell: Cell, start: int, size: int) -> str:
    """Names a chunk by all that decides its numbers, so that a changed design is simulated anew."""
    model = "" if isinstance(cell.model, SplitRuns) else repr(cell.model)
    digest = zlib.crc32(f"{model} {cell.procedures} {cell.run_counts}".encode())
    return f"{cell.key}#{digest:08x}#{start}+{size}"


def _kept_chunks(folder: Path | None, seed: int) -> dict[str, dict[str, Any]]:
    """Finished chunks by key; a line torn by an interruption is left out."""
    if folder is None or not (folder / _CHUNKS_FILE).is_file():
        return {}
    kept = {}
    for line in (folder / _CHUNKS_FILE).read_text("utf-8").splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if record["seed"] == seed:
            kept[record["key"]] = record["chunk"]
    return kept


def _keep(folder: Path | None, seed: int, key: str, chunk: dict[str, Any]) -> None:
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _CHUNKS_FILE
    torn = path.is_file() and path.stat().st_size > 0 and path.read_bytes()[-1:] != b"\n"
    with path.open("a", encoding="utf-8") as file:
        file.write(("\n" if torn else "") + json.dumps({"seed": seed, "key": key, "chunk": chunk}) + "\n")
