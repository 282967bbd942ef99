"""
Speed of the statistics beside the tools people use today.

    python benchmarks/statistics.py             all rows, peers timed on a part and scaled up
    python benchmarks/statistics.py --json FILE also as JSON

Every row runs in a process of its own, so that its peak memory is its own. Peers: picai_eval (permutation
test, bootstrap of the PI-CAI score) and loops over scikit-learn's roc_auc_score.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import reseed
from reseed.statistics.binding import bound_kernel
from reseed.statistics.calibration.models import LesionModel
from reseed.statistics.covariance import bootstrap_values
from reseed.statistics.metric import resolved_metric
from reseed.statistics.permutation import permutation_test
from reseed.statistics.table import checked_scores

SEED = 20230711
N_CASES, N_REPLICATES = 1000, 10_000
PEER_REPLICATES = 100


def permutation_of_runs() -> dict[str, Any]:
    """Exact permutation test of 10 against 10 runs, with its interval (184 756 relabellings)."""
    method, baseline = _run_scores()
    seconds = _best(
        lambda: permutation_test(np.array(method), np.array(baseline), statistic="mean_difference"), repeats=7
    )
    return {"seconds": seconds}


def permutation_by_picai_eval() -> dict[str, Any]:
    """The same test by picai_eval, 7 against 7 runs (3432 relabellings), scaled up to 184 756."""
    warnings.simplefilter("ignore")
    from picai_eval.statistical_helper import perform_permutation_test  # noqa: PLC0415  (its memory is not ours)

    method, baseline = _run_scores()
    seconds = _best(lambda: perform_permutation_test(baseline[:7], method[:7], method="exact"), repeats=1)
    return {"seconds": seconds * 184_756 / 3432, "scaled": "from 3432 relabellings"}


def bootstrap_of_picai_score() -> dict[str, Any]:
    """10 000 bootstrap replicates of the PI-CAI score of one run on 1000 cases."""
    kernel = bound_kernel(resolved_metric("picai_score"), _candidates())
    seconds = _best(lambda: bootstrap_values(kernel, N_REPLICATES, np.random.default_rng(SEED)), repeats=7)
    values = bootstrap_values(kernel, N_REPLICATES, np.random.default_rng(SEED))[:, 0]
    low, high = float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))
    return {"seconds": seconds, "result": f"{kernel.observed()[0]:.4f} ({low:.3f} to {high:.3f})"}


def bootstrap_by_picai_eval() -> dict[str, Any]:
    """The same by picai_eval, 100 replicates scaled up."""
    warnings.simplefilter("ignore")
    from picai_eval import Metrics  # noqa: PLC0415  (its memory is not ours)

    metrics = Metrics(_lesion_results())
    start = time.perf_counter()
    found = metrics.bootstrap_score_ci(n_bootstraps=PEER_REPLICATES, seed=SEED)
    seconds = time.perf_counter() - start
    limits: Any = found["score_95_ci"]
    return {
        "seconds": seconds * N_REPLICATES / PEER_REPLICATES,
        "scaled": f"from {PEER_REPLICATES} replicates, {1000 * seconds / PEER_REPLICATES:.1f} ms each",
        "result": f"{metrics.score:.4f} ({limits[0]:.3f} to {limits[1]:.3f})",
    }


def all_pairs_of_a_leaderboard() -> dict[str, Any]:
    """All 45 pairs of 10 methods with 10 runs each on 1000 cases, AUROC, population scope, from a table."""
    table = _leaderboard()
    seconds = _best(lambda: reseed.compare(table, metric="auroc"), repeats=7)
    return {"seconds": seconds, "result": f"{len(reseed.compare(table, metric='auroc').pairs)} pairs"}


def all_pairs_by_scikit_learn() -> dict[str, Any]:
    """The runs' AUROCs and their jackknife over cases by a roc_auc_score loop, from 200 calls of 100 100."""
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415  (its memory is not ours)

    table = _leaderboard()
    run = table[(table["method"] == "m0") & (table["run"] == "r0")]
    reference, score = run["reference"].to_numpy(), run["score"].to_numpy()

    def loop() -> None:
        for k in range(200):
            keep = np.arange(N_CASES) != k
            roc_auc_score(reference[keep], score[keep])

    return {"seconds": _best(loop, repeats=1) * 100 * (N_CASES + 1) / 200, "scaled": "from 200 calls"}


def bootstrap_of_auroc() -> dict[str, Any]:
    """10 000 bootstrap replicates of the AUROC of one run on 1000 cases."""
    metric = resolved_metric("auroc")
    table = _leaderboard()
    table = table[(table["method"] == "m0") & (table["run"] == "r0")]
    kernel = bound_kernel(metric, checked_scores(table, metric))
    return {
        "seconds": _best(
            lambda: bootstrap_values(kernel, N_REPLICATES, np.random.default_rng(SEED)), repeats=7
        )
    }


