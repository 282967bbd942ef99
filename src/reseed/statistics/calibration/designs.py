"""The cells of the calibration study: a model, a metric, run counts, and the procedures put to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reseed.statistics.calibration.models import BetaModel, LatentModel, LesionModel, OverlapModel
from reseed.statistics.calibration.retraining import (
    FEWEST_RUNS,
    RetrainedNetwork,
    SplitRuns,
    all_splits,
    relabelled_runs,
)
from reseed.statistics.metric import resolved_metric
from reseed.statistics.table import checked_scores

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from reseed.statistics.calibration.models import ScoreModel

STRONG_NULL, WEAK_NULL = "same method retrained", "equal methods, different cases"
COMMON = ("single_runs", "averaged_runs", "permutation", "welch", "pooled")


@dataclass(frozen=True)
class Cell:
    """
    One simulated situation.

    `design` groups cells for the chart and the tables; `null` says in words what is true; a cell with a
    true difference measures power.
    """

    design: str
    name: str
    null: str
    metric: str
    run_counts: tuple[int, ...]
    model: ScoreModel = field(repr=False)
    procedures: tuple[str, ...]
    n_simulations: int

    @property
    def key(self) -> str:
        """Names the cell among all others."""
        runs = "v".join(str(count) for count in self.run_counts)
        return f"{self.design}/{self.name}/{self.null}/{self.metric}/{runs}".replace(" ", "_")

    @property
    def difference(self) -> float:
        """True difference of the first method."""
        return self.model.difference


# (positives, negatives, AUROC, run × case, run): the seed paper's three tasks, unit latent variance
_TASKS = {
    "csPCa": (88, 212, 0.895, 0.100, 0.00043),
    "PaC": (281, 80, 0.903, 0.0865, 0.00422),
    "LNm": (62, 540, 0.913, 0.0151, 0.00060),
}
_METHOD_CASE = 0.10

# Roe-Metz structures (iMRMC's configurations), readers nested in methods: run, case share, by name
_STRUCTURES = {
    "HH": ((0.022, 0.060, 0.112), 0.3, 0.4),
    "HL": ((0.011, 0.011, 0.011), 0.3, 0.4),
    "LH": ((0.022, 0.060, 0.112), 0.1, 0.8),
    "LL": ((0.011, 0.011, 0.011), 0.1, 0.8),
}
_SEPARATIONS = ((0.75, 0.702), (1.50, 0.856), (2.50, 0.962))


def paper_model(task: str, *, method_case: float = 0.0, difference: float = 0.0) -> LatentModel:
    """The latent model set to one of the seed paper's tasks."""
    n_positive, n_negative, auroc, run_case, run = _TASKS[task]
    return LatentModel(
        n_positive, n_negative, auroc, run, run_case, method_case=method_case, difference=difference
    )


def full_study(n_simulations: int = 2000) -> list[Cell]:
    """All cells: about an hour on two cores with 2000 simulations a cell."""
    return [
        *_paper_cells(n_simulations),
        *_lesion_cells(n_simulations),
        *_overlap_cells(n_simulations),
        _appendix_c(15 * n_simulations),
        *_structure_cells(n_simulations),
        *_family_cells(n_simulations),
        *_retrained_cells(n_simulations),
        *_power_cells(n_simulations),
    ]


def quick_study() -> list[Cell]:
    """A few cells of every design with few simulations: a minute on two cores."""
    n = 200
    return [
        *(
            cell
            for cell in _paper_cells(n)
            if cell.run_counts in ((1, 1), (7, 7)) and "bootstrap" not in cell.name
        ),
        *(cell for cell in _lesion_cells(n) if cell.run_counts == (5, 5) and cell.name == "csPCa"),
        *(cell for cell in _overlap_cells(n) if cell.run_counts == (5, 5)),
        _appendix_c(10 * n),
        *(cell for cell in _structure_cells(n) if cell.run_counts == (5, 5) and "AUROC .856" in cell.name),
        *(cell for cell in _family_cells(n) if len(cell.run_counts) == 4),
        *(cell for cell in _retrained_cells(n) if cell.run_counts == (5, 5)),
        *(cell for cell in _power_cells(n) if cell.run_counts == (5, 5) and "LNm" in cell.name),
    ]


