"""Variance components, seed streams, single-run claims, superiority, margins, power."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import ndtr

import reseed
from reseed.contracts.errors import InvalidTable, UserError
from reseed.statistics import ErrorTerms
from reseed.statistics.components import claimed_differences, single_run_claims, stream_components
from reseed.statistics.design import cases_needed, power_of, power_of_endless_runs, runs_needed
from reseed.statistics.equivalence import margin_test
from reseed.statistics.obuchowski_rockette import Estimate
from reseed.statistics.superiority import probability_of_superiority
from tests.statistics.conftest import case_table, simulated_table


def overlap_table(rng, counts, *, n=400, run=0.02, case=0.05, method_case=0.03, run_case=0.04):
    of_case = case * rng.normal(size=n)
    columns = []
    for count in counts:
        of_method = 0.8 + of_case + method_case * rng.normal(size=n)
        columns += [of_method + run * rng.normal() + run_case * rng.normal(size=n) for _ in range(count)]
    return case_table(np.stack(columns, axis=1), counts)


class TestVariance:
    def test_components_of_means(self, rng):
        """Each component comes back as what it contributes to one run's mean over 400 cases."""
        found = reseed.variance_components(overlap_table(rng, [60, 60]), metric="dsc").components
        estimate = found.set_index("component")["estimate"]

        assert estimate["run"] == pytest.approx(0.02**2, rel=0.35)
        assert 400 * estimate["case"] == pytest.approx(0.05**2, rel=0.25)
        assert 400 * estimate["method × case"] == pytest.approx(0.03**2, rel=0.25)
        assert 400 * estimate["run × case"] == pytest.approx(0.04**2, rel=0.1)
        assert found["share"].sum() == pytest.approx(1)

    def test_a_negative_estimate_is_said_to_be_at_most_zero(self, rng):
        """Runs that differ by case sampling only: the share is 0 and the words say so."""
        table = overlap_table(rng, [3, 3], run=0.0)
        while not reseed.variance_components(table, metric="dsc").components["negative"][0]:
            table = overlap_table(rng, [3, 3], run=0.0)
        row = reseed.variance_components(table, metric="dsc").components.iloc[0]

        assert row["component"] == "run"
        assert row["share"] == 0
        assert "at most 0" in row["sentence"]
        assert any("below 0" in warning for warning in reseed.compare(table, metric="dsc").warnings)

    def test_false_claims(self, rng):
        """The rate is 2Φ(-1.96·SE_case/(√2·sd_run)) of the method's own runs."""
        row = reseed.compare(overlap_table(rng, [8, 8]), metric="dsc").false_claims.iloc[0]

        assert row["rate"] == pytest.approx(
            2 * ndtr(-1.959964 * row["se_case"] / (np.sqrt(2) * row["sd_run"]))
        )

    def test_one_run_each_has_none(self, rng):
        """Without two runs of a method there is nothing to split."""
        with pytest.raises(InvalidTable, match="two or more runs of a method"):
            reseed.variance_components(simulated_table(rng, [1, 1]), metric="auroc")


