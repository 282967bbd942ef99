"""
Speed of the metrics beside picai_eval and surface-distance, side by side in one run.

    python benchmarks/metrics.py              all rows
    python benchmarks/metrics.py --quick      few repeats and few cases
    python benchmarks/metrics.py --json FILE  also as JSON

Ours and theirs take turns on the same arrays, so that a busy machine slows both; medians are compared. Both
compute the same numbers, which is checked. The last row evaluates many cases in a pool of processes that
make their cases themselves, as a container reads them, and adds up what the processes held at most.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from reseed.metrics.detection_matching import case_detection
from reseed.metrics.segmentation_surface import (
    hausdorff_distance_95,
    mean_average_surface_distance,
    normalised_surface_distance,
    surface_distances,
)

SEED = 20230711
LESION_SHAPE = (24, 384, 384)
ORGAN_SHAPE, ORGAN_SPACING_MM = (64, 256, 256), (2.5, 1.0, 1.0)
TOLERANCE_MM = 2.0
LESION_FACTOR, SURFACE_FACTOR, POOL_LIMIT_S = 20.0, 5.0, 10.0
N_WORKERS = 2

Mask = NDArray[np.bool_]

# centre and radii in voxels (z, y, x): two lesions; a hit, a poor hit and a false positive
LESIONS = [((10, 180, 170), (3, 14, 12)), ((14, 220, 210), (2, 10, 10))]
CANDIDATES = [
    ((10, 182, 172), (3, 12, 12), 0.8),
    ((15, 223, 214), (2, 9, 12), 0.4),
    ((8, 150, 230), (2, 9, 9), 0.2),
]

# the reference organ, and what may become of it: centre in voxels, radii and roughness in mm
ORGAN = ((32, 128, 128), (60, 85, 70), 2.0)
PREDICTIONS = {
    "nearly the same": ((32, 128, 128), (60.5, 85, 70.5), 2.0),
    "moderately different": ((32, 129, 127), (61, 83, 72), 2.0),
    "badly different": ((32, 131, 125), (58, 83, 73), 3.0),
    "very badly different": ((33, 135, 123), (55, 82, 76), 4.0),
    "half of it missing": ((35, 150, 110), (45, 70, 60), 4.0),
    "elsewhere": ((10, 40, 40), (15, 25, 25), 1.0),
}


def lesion_case(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A PI-CAI-size case: two lesions, three candidates, moved a little from case to case."""
    lesions, detection_map = np.zeros(LESION_SHAPE, np.uint8), np.zeros(LESION_SHAPE, np.float32)
    moved = rng.integers(-8, 9, size=3) * np.array([0, 1, 1])
    for centre, radii in LESIONS:
        _fill(lesions, centre + moved, radii, 1)
    for centre, radii, confidence in CANDIDATES:
        _fill(detection_map, centre + moved, radii, confidence)
    return lesions, detection_map


def _fill(volume: NDArray[Any], centre: Any, radii: tuple[int, ...], value: float) -> None:
    box = tuple(slice(int(c - r), int(c + r) + 1) for c, r in zip(centre, radii, strict=True))
    axes = np.meshgrid(*[np.linspace(-1, 1, 2 * r + 1) for r in radii], indexing="ij", sparse=True)
    volume[box][sum(axis**2 for axis in axes) <= 1] = value