def _paper_cells(n: int) -> Iterator[Cell]:
    """Designs 1 and 2: the seed paper's tasks under both nulls."""
    for design, null, method_case in (
        ("1 paper", STRONG_NULL, 0.0),
        ("2 weak null", WEAK_NULL, _METHOD_CASE),
    ):
        for task in _TASKS:
            model = paper_model(task, method_case=method_case)
            yield Cell(
                design, task, null, "auroc", (1, 1), model, ("single_runs_bootstrap", "single_runs"), n
            )
            for runs in (5, 7, 10):
                extra = ("run_bootstrap",) if runs == 7 else ()
                yield Cell(design, task, null, "auroc", (runs, runs), model, COMMON + extra, n)
            yield Cell(
                design,
                f"{task} bootstrap",
                null,
                "auroc",
                (7, 7),
                model,
                ("crossed_bootstrap",),
                max(n // 4, 1),
            )


def _lesion_cells(n: int) -> Iterator[Cell]:
    """Lesion AP (and the PI-CAI score once) under both nulls, on test sets of the paper's size."""
    sizes = {"csPCa": (88, 212), "PaC": (281, 80)}
    for design, null, method_case in (
        ("1 paper", STRONG_NULL, 0.0),
        ("2 weak null", WEAK_NULL, _METHOD_CASE),
    ):
        for task, (n_positive, n_negative) in sizes.items():
            model = LesionModel(n_positive, n_negative, run=0.004, run_case=0.10, method_case=method_case)
            for runs in (5, 7, 10) if task == "csPCa" else (5,):
                yield Cell(design, task, null, "lesion_ap", (runs, runs), model, COMMON, n)
            if task == "csPCa":
                yield Cell(design, task, null, "picai_score", (5, 5), model, COMMON, n)


def _overlap_cells(n: int) -> Iterator[Cell]:
    """Dice under both nulls."""
    for design, null, method_case in (("1 paper", STRONG_NULL, 0.0), ("2 weak null", WEAK_NULL, 0.02)):
        for task, n_cases, run in (("prostate", 139, 0.002), ("pancreas", 361, 0.0001)):
            model = OverlapModel(n_cases, run=run, run_case=0.02, method_case=method_case)
            for runs in (5, 7, 10):
                yield Cell(design, task, null, "dsc", (runs, runs), model, COMMON, n)


def _appendix_c(n: int) -> Cell:
    """Design 3: the seed paper's own simulation of its cure."""
    return Cell(
        "3 appendix C",
        "Beta scores",
        STRONG_NULL,
        "auroc",
        (10, 10),
        BetaModel(),
        ("mann_whitney_one_sided",),
        n,
    )


def _structure_cells(n: int) -> Iterator[Cell]:
    """Design 4: Roe-Metz structures, run counts, unequal run variances, prevalence, ties."""
    for structure, (run_variances, share, run_case) in _STRUCTURES.items():
        for (_, auroc), run in zip(_SEPARATIONS, run_variances, strict=True):
            model = LatentModel(50, 50, auroc, run, run_case * (1 - run), method_case=share * (1 - run))
            for runs in (3, 5, 7, 10):
                name = f"{structure} AUROC {auroc:.3f}".replace("0.", ".")
                yield Cell("4 structures", name, WEAK_NULL, "auroc", (runs, runs), model, COMMON, n)
    for counts in ((3, 10), (10, 3), (5, 10), (10, 5), (5, 5), (10, 10)):
        model = LatentModel(80, 120, 0.87, 0.01, 0.08, method_case=0.05, run_ratio=4.0)
        yield Cell("4 structures", "run variance 4 to 1", WEAK_NULL, "auroc", counts, model, COMMON, n)
    for prevalence in (10, 30, 50, 80):
        model = LatentModel(2 * prevalence, 200 - 2 * prevalence, 0.87, 0.004, 0.08, method_case=0.05)
        yield Cell("4 structures", f"prevalence {prevalence} %", WEAK_NULL, "auroc", (5, 5), model, COMMON, n)
        yield Cell("4 structures", f"prevalence {prevalence} %", WEAK_NULL, "ap", (5, 5), model, COMMON, n)
    for n_levels in (5, 10):
        model = LatentModel(80, 120, 0.87, 0.004, 0.08, method_case=0.05, n_levels=n_levels)
        yield Cell(
            "4 structures", f"ratings in {n_levels} levels", WEAK_NULL, "auroc", (5, 5), model, COMMON, n
        )


def _family_cells(n: int) -> Iterator[Cell]:
    """Several methods at once: family-wise error of all pairs, and moderated run variances."""
    family = ("smallest_unadjusted", "smallest_holm", "smallest_max_t", "smallest_permuted_max_t")
    model = LatentModel(80, 120, 0.87, 0.004, 0.08)
    weak = LatentModel(80, 120, 0.87, 0.004, 0.08, method_case=0.05)
    yield Cell("4 families", "4 methods", STRONG_NULL, "auroc", (5, 5, 5, 5), model, family, n)
    yield Cell("4 families", "4 methods", WEAK_NULL, "auroc", (5, 5, 5, 5), weak, family, n)
    for t in (4, 6, 10):
        counts = (3,) * t
        for null, leaderboard in ((STRONG_NULL, model), (WEAK_NULL, weak)):
            yield Cell(
                "4 families", f"{t} methods", null, "auroc", counts, leaderboard, ("welch", "moderated"), n
            )
    uneven = LatentModel(80, 120, 0.87, 0.004, 0.08, run_ratio=9.0)
    counts = (3,) * 6
    yield Cell(
        "4 families",
        "6 methods, one 3 times as noisy",
        STRONG_NULL,
        "auroc",
        counts,
        uneven,
        ("welch", "moderated"),
        n,
    )


def _retrained_cells(n: int) -> Iterator[Cell]:
    """Design 5: a small network really retrained."""
    for runs in (5, 8):
        yield Cell(
            "5 retrainings",
            "small network",
            STRONG_NULL,
            "auroc",
            (runs, runs),
            RetrainedNetwork(),
            COMMON,
            n,
        )


def _power_cells(n: int) -> Iterator[Cell]:
    """Power and coverage where there is a difference."""
    for task in _TASKS:
        for method_case in (0.0, 0.02):
            for difference in (0.01, 0.02, 0.03):
                for runs in (5, 10):
                    model = paper_model(task, method_case=method_case, difference=difference)
                    name = f"{task} +{difference:.2f}".replace("0.", ".")
                    null = "methods share cases" if method_case == 0 else "methods differ on cases"
                    yield Cell("power", name, null, "auroc", (runs, runs), model, COMMON, n)


def retraining_cells(table: pd.DataFrame, metric: str) -> list[Cell]:
    """
    Design 5 with real runs: every method of a table with four or more runs, split in all ways into halves.

    Raises
    ------
    InvalidTable, UserError
        If the table is refused, or no method has enough runs.
    """
    scores = checked_scores(table, resolved_metric(metric))
    cells = []
    most = int(scores.layout.run_counts.max())
    for i, method in enumerate(scores.layout.methods):
        own = relabelled_runs(scores, [scores.layout.runs_of(i).tolist()])
        if own.layout.n_runs < FEWEST_RUNS <= most:
            continue
        splits = all_splits(own.layout.n_runs)
        halves = (len(splits[0]), own.layout.n_runs - len(splits[0]))
        cells.append(
            Cell(
                "5 retrainings",
                f"{method} split",
                STRONG_NULL,
                metric,
                halves,
                SplitRuns(own, splits),
                COMMON,
                len(splits),
            )
        )
    return cells
