"""The seed paper's own tables, from its digitised run scores and p values."""

import numpy as np
import pandas as pd
import pytest

import reseed
from reseed.contracts.errors import UserError
from reseed.statistics import ErrorTerms
from reseed.statistics.calibration.findings import rate

LEADERBOARD = [0.757, 0.752, 0.752, 0.742, 0.740]


@pytest.fixture(scope="module")
def run_scores(oracles):
    scores = pd.read_csv(oracles / "bosma2023_run_scores_digitized.csv")
    return scores[scores["level"] == "ensemble"].groupby("task_metric")["score"].apply(np.array)


@pytest.fixture(scope="module")
def p_values(oracles):
    return pd.read_csv(oracles / "bosma2023_fig5_bootstrap_pvalues_digitized.csv")


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "mean", "sd", "spread"),
    [
        ("csPCa_case_AUROC", 0.895, 0.008, 2.3),
        ("csPCa_lesion_AP", 0.593, 0.027, None),
        ("PaC_case_AUROC", 0.903, 0.012, 3.8),
        ("PaC_lesion_AP", 0.601, 0.016, None),
        ("LNm_case_AUROC", 0.913, 0.005, 1.7),
        ("LNm_lesion_AP", 0.567, 0.004, None),
        ("LNm_lesion_AUROC", 0.920, 0.004, None),
        ("prostate_DSC", 0.874, 0.006, 1.9),
        ("pancreas_DSC", 0.815, 0.001, 0.2),
    ],
)
def test_spread_over_runs(run_scores, name, mean, sd, spread):
    """Mean, SD (ddof 0) and best minus worst of every task and metric, to the digits printed."""
    scores = run_scores[name]

    assert scores.mean() == pytest.approx(mean, abs=5.5e-4)
    assert scores.std(ddof=0) == pytest.approx(sd, abs=5.5e-4)
    if spread is not None:
        assert 100 * np.ptp(scores) == pytest.approx(spread, abs=0.06)


@pytest.mark.shared_data
def test_false_claims_of_the_convention(p_values):
    """
    26 of 174 one-sided p values lie below .05, Wald interval .0964 to .2024; 12 below .01 and 3 below .001
    within the .004 to which the figure can be read.
    """
    p = p_values["p_one_sided_H0_baseline_ge_alternative"]

    assert [len(p), int((p < 0.05).sum())] == [174, 26]
    for level, count in ((0.01, 12), (0.001, 3)):
        assert (p < level - 0.004).sum() <= count <= (p < level + 0.004).sum()
    share = 26 / 174
    half = 1.959964 * np.sqrt(share * (1 - share) / 174)
    assert [share - half, share + half] == pytest.approx([0.0964, 0.2024], abs=1e-4)
    assert rate(26, 174).share == pytest.approx(0.1494, abs=1e-4)


@pytest.mark.shared_data
def test_two_sided_false_claims(p_values):
    """The same p values two-sided refuse 18 of 87 pairs."""
    p = p_values.set_index(["task", "alternative_model", "baseline_model"]).iloc[:, 0]
    pairs = {(task, *sorted(models)) for task, *models in p.index}
    two_sided = [2 * min(p[task, a, b], p[task, b, a]) for task, a, b in pairs]

    assert len(two_sided) == 87
    assert sum(value < 0.05 for value in two_sided) == 18


def test_win_probability():
    """First place of PI-CAI's leaderboard would be kept with 38 to 40 % at σ = .013."""
    found = reseed.win_probability(LEADERBOARD, 0.013)

    assert found["1"] == pytest.approx(0.396, abs=0.005)
    assert 0.38 <= found["1"] <= 0.40
    assert sum(found.values()) == pytest.approx(1)


def test_win_probability_of_a_tie_and_of_certainty():
    """Equal scores without spread share the win; by name and in order the same."""
    assert reseed.win_probability({"a": 0.5, "b": 0.5}, 0.0) == {"a": 0.5, "b": 0.5}
    assert reseed.win_probability({"a": 0.4, "b": 0.5}, [0.0, 0.0], higher_is_better=False)["a"] == 1
    with pytest.raises(UserError, match="finite"):
        reseed.win_probability([0.5, np.nan], 0.1)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "for_one", "for_two"),
    [("csPCa_case_AUROC", 12, 4), ("PaC_case_AUROC", 28, 8), ("LNm_case_AUROC", 5, 3)],
)
def test_runs_needed(run_scores, name, for_one, for_two):
    """Runs a method for 80 % power to see .01 and .02 when methods share their hard cases."""
    terms = ErrorTerms(run_scores[name].var(ddof=1), 0.0, 0.0, 300)

    assert reseed.power(terms, difference=0.01).runs_needed == for_one
    assert reseed.power(terms, difference=0.02).runs_needed == for_two