def bootstrap_by_scikit_learn() -> dict[str, Any]:
    """The same by a roc_auc_score loop, 200 replicates scaled up."""
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415  (its memory is not ours)

    table = _leaderboard()
    run = table[(table["method"] == "m0") & (table["run"] == "r0")]
    reference, score = run["reference"].to_numpy(), run["score"].to_numpy()
    rng = np.random.default_rng(SEED)

    def loop() -> None:
        for _ in range(200):
            drawn = rng.integers(0, N_CASES, N_CASES)
            roc_auc_score(reference[drawn], score[drawn])

    return {"seconds": _best(loop, repeats=1) * N_REPLICATES / 200, "scaled": "from 200 replicates"}


def _run_scores() -> tuple[list[float], list[float]]:

    rng = np.random.default_rng(SEED)
    return rng.normal(0.90, 0.01, 10).tolist(), rng.normal(0.895, 0.01, 10).tolist()


def _candidates() -> Any:

    model = LesionModel(300, N_CASES - 300, run=0.004, run_case=0.1)
    return model.draw([1], np.random.default_rng(SEED))


def _lesion_results() -> dict[str, list[tuple[int, float, float]]]:
    """The candidates as picai_eval takes them: (is lesion, confidence or 0 if missed, overlap)."""
    scores = _candidates()
    results: dict[str, list[tuple[int, float, float]]] = {f"c{k:04d}": [] for k in range(N_CASES)}
    rows = zip(scores.row_case[0], np.nan_to_num(scores.row_score[0]), scores.row_reference[0], strict=True)
    for case, score, reference in rows:
        results[f"c{case:04d}"].append((int(reference), float(score), 0.5 if reference else 0.0))
    return results


def _leaderboard() -> Any:

    rng = np.random.default_rng(SEED)
    reference = (np.arange(N_CASES) < 300).astype(int)
    case = rng.normal(size=N_CASES) + 1.5 * reference
    cases = [f"c{k}" for k in range(N_CASES)]
    frames = []
    for i in range(10):
        of_method = case + 0.3 * rng.normal(size=N_CASES)
        for j in range(10):
            score = of_method + 0.3 * rng.normal(size=N_CASES) + 0.05 * rng.normal() * reference
            frames.append(
                pd.DataFrame(
                    {"method": f"m{i}", "run": f"r{j}", "case": cases, "score": score, "reference": reference}
                )
            )
    return pd.concat(frames, ignore_index=True)


def _best(call: Callable[[], object], *, repeats: int) -> float:
    """Shortest of several timings, in seconds."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


# what, ours, peer, the peer's name, the seconds allowed, the factor asked for
ROWS: list[
    tuple[str, Callable[[], dict[str, Any]], Callable[[], dict[str, Any]], str, float | None, float | None]
] = [
    (
        "exact permutation, 10 v 10 runs",
        permutation_of_runs,
        permutation_by_picai_eval,
        "picai_eval",
        0.5,
        None,
    ),
    (
        "10 000 bootstraps, PI-CAI score, 1000 cases",
        bootstrap_of_picai_score,
        bootstrap_by_picai_eval,
        "picai_eval",
        None,
        200.0,
    ),
    (
        "all pairs, 10 methods × 10 runs × 1000 cases",
        all_pairs_of_a_leaderboard,
        all_pairs_by_scikit_learn,
        "scikit-learn loop",
        2.0,
        None,
    ),
    (
        "10 000 bootstraps, AUROC, 1000 cases",
        bootstrap_of_auroc,
        bootstrap_by_scikit_learn,
        "scikit-learn loop",
        None,
        None,
    ),
]


def _measured(row: Callable[[], dict[str, Any]], queue: Any) -> None:
    found = row()
    found["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    queue.put(found)


def measured(row: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """One row in a fresh process: seconds, peak memory, and what it found."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_measured, args=(row, queue))
    process.start()
    found: dict[str, Any] = queue.get(timeout=900)
    process.join()
    return found


def main() -> int:
    """Run all rows; the exit status is 1 if a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    kept, records = True, []
    print(f"{'':46}{'reseed':>10}{'peer':>12}{'factor':>9}{'peak':>10}   promise")
    for name, ours, theirs, peer, seconds, factor in ROWS:
        own, other = measured(ours), measured(theirs)
        ratio = other["seconds"] / own["seconds"]
        good = own["peak_mib"] < 1024 and (seconds is None or own["seconds"] < seconds)
        good = good and (factor is None or ratio >= factor)
        kept = kept and good
        limits = [f"< {seconds} s" if seconds else "", f">= {factor:.0f} times" if factor else "", "< 1 GiB"]
        promise = ", ".join(limit for limit in limits if limit) + (": kept" if good else ": NOT KEPT")
        print(
            f"{name:46}{own['seconds']:>8.3f} s{other['seconds']:>10.1f} s{ratio:>8.0f}×"
            f"{own['peak_mib']:>6.0f} MiB   {promise} ({peer}, {other['scaled']})"
        )
        if "result" in own and "result" in other:
            print(f"{'':46}{own['result']}   {peer}: {other['result']}")
        records.append(
            {"name": name, "peer": peer, "reseed": own, "other": other, "factor": ratio, "kept": good}
        )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(records, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return 0 if kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