class TestStreams:
    def test_two_streams(self, rng):
        """Weights and order, crossed over 12 × 12 seeds, come back apart."""
        weights, order = np.repeat(np.arange(12), 12), np.tile(np.arange(12), 12)
        effects = 3.0 * rng.normal(size=12)[weights] + 1.0 * rng.normal(size=12)[order]
        method = np.zeros(144, dtype=np.int64)

        found = stream_components(effects, np.zeros((144, 144)), method, {"weights": weights, "order": order})

        by_name = {component.name: component.estimate for component in found.components}
        assert by_name["weights"] == pytest.approx(9, rel=0.6)
        assert by_name["order"] == pytest.approx(1, rel=0.8)
        assert by_name["weights"] > by_name["order"]

    def test_hand_worked(self):
        """Three runs: the first two share the weights, the last two the order."""
        levels = {"weights": np.array([0, 0, 1]), "order": np.array([0, 1, 1])}

        found = stream_components(
            np.array([0.0, 2, 5]), np.zeros((3, 3)), np.zeros(3, dtype=np.int64), levels
        )

        # half squared differences: order 2, weights 4.5, both 12.5; least squares over the three pairs
        estimates = [component.estimate for component in found.components]
        design = np.array([[0, 1], [1, 1], [1, 0]])
        assert estimates == pytest.approx(np.linalg.lstsq(design, [2, 12.5, 4.5], rcond=None)[0].tolist())

    def test_from_a_table(self, rng):
        """Streams are given by method and run; runs of equal seeds that differ are the rest."""
        table = overlap_table(rng, [6, 6])
        streams = table[["method", "run"]].drop_duplicates()
        streams = streams.assign(weights=[0, 0, 1, 1, 2, 2] * 2, order=[0, 0, 0, 1, 1, 2] * 2)

        found = reseed.variance_components(table, metric="dsc", streams=streams)

        assert found.streams is not None
        assert found.streams["component"].to_list() == ["weights", "order", "rest"]
        assert set(found.to_json()) == {"schema", "components", "streams", "false_claims"}

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda s: s.assign(order=0), "'order' must differ between runs"),
            (lambda s: s.assign(order=s["weights"]), "cannot tell the seed streams weights, order apart"),
            (lambda s: s.iloc[1:], "lacks method 'A' run '0'"),
            (lambda s: s.drop(columns="run"), "lacks column 'run'"),
            (lambda s: s[["method", "run"]], "has no stream"),
            (lambda s: pd.concat([s, s]), "names a run twice"),
        ],
    )
    def test_refusals(self, rng, change, message):
        """Streams that cannot be told apart, or tables that do not fit, are refused in one line."""
        table = overlap_table(rng, [4, 4], n=20)
        streams = (
            table[["method", "run"]]
            .drop_duplicates()
            .assign(weights=[0, 1, 2, 3] * 2, order=[0, 0, 1, 1] * 2)
        )
        with pytest.raises(UserError, match=message):
            reseed.variance_components(table, metric="dsc", streams=change(streams))


class TestSingleRunClaims:
    def test_hand_worked(self):
        """Differences of 1 and 3 with SE √2: only 3 is claimed."""
        theta = np.array([0.0, 1.0, 3.0, 3.0])

        found = single_run_claims(claimed_differences(theta, np.eye(4)), np.array([0, 1]), np.array([2, 3]))

        assert (found.pairs_between, found.claims_between) == (4, 2)
        assert (found.pairs_within, found.claims_within) == (2, 0)

    def test_equal_predictions_claim_nothing(self):
        """Two identical runs have no variance of their difference, and no claim."""
        assert not claimed_differences(np.ones(2), np.ones((2, 2))).any()


class TestSuperiority:
    def test_value_and_interval(self):
        """U/(r·r) with ties one half; the interval holds it and never closes at 1."""
        found = probability_of_superiority(np.array([3.0, 2, 5]), np.array([1.0, 2, 4]))
        apart = probability_of_superiority(np.array([3.0, 4, 5, 6]), np.array([0.0, 1, 2, 2.5]))

        assert found.value == pytest.approx(6.5 / 9)
        assert 0 < found.low < found.value < found.high < 1
        assert apart.value == 1
        assert apart.low == pytest.approx(0.025 ** (1 / 4))

    def test_coverage(self, rng):
        """Over 400 draws of 8 against 8 runs the 95 % interval covers Φ(1/√2) about as often as it says."""
        truth = stats.norm.cdf(1 / np.sqrt(2))
        covered = 0
        for _ in range(400):
            found = probability_of_superiority(rng.normal(1, 1, 8), rng.normal(0, 1, 8))
            covered += found.low <= truth <= found.high

        assert 0.92 <= covered / 400 <= 1.0


