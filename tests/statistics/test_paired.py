"""Trained-models scope: paired tests over cases."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import reseed
from reseed.contracts.errors import UserError
from reseed.statistics.paired import bca_test, percentile_test, sign_flip_p
from reseed.statistics.scores import layout_of_counts
from tests.statistics.conftest import case_table, simulated_table


@pytest.fixture
def overlaps(rng):
    """Two trained models, 18 cases, the second somewhat better."""
    first = rng.normal(0.8, 0.05, 18)
    return np.stack([first, first + rng.normal(0.01, 0.03, 18)], axis=1)


def test_paired_t_is_scipys(overlaps):
    """For one run each the paired t test over cases is the textbook's."""
    pair = reseed.compare(
        case_table(overlaps, [1, 1]), metric="dsc", scope="trained_models", test="paired_t"
    ).pairs
    expected = stats.ttest_rel(overlaps[:, 1], overlaps[:, 0])

    assert pair["p_value"][0] == pytest.approx(expected.pvalue, rel=1e-10)
    assert pair["statistic"][0] == pytest.approx(expected.statistic, rel=1e-10)
    assert pair["df"][0] == 17
    assert [pair["low"][0], pair["high"][0]] == pytest.approx(list(expected.confidence_interval()), rel=1e-10)


def test_sign_flip_is_scipys(overlaps):
    """The exact sign-flip p is that of scipy's permutation test of paired samples."""
    table = case_table(overlaps, [1, 1])
    pair = reseed.compare(table, metric="dsc", scope="trained_models", test="sign_flip").pairs
    expected = stats.permutation_test(
        (overlaps[:, 1], overlaps[:, 0]),
        lambda x, y, axis=-1: np.mean(x - y, axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    )

    assert pair["p_value"][0] == pytest.approx(expected.pvalue, rel=1e-10)


def test_sign_flip_keeps_patients_together():
    """Three patients flip in eight ways, however many cases they have."""
    layout = layout_of_counts([1], 9, patient_of_case=np.repeat([0, 1, 2], 3))

    p_value = sign_flip_p(np.full(9, 0.1), layout, alternative="greater", rng=np.random.default_rng(0))

    assert p_value == 1 / 8


def test_sign_flip_is_sampled_beyond_twenty_patients(rng):
    """With thirty patients the p value is sampled and near the t test's."""
    differences = rng.normal(0.3, 1, 30)

    p_value = sign_flip_p(differences, layout_of_counts([1], 30), alternative="two-sided", rng=rng)

    assert p_value == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.02)


@pytest.mark.parametrize(("method", "test"), [("percentile", percentile_test), ("BCa", bca_test)])
def test_bootstrap_intervals_are_scipys(rng, method, test):
    """On the same resamples percentile and BCa limits are scipy.stats.bootstrap's."""
    sample = rng.exponential(size=25)
    reference = stats.bootstrap(
        (sample,), np.mean, n_resamples=4000, method=method, rng=np.random.default_rng(1)
    )
    replicates = reference.bootstrap_distribution
    left_out = (sample.sum() - sample) / 24
    settings = {"alternative": "two-sided", "confidence_level": 0.95}

    found = (
        test(replicates, **settings)
        if method == "percentile"
        else test(replicates, sample.mean(), left_out, **settings)
    )

    assert [found.low, found.high] == pytest.approx(list(reference.confidence_interval), rel=2e-3)


@pytest.mark.parametrize("test", ["bootstrap_percentile", "bootstrap_bca"])
def test_the_bootstrap_p_value_inverts_its_interval(rng, test):
    """The interval at 1 - p has the null at its edge."""
    table = simulated_table(rng, [2, 2])
    settings = {"metric": "auroc", "scope": "trained_models", "test": test}
    p_value = reseed.compare(table, **settings).pairs["p_value"][0]

    at_the_edge = reseed.compare(table, confidence_level=max(1 - p_value, 0.5), **settings).pairs.iloc[0]

    if p_value < 0.5:
        assert min(abs(at_the_edge["low"]), abs(at_the_edge["high"])) < 0.002


