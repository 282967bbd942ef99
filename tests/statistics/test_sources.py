"""Variation by source: hand-worked, unbiased, its intervals' coverage, and lme4 as a second source."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from reseed.contracts.design import Design
from reseed.contracts.errors import UserError
from reseed.statistics.designed import designed_variation, variation_summary
from reseed.statistics.sources import (
    crossed_variation,
    difference_interval,
    one_at_a_time_variation,
    sd_text,
    undesigned_variation,
    variation_lines,
)
from tests.statistics.r_programs import r_numbers

LMER_CROSSED = """
suppressMessages(library(lme4)); d <- read.csv("table.csv")
d$cell <- factor(paste(d$weights, d$order)); d$weights <- factor(d$weights); d$order <- factor(d$order)
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-12, maxfun = 1e6))
model <- lmer(score ~ 1 + (1 | weights) + (1 | order) + (1 | cell), d, control = tight)
v <- as.data.frame(VarCorr(model)); rownames(v) <- v$grp
cat(sprintf("%.15g\\n", v[c("weights", "order", "cell", "Residual"), "vcov"]))
"""
# printed by R 4.2.2 with lme4 1.1-31
STORED_LMER = [3.35454281670756, 0.265857884797632, 0.217935327174409, 0.115069162666284]


def _levels(*counts: int, repetitions: int = 1) -> dict[str, np.ndarray]:
    cells = np.tile(np.array(list(itertools.product(*map(range, counts)))), (repetitions, 1))
    return dict(zip(("weights", "order", "augmentation"), cells.T, strict=False))


def _drawn(rng, levels, sds, *, interaction=0.0, noise=0.0) -> np.ndarray:
    """Scores by the model of a crossed design."""
    score = np.zeros(len(next(iter(levels.values()))))
    for level, sd in zip(levels.values(), sds, strict=True):
        score += sd * rng.normal(size=level.max() + 1)[level]
    cells = np.unique(np.stack(list(levels.values())), axis=1, return_inverse=True)[1].reshape(-1)
    score += interaction * rng.normal(size=cells.max() + 1)[cells] + noise * rng.normal(size=len(score))
    return score


def _crossed_table() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    levels = _levels(5, 4, repetitions=2)
    score = _drawn(rng, levels, (1.0, 0.6), interaction=0.4, noise=0.3)
    return pd.DataFrame({"weights": levels["weights"], "order": levels["order"], "score": score})


def _crossed_estimates() -> list[float]:
    table = _crossed_table()
    levels = {name: table[name].to_numpy() for name in ("weights", "order")}
    return [row.variance for row in crossed_variation(table["score"].to_numpy(), levels)[:4]]


class TestCrossed:
    def test_hand_worked(self):
        """2 × 2 runs: mean squares 16, 4 and 1 give (16 − 1)/2, (4 − 1)/2 and 1."""
        # effects ±2 and ±1, interaction ±1/2
        rows = crossed_variation(np.array([3.5, 0.5, -1.5, -2.5]), _levels(2, 2))

        assert [row.source for row in rows] == [
            "weights", "order", "interaction and nondeterminism", "all together",
        ]  # fmt: skip
        assert [row.variance for row in rows] == pytest.approx([7.5, 1.5, 1.0, 10.0])
        assert [row.df for row in rows[:3]] == [1, 1, 1]

    def test_one_source_is_the_variance_of_its_runs(self):
        """Without anything to set against it, its interval is that of a variance."""
        score = np.array([1.0, 2.0, 4.0, 7.0])
        rows = crossed_variation(score, {"weights": np.arange(4)})

        assert rows[0].variance == pytest.approx(score.var(ddof=1))
        assert rows[0].low == pytest.approx(3 * score.var(ddof=1) / stats.chi2.ppf(0.975, 3))
        assert rows[-1].variance == rows[0].variance

    def test_repetitions_that_are_bit_identical(self):
        """Nondeterminism of 0 is 0 with no room for more; what is left is interaction."""
        once = np.array([0.93, 0.95, 0.94, 0.91, 0.96, 0.92])
        rows = {row.source: row for row in crossed_variation(np.tile(once, 2), _levels(3, 2, repetitions=2))}

        assert (rows["nondeterminism"].variance, rows["nondeterminism"].high) == (0.0, 0.0)
        alone = {row.source: row for row in crossed_variation(once, _levels(3, 2))}
        assert rows["interaction"].variance == pytest.approx(alone["interaction and nondeterminism"].variance)

    @pytest.mark.parametrize("repetitions", [1, 2])
    def test_unbiased_and_covering(self, repetitions):
        """
        Over 400 simulated studies of 4 × 3 × 3 cells estimates average to the truth within 4 standard errors
        and 95 % intervals cover it in 91.5 to 98.5 % (binomial, 4 standard errors, conservative when 0).
        """
        rng = np.random.default_rng(20240501)
        levels = _levels(4, 3, 3, repetitions=repetitions)
        sds, interaction, noise = (1.0, 0.5, 0.0), 0.3, 0.3
        truth = [sd**2 for sd in sds] + [interaction**2 + noise**2]
        if repetitions > 1:
            truth = [*truth[:3], interaction**2, noise**2]
        truth.append(sum(sd**2 for sd in (*sds, interaction, noise)))
        studies = [
            crossed_variation(_drawn(rng, levels, sds, interaction=interaction, noise=noise), levels)
            for _ in range(400)
        ]
        estimates = np.array([[row.variance for row in rows] for rows in studies])
        covered = np.array(
            [[row.low <= t <= row.high for row, t in zip(rows, truth, strict=True)] for rows in studies]
        ).mean(axis=0)

        error = estimates.std(axis=0) / math.sqrt(len(studies))
        assert np.all(np.abs(estimates.mean(axis=0) - truth) < 4 * error)
        assert np.all(covered > 0.905)
        assert np.all(covered < 0.995)

    def test_orthogonal_designs_are_crossed_by_pairs(self):
        """The same estimates for weights and order as a full table with those two alone would give."""
        design = Design.model_validate(
            {"kind": "orthogonal", "levels": dict.fromkeys(("weights", "order", "augmentation"), 3)}
        )
        rng = np.random.default_rng(1)
        level = [design.levels_of(run) for run in range(9)]
        weights, order = ({run: list(at.values())[k] for run, at in enumerate(level)} for k in (0, 1))
        by_weights, by_order = 10 * rng.normal(size=3), rng.normal(size=3)
        score = {run: by_weights[weights[run]] + by_order[order[run]] for run in range(9)}

        rows = {row.source: row for row in designed_variation(design, score)}

        assert rows["weights"].variance == pytest.approx(by_weights.var(ddof=1))
        assert rows["order"].variance == pytest.approx(by_order.var(ddof=1))
        assert rows["augmentation"].variance == pytest.approx(0, abs=1e-12)

    @pytest.mark.parametrize(
        ("levels", "message"),
        [
            ({"weights": np.array([0, 0, 0, 1])}, "levels of weights are not met equally often"),
            (
                {"weights": np.array([0, 0, 1, 1]), "order": np.array([0, 0, 1, 1])},
                "levels of weights and order are not met equally often",
            ),
        ],
    )
    def test_unbalanced_designs(self, levels, message):
        """Refused with what is not balanced."""
        with pytest.raises(UserError, match=message):
            crossed_variation(np.arange(4.0), levels)

    def test_nothing_left_over(self):
        """Nine runs have no room for four sources of three levels and an error."""
        design = Design.model_validate(
            {
                "kind": "orthogonal",
                "levels": dict.fromkeys(("weights", "order", "augmentation", "dropout"), 3),
            }
        )
        with pytest.raises(UserError, match="9 runs cannot tell 4 sources from chance"):
            designed_variation(design, dict.fromkeys(range(9), 0.5))


class TestOneAtATime:
    def test_hand_worked(self):
        """Variances about the first run, less that of its repetitions."""
        rows = one_at_a_time_variation(
            {
                "weights": np.array([1.0, 3.0, 5.0]),
                "order": np.array([1.0, 2.0]),
                "nondeterminism": np.array([1.0, 1.2]),
            }
        )

        assert [row.variance for row in rows] == pytest.approx([3.98, 0.48, 0.02, 4.48])

    def test_without_repetitions_nondeterminism_is_part_of_each(self):
        """Then a source's variance is that of its runs."""
        rows = one_at_a_time_variation({"weights": np.array([1.0, 3.0, 5.0])})

        assert rows[0].variance == pytest.approx(4.0)

    def test_runs_are_found_by_their_levels(self):
        """Run 0 belongs to every source."""
        design = Design.model_validate({"kind": "one_at_a_time", "levels": {"weights": 3, "order": 2}})

        rows = designed_variation(design, {0: 1.0, 1: 3.0, 2: 5.0, 3: 2.0})

        assert [row.variance for row in rows] == pytest.approx([4.0, 0.5, 4.5])


