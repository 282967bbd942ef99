"""VanDyke's MRMC data, readers made unique per treatment: the published numbers of nested runs."""

import json

import numpy as np
import pandas as pd
import pytest

import reseed
from reseed.statistics.binding import bound_kernel
from reseed.statistics.covariance import (
    bootstrap_covariance,
    delong_covariance,
    jackknife_covariance,
    unbiased_covariance,
)
from reseed.statistics.crossed import crossed_analysis
from reseed.statistics.metric import resolved_metric
from reseed.statistics.obuchowski_rockette import pooled_analysis, run_moments, welch_difference
from reseed.statistics.table import checked_scores

pytestmark = pytest.mark.shared_data
ESTIMATORS = {"jackknife": jackknife_covariance, "delong": delong_covariance, "unbiased": unbiased_covariance}
FILES = {"jackknife": "jackknife", "delong": "DeLong", "unbiased": "unbiased"}


@pytest.fixture(scope="module")
def kernel(vandyke):
    metric = resolved_metric("auroc")
    return bound_kernel(metric, checked_scores(vandyke, metric))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_covariance_matrix(oracles, kernel, estimator):
    """
    Every entry of Σ agrees with the reference matrix.
    """
    expected = pd.read_csv(oracles / f"ref_vandyke_cov_{FILES[estimator]}.csv", index_col=0).to_numpy()

    np.testing.assert_allclose(ESTIMATORS[estimator](kernel), expected, rtol=1e-8, atol=1e-15)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("truncate", [True, False])
def test_nested_analysis(oracles, kernel, estimator, truncate):
    """
    Mean squares, covariances, F, df and p of the nested analysis agree to 8 digits and more.
    """
    document = json.loads((oracles / "vandyke_nested_obuchowski_rockette.json").read_text())
    expected = document["vandyke"][FILES[estimator]]["trunc" if truncate else "notrunc"]
    moments = run_moments(kernel.observed(), ESTIMATORS[estimator](kernel), kernel.layout.method_of_run)

    found = pooled_analysis(moments, truncate=truncate)

    names = {
        "MS_T": found.ms_t,
        "MS_R_in_T": found.ms_r,
        "var_error": found.var_error,
        "cov2": found.cov2,
        "cov3": found.cov3,
        "den": found.den,
        "F": found.f,
        "df2": found.df2,
        "p": found.p_value,
        "var_run": found.ms_r - found.var_error + found.cov2,
    }
    for name, value in names.items():
        assert value == pytest.approx(expected[name], rel=1e-10), name


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_compare_gives_the_nested_difference(oracles, vandyke, estimator):
    """
    `reseed.compare` with the pooled test gives the reference difference, SE, df, t, p and interval.
    """
    document = json.loads((oracles / "vandyke_nested_obuchowski_rockette.json").read_text())
    expected = document["vandyke"][FILES[estimator]]["trunc"]

    result = reseed.compare(
        vandyke, metric="auroc", test="obuchowski_rockette", covariance=estimator, baseline="2"
    )

    pair = result.pairs.iloc[0]
    assert pair["difference"] == pytest.approx(expected["diff"], rel=1e-10)
    assert pair["standard_error"] == pytest.approx(expected["se"], rel=1e-10)
    assert pair["df"] == pytest.approx(expected["df2"], rel=1e-10)
    assert pair["statistic"] == pytest.approx(expected["t"], rel=1e-10)
    assert pair["p_value"] == pytest.approx(expected["p"], rel=1e-10)
    assert [pair["low"], pair["high"]] == pytest.approx(expected["ci"], rel=1e-10)
    assert result.overall is not None
    assert result.overall["p_value"] == pytest.approx(expected["p"], rel=1e-10)


def test_sign_of_the_case_term_is_plus(vandyke):
    """
    The nested p value is .2017237260; with 1 - r in place of plus r it would be far smaller.
    """
    pair = reseed.compare(vandyke, metric="auroc", test="obuchowski_rockette").pairs.iloc[0]

    assert pair["p_value"] == pytest.approx(0.2017237260, abs=5e-11)


