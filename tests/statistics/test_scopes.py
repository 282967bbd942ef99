"""The three scopes: defaults, warnings, options, and the size of the population test."""

import numpy as np
import pytest

import reseed
from reseed.statistics import obuchowski_rockette as nested
from reseed.statistics import summary_lines
from reseed.statistics.calibration.designs import paper_model
from reseed.statistics.calibration.models import LesionModel, OverlapModel
from reseed.statistics.metric import resolved_metric
from reseed.statistics.outcome import reference_outcome
from reseed.statistics.sample import observed_sample
from tests.statistics.conftest import case_table, simulated_table


def test_default_tests(rng):
    """Welch; permutation, studentised when counts differ; DeLong for AUROC, else the bootstrap."""
    even, uneven = simulated_table(rng, [3, 3]), simulated_table(rng, [3, 4])

    def test_of(table, scope, metric="auroc"):
        return reseed.compare(table, metric=metric, scope=scope).test

    assert test_of(even, "population") == "welch_obuchowski_rockette"
    assert test_of(even, "test_set") == "permutation_mean_difference"
    assert test_of(uneven, "test_set") == "permutation_studentised"
    assert test_of(even, "trained_models") == "delong"
    assert test_of(even, "trained_models", "ap") == "bootstrap_percentile"


@pytest.mark.parametrize("test", ["welch_obuchowski_rockette", "obuchowski_rockette", "crossed_bootstrap"])
def test_population_tests_agree_on_ample_data(rng, test):
    """On many runs and cases the three give one difference and about one interval."""
    table = simulated_table(rng, [12, 12], n_positive=100, n_negative=100)
    welch = reseed.compare(table, metric="auroc").pairs.iloc[0]

    pair = reseed.compare(table, metric="auroc", test=test).pairs.iloc[0]

    assert pair["difference"] == pytest.approx(welch["difference"])
    assert pair["high"] - pair["low"] == pytest.approx(welch["high"] - welch["low"], rel=0.25)


def test_equal_run_variances_and_counts_give_welch_the_pooled_error(rng):
    """For two methods with equal counts Welch's standard error is the pooled one."""
    table = simulated_table(rng, [4, 4])
    welch, pooled = (
        reseed.compare(table, metric="auroc", test=test).pairs.iloc[0]
        for test in ("welch_obuchowski_rockette", "obuchowski_rockette")
    )

    assert welch["standard_error"] == pytest.approx(pooled["standard_error"])
    assert welch["df"] <= pooled["df"] + 1e-9


def test_bootstrap_covariance_serves_any_metric(rng):
    """Σ from resamples gives AP and the mean of metrics nearly the jackknife's error."""
    table = simulated_table(rng, [4, 4], n_positive=60, n_negative=90)
    for metric in ("ap", "auroc+ap"):
        jackknife, bootstrap = (
            reseed.compare(table, metric=metric, covariance=name).pairs["standard_error"][0]
            for name in ("jackknife", "bootstrap")
        )
        assert bootstrap == pytest.approx(jackknife, rel=0.15)


class TestWarnings:
    def test_few_runs(self, rng):
        """Fewer than four runs are warned of under the population scope."""
        warnings = reseed.compare(simulated_table(rng, [3, 5]), metric="auroc").warnings

        assert any(warning.startswith("method 'A' has 3 runs") for warning in warnings)

    def test_unequal_counts_and_variances(self, rng):
        """Different counts with run variances that look different are warned of."""
        score = np.concatenate([0.5 + 0.2 * rng.normal(size=4), 0.5 + 0.01 * rng.normal(size=10)])
        table = case_table(score + 0.01 * rng.normal(size=(40, 14)), [4, 10])

        assert any("seem to vary differently" in w for w in reseed.compare(table, metric="dsc").warnings)

    def test_identical_runs(self, rng):
        """Runs that are all equal make one ask whether they were retrained; p is defined."""
        table = case_table(np.repeat(rng.normal(size=(10, 1)), 4, axis=1), [2, 2])
        result = reseed.compare(table, metric="dsc")

        assert any("really retrained" in warning for warning in result.warnings)
        assert result.pairs["p_value"][0] == 1

    def test_mean_difference_with_unequal_counts(self, rng):
        """A permuted mean difference of unequal counts is warned of."""
        result = reseed.compare(
            simulated_table(rng, [4, 6]), metric="auroc", scope="test_set", test="mean_difference"
        )

        assert any("use 'permutation_studentised'" in warning for warning in result.warnings)

    def test_unknown_case_variance_under_fixed_cases(self, rng):
        """With the cases fixed a Σ that cannot be estimated is a warning, not a refusal."""
        score = rng.normal(size=(6, 6))
        table = case_table(score, [3, 3], np.array([1, 0, 0, 0, 0, 0]))
        result = reseed.compare(table, metric="auroc", scope="test_set")

        assert any("variance over cases is unknown" in warning for warning in result.warnings)
        assert result.to_json()["pairs"][0]["single_runs"] is None
        assert not any("single runs" in line for line in summary_lines({"test_set": result}))
        assert np.isfinite(result.pairs["p_value"][0])

    def test_undefined_values(self, rng):
        """Undefined per-case values are counted."""
        score = rng.random((12, 6))
        score[2, 1] = np.nan

        assert any(
            "1 per-case scores are undefined" in w
            for w in reseed.compare(case_table(score, [3, 3]), metric="dsc").warnings
        )


def test_user_functions_take_part(rng):
    """A function of the user's is compared like any metric, under its own name."""

    def specificity(reference, score, weights):
        negative = reference == 0
        return float(weights[negative] @ (score[negative] < 0.5) / weights[negative].sum())

    result = reseed.compare(simulated_table(rng, [3, 3]), metric=specificity)

    assert result.metric.label == "specificity"
    assert np.isfinite(result.pairs["p_value"][0])


def rejections(model, metric, run_counts, n, seed):
    """Shares of p <= .05 of the population test, and of its intervals that hold the true difference."""
    rng = np.random.default_rng(seed)
    claimed = covered = 0
    for _ in range(n):
        scores = model.draw(run_counts, rng)
        sample = observed_sample(scores, resolved_metric(metric), estimator="jackknife", rng=rng)
        outcome = reference_outcome(
            nested.welch_difference(sample.moments, 0, 1),
            "welch",
            alternative="two-sided",
            confidence_level=0.95,
        )
        claimed += outcome.p_value <= 0.05
        covered += outcome.low <= model.difference <= outcome.high
    return claimed / n, covered / n


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "metric", "n"),
    [
        (paper_model("csPCa"), "auroc", 2000),
        (paper_model("csPCa", method_case=0.1), "auroc", 2000),
        (LesionModel(60, 90, run=0.004, run_case=0.1), "lesion_ap", 1000),
        (LesionModel(60, 90, run=0.004, run_case=0.1, method_case=0.1), "lesion_ap", 1000),
        (OverlapModel(139, run=0.002, run_case=0.02), "dsc", 2000),
        (OverlapModel(139, run=0.002, run_case=0.02, method_case=0.02), "dsc", 2000),
    ],
)
def test_size_of_the_population_test(model, metric, n):
    """Under both nulls, with five runs a side, about 5 % are claimed (trimmed; the study has the rest)."""
    claimed, covered = rejections(model, metric, (5, 5), n, seed=1)

    margin = 2.6 * np.sqrt(0.05 * 0.95 / n)
    assert 0.035 - margin < claimed < 0.06 + margin
    assert 0.935 - margin < covered < 0.97 + margin