class TestInterval:
    def test_limits(self):
        """With endless df of the smaller mean square it is the interval of a variance, shifted."""
        low, high = difference_interval(3.0, 5, 1.0, 10**7, confidence_level=0.95)

        assert low == pytest.approx(5 * 3 / stats.chi2.ppf(0.975, 5) - 1, rel=1e-3)
        assert high == pytest.approx(5 * 3 / stats.chi2.ppf(0.025, 5) - 1, rel=1e-3)

    def test_it_turns_where_the_f_test_does(self):
        """The lower end is 0 exactly where MS1/MS2 is the upper point of F."""
        ratio = stats.f.isf(0.025, 4, 9)

        assert difference_interval(ratio, 4, 1.0, 9, confidence_level=0.95)[0] == pytest.approx(0, abs=1e-9)


class TestWords:
    def test_table(self):
        """The widest source first, the sum last."""
        rows = crossed_variation(np.array([3.5, 0.5, -1.5, -2.5]) / 1000, _levels(2, 2))

        lines = variation_lines(rows)

        assert [line.split("  ")[0] for line in lines] == [
            "source", "weights", "order", "interaction and nondeterminism", "all together",
        ]  # fmt: skip
        assert lines[1].split()[:3] == ["weights", "2", ".0027"]

    def test_undesigned(self):
        """Independent retrainings tell one number, and the words say what varied together in it."""
        row = undesigned_variation(np.array([0.91, 0.93, 0.92]))
        words = variation_summary(
            None, {"a": {0: 0.91, 1: 0.93, 2: 0.92}}, metric="auroc", cases="40 cases",
            confidence_level=0.95, varied=("weights", "order"),
        )  # fmt: skip

        assert row.sd == pytest.approx(0.01)
        assert words[0] == "AUROC, a, 3 runs (independent), 40 cases"
        assert words[-1].startswith("Varied together: weights, order.")

    @pytest.mark.parametrize(
        ("sd", "text"), [(0.0, "0"), (0.0024, ".0024"), (0.014, ".014"), (0.00031, ".00031"), (0.25, ".250")]
    )
    def test_sd(self, sd, text):
        """Two digits that count."""
        assert sd_text(sd) == text

    def test_missing_runs(self):
        """A design is estimated whole or not at all."""
        design = Design.model_validate({"kind": "crossed", "levels": {"weights": 3}})
        with pytest.raises(UserError, match="has 3 runs of a method, and run 1 has no score"):
            designed_variation(design, {0: 0.9, 2: 0.8})
        with pytest.raises(UserError, match="run 2 has no score: the metric is undefined"):
            designed_variation(design, {0: 0.9, 1: 0.9, 2: math.nan})


class TestSecondSource:
    def test_stored(self):
        """REML of a balanced design with positive estimates is the ANOVA estimate: lme4's numbers."""
        assert _crossed_estimates() == pytest.approx(STORED_LMER, rel=1e-5)

    @pytest.mark.r
    def test_lme4(self, tmp_path: Path):
        """lme4, run now."""
        numbers = r_numbers(LMER_CROSSED, _crossed_table(), tmp_path, "lme4")

        assert _crossed_estimates() == pytest.approx(numbers, rel=1e-5)