def test_delong_bootstrap_and_jackknife_agree(rng):
    """On ample cases the tests of one question give nearly one standard error."""
    table = simulated_table(rng, [1, 1], n_positive=150, n_negative=150)
    errors = [
        reseed.compare(table, metric="auroc", scope="trained_models", test=test).pairs["standard_error"][0]
        for test in ("delong", "wald", "bootstrap_percentile", "bootstrap_percentile_stratified")
    ]

    assert np.ptp(errors) / np.mean(errors) < 0.06


def test_clustered_delong_reduces_to_delong(rng):
    """One case a patient: Obuchowski's clustered covariance is DeLong's."""
    table = simulated_table(rng, [1, 1])
    settings: dict[str, Any] = {"metric": "auroc", "scope": "trained_models", "test": "delong"}

    plain = reseed.compare(table, **settings).pairs
    clustered = reseed.compare(table.assign(patient=table["case"]), **settings).pairs

    pd.testing.assert_frame_equal(plain, clustered, rtol=1e-9)


def test_clusters_widen_the_error(rng):
    """Ten copies of each case under one patient leave the error as it is; as ten cases they shrink it."""
    table = simulated_table(rng, [1, 1])
    copies = pd.concat([table.assign(case=table["case"] + f"_{i}", patient=table["case"]) for i in range(10)])
    settings: dict[str, Any] = {"metric": "auroc", "scope": "trained_models", "test": "delong"}

    plain = reseed.compare(table, **settings).pairs["standard_error"][0]
    as_patients = reseed.compare(copies, **settings).pairs["standard_error"][0]
    as_cases = reseed.compare(copies.drop(columns="patient"), **settings).pairs["standard_error"][0]

    assert as_patients == pytest.approx(plain, rel=0.03)
    assert as_cases == pytest.approx(plain / np.sqrt(10), rel=0.05)


class TestOneRunEach:
    def test_the_result_says_what_it_does_not_compare(self, rng):
        """With one run each a warning says that trained models are compared, not methods."""
        result = reseed.compare(simulated_table(rng, [1, 1]), metric="auroc", scope="trained_models")

        assert any("compares these trained models, not the methods" in warning for warning in result.warnings)
        assert np.isnan(result.methods["sd"]).all()

    def test_a_run_sd_from_elsewhere_widens_the_interval(self, rng):
        """SE² = SE_case² + 2·σ², and both are reported."""
        table = simulated_table(rng, [1, 1])
        result = reseed.compare(table, metric="auroc", scope="trained_models", run_sd=0.02)
        pair, document = result.pairs.iloc[0], result.to_json()["pairs"][0]

        error = document["with_run_sd"]["standard_error"]
        assert error == pytest.approx(np.sqrt(pair["standard_error"] ** 2 + 2 * 0.02**2))
        assert document["with_run_sd"]["low"] < pair["low"]
        assert document["with_run_sd"]["p_value"] > pair["p_value"]
        with pytest.raises(UserError, match="lacks 'B'"):
            reseed.compare(table, metric="auroc", scope="trained_models", run_sd={"A": 0.01})


def test_undefined_resamples_are_counted(rng):
    """With two positives some resamples have none: left out, counted, said."""
    reference = np.array([1, 1, *[0] * 10])
    table = case_table(rng.normal(size=(12, 2)) + reference[:, None], [1, 1], reference)

    result = reseed.compare(table, metric="auroc", scope="trained_models", test="bootstrap_percentile")

    assert result.details["n_undefined"][0] > 100
    assert any("bootstrap resamples, which were left out" in warning for warning in result.warnings)
    stratified = reseed.compare(
        table, metric="auroc", scope="trained_models", test="bootstrap_percentile_stratified"
    )
    assert stratified.details["n_undefined"][0] == 0