class TestMargin:
    def test_against_t_tests(self):
        """Both one-sided tests are t tests against the margin's edges."""
        found = margin_test(Estimate(0.004, 0.005, 12.0), 0.02)

        assert found.p_noninferior == pytest.approx(stats.t.sf(0.024 / 0.005, 12))
        assert found.p_equivalent == pytest.approx(stats.t.sf(0.016 / 0.005, 12))
        half = stats.t.ppf(0.95, 12) * 0.005
        assert [found.low, found.high] == pytest.approx([0.004 - half, 0.004 + half])

    def test_equivalence_is_the_interval_within_the_margin(self):
        """p_equivalent is below .05 exactly when the 90 % interval lies within the margin."""
        for value in np.linspace(-0.03, 0.03, 25):
            found = margin_test(Estimate(float(value), 0.006, 9.0), 0.02)
            assert (found.p_equivalent < 0.05) == (found.low > -0.02 and found.high < 0.02)

    def test_lower_is_better(self):
        """For an error, non-inferior means not higher by the margin."""
        found = margin_test(Estimate(-1.0, 0.5, np.inf), 0.5, higher_is_better=False)

        assert found.p_noninferior == pytest.approx(ndtr(-3.0))


class TestPower:
    def test_without_cases_it_is_the_two_sample_t_test(self):
        """With no method × case the power is that of a t test of runs (statsmodels: .8070 at 17, d/σ = 1)."""
        assert power_of(ErrorTerms(1.0, 0, 0, 100), 1.0, 17) == pytest.approx(0.8070367, abs=1e-6)

    def test_more_runs_cannot_replace_cases(self):
        """Power rises with runs towards the limit that method × case sets, and no further."""
        terms = ErrorTerms(1e-4, 1e-4, 1e-4, 200)
        powers = [power_of(terms, 0.02, runs) for runs in (3, 10, 100, 5000)]
        limit = power_of_endless_runs(terms, 0.02)

        assert powers == sorted(powers)
        assert powers[-1] == pytest.approx(limit, abs=1e-3)
        assert runs_needed(terms, 0.02) is None
        cases = cases_needed(terms, 0.02, 20)
        assert cases is not None
        assert power_of(terms, 0.02, 20, cases) >= 0.8 > power_of(terms, 0.02, 20, cases - 1)

    def test_runs_needed_is_the_smallest(self):
        """One run fewer has less than the power asked for."""
        terms = ErrorTerms(4e-4, 1e-4, 1e-6, 500)
        runs = runs_needed(terms, 0.02)

        assert runs is not None
        assert power_of(terms, 0.02, runs) >= 0.8 > power_of(terms, 0.02, runs - 1)

    def test_no_number_of_cases(self):
        """When retraining alone hides the difference, no number of cases helps two runs."""
        assert cases_needed(ErrorTerms(1.0, 0, 0, 10), 0.1, 2) is None

    def test_from_a_pilot(self, rng):
        """A pilot's plan says the answer in words and is finite JSON."""
        plan = reseed.power(overlap_table(rng, [5, 5]), metric="dsc", difference=0.001)
        document = plan.to_json()

        assert "no number of runs is enough with these cases" in plan.sentence
        assert plan.runs_needed is None
        assert document["runs_needed"] is None
        assert len(document["curve"]) == len(plan.curve) == 39
        assert plan.power < plan.endless_runs < 0.8

    def test_one_method_and_named_pairs(self, rng):
        """One method in the pilot is noted; a pair can be named; nonsense is refused."""
        table = overlap_table(rng, [4, 4, 4], n=50)
        alone = reseed.power(table[table["method"] == "A"], metric="dsc", difference=0.02)

        assert "assumed to fail on the same patients" in alone.notes[0]
        assert reseed.power(table, metric="dsc", difference=0.02, methods=["A", "C"]).notes == ()
        assert "averaged over 3 pairs" in reseed.power(table, metric="dsc", difference=0.02).notes[0]
        refusals: list[tuple[dict[str, Any], str]] = [
            ({"methods": ["A", "Z"]}, "methods must be two of A, B, C"),
            ({"difference": 0.0}, "other than 0"),
            ({"target": 1.0}, "power must lie between"),
            ({"runs": 1}, "two or more runs"),
            ({"metric": None}, "needs a metric"),
        ]
        usual: dict[str, Any] = {"metric": "dsc", "difference": 0.02}
        for changes, message in refusals:
            with pytest.raises(UserError, match=message):
                reseed.power(table, **{**usual, **changes})
        with pytest.raises(UserError, match="needs two or more runs to plan from"):
            reseed.power(overlap_table(rng, [1, 3], n=9), metric="dsc", difference=0.02)