def organ(centre: tuple[float, ...], radii_mm: tuple[float, ...], rough_mm: float, seed: int) -> Mask:
    """An ellipsoid whose surface is uneven."""
    axes = [
        (np.arange(n) - middle) * step
        for n, middle, step in zip(ORGAN_SHAPE, centre, ORGAN_SPACING_MM, strict=True)
    ]
    grid = np.meshgrid(*axes, indexing="ij", sparse=True)
    radius = np.sqrt(sum((axis / reach) ** 2 for axis, reach in zip(grid, radii_mm, strict=True)))
    noise = np.random.default_rng(seed).normal(size=[n // 4 for n in ORGAN_SHAPE])
    noise = ndimage.zoom(ndimage.gaussian_filter(noise, 2.0), 4, order=1)
    inside: Mask = (radius - 1) * min(radii_mm) + noise / noise.std() * rough_mm <= 0
    return inside


def by_picai_eval(lesions: NDArray[Any], detection_map: NDArray[Any]) -> list[Any]:
    """Lesion results of one case by picai_eval."""
    with contextlib.redirect_stdout(None):  # it greets
        from picai_eval.eval import evaluate_case  # noqa: PLC0415  (its memory is not that of the pool)

    found = evaluate_case(y_det=detection_map, y_true=lesions)[0]
    return sorted((int(is_lesion), float(score), float(overlap)) for is_lesion, score, overlap in found)


def by_reseed(lesions: NDArray[Any], detection_map: NDArray[Any]) -> list[Any]:
    """Lesion results of one case, listed as picai_eval does."""
    found = case_detection(lesions, detection_map).lesions
    return sorted((int(each.is_lesion), each.confidence or 0.0, each.overlap) for each in found)


def surface_by_surface_distance(reference: Mask, prediction: Mask) -> list[float]:
    """HD95, surface Dice and mean average distance by surface-distance."""
    import surface_distance as peer  # noqa: PLC0415  (its memory is not that of the pool)

    found = peer.compute_surface_distances(reference, prediction, ORGAN_SPACING_MM)
    return [
        peer.compute_robust_hausdorff(found, 95),
        peer.compute_surface_dice_at_tolerance(found, TOLERANCE_MM),
        sum(peer.compute_average_surface_distance(found)) / 2,
    ]


def surface_by_reseed(reference: Mask, prediction: Mask) -> list[float]:
    """The same three."""
    found = surface_distances(reference, prediction, ORGAN_SPACING_MM)
    return [
        hausdorff_distance_95(found),
        normalised_surface_distance(found, TOLERANCE_MM),
        mean_average_surface_distance(found),
    ]


def side_by_side(
    ours: Callable[..., list[Any]], theirs: Callable[..., list[Any]], arrays: tuple[Any, Any], repeats: int
) -> dict[str, Any]:
    """Median seconds of both, taking turns, and what ours found."""
    own_s, peer_s = [], []
    own, peer = ours(*arrays), theirs(*arrays)  # once to warm up, and to compare
    np.testing.assert_allclose(own, peer, rtol=0, atol=1e-9)
    for _ in range(repeats):
        # ours is short: as many as fit beside one of theirs
        own_s += [_seconds(ours, arrays) for _ in range(5)]
        peer_s.append(_seconds(theirs, arrays))
    seconds, peer_seconds = _median(own_s), _median(peer_s)
    return {
        "seconds": seconds,
        "peer_seconds": peer_seconds,
        "factor": peer_seconds / seconds,
        "found": np.asarray(own).tolist(),
    }


def _median(numbers: Iterable[float]) -> float:
    # of numpy: the module statistics of the standard library is hidden by the benchmark of that name
    return float(np.median(list(numbers)))


def _seconds(call: Callable[..., object], arrays: tuple[Any, Any]) -> float:
    start = time.perf_counter()
    call(*arrays)
    return time.perf_counter() - start


def _evaluate_one(seed: int) -> tuple[int, float, int, int]:
    """Make and evaluate a case: lesion results, seconds, peak memory in KiB, and which process it was."""
    lesions, detection_map = lesion_case(np.random.default_rng(seed))
    start = time.perf_counter()
    n_results = len(case_detection(lesions, detection_map).lesions)
    seconds = time.perf_counter() - start
    return n_results, seconds, _peak_kib(), os.getpid()


def _peak_kib(_: int = 0) -> int:
    """The most memory this process held; Linux. What getrusage says starts from the parent's."""
    status = Path("/proc/self/status").read_text("utf-8")
    return int(status.split("VmHWM:")[1].split()[0])


def many_cases(n_cases: int) -> dict[str, Any]:
    """Cases in a pool of two processes: seconds in all, and memory beyond that of processes at rest."""
    with multiprocessing.get_context("spawn").Pool(N_WORKERS) as pool:
        resting_kib = max(pool.map(_peak_kib, range(4 * N_WORKERS), chunksize=1))
        start = time.perf_counter()
        found = list(pool.imap_unordered(_evaluate_one, range(n_cases), chunksize=1))
        seconds = time.perf_counter() - start
    peak_kib = {process: max(kib for _, _, kib, of in found if of == process) for *_, process in found}
    case_mib = np.prod(LESION_SHAPE) * 5 / 2**20  # a reference of 1 byte and a detection map of 4
    return {
        "seconds": seconds,
        "evaluation_ms": 1000 * _median(each for _, each, _, _ in found),
        "resting_mib": resting_kib / 1024,
        "peak_mib": max(peak_kib.values()) / 1024,
        "case_mib": float(case_mib),
        "cases_held": (max(peak_kib.values()) - resting_kib) / 1024 / float(case_mib),
    }


def print_pair(name: str, row: dict[str, Any], promised: float, peer: str) -> None:
    """One line: both medians, their ratio, and whether it is what was promised."""
    row["kept"] = row["factor"] >= promised
    verdict = "kept" if row["kept"] else "NOT KEPT"
    print(
        f"{name:34}{1000 * row['seconds']:>8.1f} ms{1000 * row['peer_seconds']:>9.1f} ms"
        f"{row['factor']:>7.1f}×   >= {promised:.0f} times: {verdict} ({peer})"
    )


def measured_pairs(repeats: int) -> dict[str, dict[str, Any]]:
    """Lesions by picai_eval, and every pair of organs by surface-distance, printed as they come."""
    rows: dict[str, dict[str, Any]] = {}
    print(f"{'':34}{'reseed':>11}{'peer':>12}{'factor':>8}   promise")
    arrays = lesion_case(np.random.default_rng(SEED))
    rows["lesions of one case"] = side_by_side(by_reseed, by_picai_eval, arrays, repeats)
    print_pair("lesions of one case", rows["lesions of one case"], LESION_FACTOR, "picai_eval")
    reference = organ(*ORGAN, SEED)
    for name, shape in PREDICTIONS.items():
        # the same seed: what differs little has the same uneven surface
        prediction = organ(*shape, SEED if name == "nearly the same" else SEED + 1)
        row = side_by_side(surface_by_reseed, surface_by_surface_distance, (reference, prediction), repeats)
        print_pair(
            f"surface, {name}", row, SURFACE_FACTOR, f"surface-distance; HD95 {row['found'][0]:.1f} mm"
        )
        rows[f"surface, {name}"] = row
    return rows


def main() -> int:
    """Run all rows; the exit status is 1 if a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--quick", action="store_true", help="2 repeats and 20 cases instead of 7 and 300")
    parser.add_argument("--repeats", type=int, metavar="N", help="turns of each pair")
    parser.add_argument("--cases", type=int, metavar="N", help="cases in the pool")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)  # surface-distance uses SciPy's old module names
    n_cases = arguments.cases or (20 if arguments.quick else 300)
    rows = measured_pairs(arguments.repeats or (2 if arguments.quick else 7))
    pool = many_cases(n_cases)
    # the two arrays of a case and room for what is made of them, not more with more cases
    pool["kept"] = pool["seconds"] < POOL_LIMIT_S and pool["cases_held"] < 3
    verdict = "kept" if pool["kept"] else "NOT KEPT"
    print(
        f"{f'{n_cases} cases, {N_WORKERS} processes':34}{pool['seconds']:>8.2f} s in all, "
        f"{pool['evaluation_ms']:.1f} ms each; < {POOL_LIMIT_S:.0f} s: {verdict}\n"
        f"{'':34}peak {pool['peak_mib']:.0f} MiB a process, {pool['resting_mib']:.0f} MiB at rest: "
        f"{pool['cases_held']:.1f} × the {pool['case_mib']:.0f} MiB of a case"
    )
    rows[f"{n_cases} cases"] = pool
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return 0 if all(row["kept"] for row in rows.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