def test_u_statistic_identity(kernel):
    """
    Without truncation and with the unbiased Σ, SE² is the U-statistic variance for independent readers.
    """
    moments = run_moments(kernel.observed(), unbiased_covariance(kernel), kernel.layout.method_of_run)

    assert welch_difference(moments, 0, 1, truncate=False).standard_error ** 2 == pytest.approx(
        0.00104192410578105, abs=1e-12
    )
    pooled = pooled_analysis(moments, truncate=False)
    assert 2 * pooled.den / pooled.r == pytest.approx(0.00104192410578105, abs=1e-12)


def test_single_methods_agree_with_or_dbm(vandyke):
    """
    Single-treatment intervals of the crossed program OR-DBM MRMC 2.5 (its part c) are the nested ones.
    """
    methods = reseed.compare(vandyke, metric="auroc").methods

    assert methods["standard_error"].tolist() == pytest.approx([0.03317360, 0.02156637], abs=5e-9)
    assert methods["low"].tolist() == pytest.approx([0.82522360, 0.89413783], abs=5e-9)
    assert methods["high"].tolist() == pytest.approx([0.96885048, 0.98753689], abs=5e-9)


@pytest.mark.parametrize(("estimator", "name"), [("jackknife", "jackknife"), ("delong", "DeLong")])
def test_fixed_runs(oracles, vandyke, estimator, name):
    """
    With the runs fixed the test is the fixed-reader z test of the reference.
    """
    document = json.loads((oracles / "vandyke_nested_obuchowski_rockette.json").read_text())
    expected = document["vandyke"][name]["fixed_runs_z"]

    result = reseed.compare(
        vandyke, metric="auroc", scope="trained_models", test="wald", covariance=estimator, baseline="2"
    )

    assert result.pairs["statistic"].item() == pytest.approx(expected["z"], rel=1e-10)
    assert result.pairs["p_value"].item() == pytest.approx(expected["p"], rel=1e-10)


def test_bootstrap_covariance_is_near_the_unbiased(kernel, rng):
    """
    Σ from shared resamples agrees with the unbiased Σ within its Monte Carlo error.
    """
    found = bootstrap_covariance(kernel, 4000, rng)

    assert found.n_undefined == 0
    np.testing.assert_allclose(
        np.diag(found.matrix), np.diag(unbiased_covariance(kernel)), rtol=0.15, atol=1e-6
    )


class TestCrossed:
    """The data as they were read: five readers crossed with two treatments (OR-DBM MRMC 2.5, iMRMC 2.1.2)."""

    @pytest.mark.parametrize(
        ("estimator", "p_value"),
        [("jackknife", 0.05166568582), ("delong", 0.05123303082), ("unbiased", 0.05116180235)],
    )
    def test_random_readers_and_cases(self, kernel, estimator, p_value):
        """The p value under each covariance."""
        found = crossed_analysis(kernel.observed().reshape(2, 5), ESTIMATORS[estimator](kernel))

        assert found.p_value == pytest.approx(p_value, rel=1e-9)

    def test_components(self, kernel):
        """Mean squares, covariances, F, df and the analyses with readers or cases fixed."""
        found = crossed_analysis(kernel.observed().reshape(2, 5), jackknife_covariance(kernel))

        expected = {
            "ms_t": 0.004796170532,
            "ms_tr": 0.0005510306217,
            "cov1": 0.0003466137094,
            "cov2": 0.0003440748289,
            "cov3": 0.0002390283709,
            "var_error": 0.0008022882656,
            "f": 4.456318693,
            "df2": 15.25967459,
            "p_value": 0.05166568582,
            "p_fixed_runs": 0.01927984307,
            "p_fixed_cases": 0.04195875249,
        }
        for name, value in expected.items():
            assert getattr(found, name) == pytest.approx(value, rel=3e-10), name
        assert kernel.observed().reshape(2, 5).mean(axis=1) == pytest.approx(
            [0.89703704, 0.94083736], abs=5e-9
        )

    def test_u_statistic_identity(self, kernel):
        """Without truncation and with the unbiased Σ, SE² is iMRMC's variance for crossed readers."""
        theta = kernel.observed().reshape(2, 5)
        found = crossed_analysis(theta, unbiased_covariance(kernel), truncate=False)

        assert found.standard_error**2 == pytest.approx(0.000427312516744969, abs=1e-12)
