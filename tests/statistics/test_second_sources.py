"""Numbers of R packages, run where R is installed and stored elsewhere, and of picai_eval."""

import json

import numpy as np
import pandas as pd
import pytest

import reseed
from reseed.statistics import obuchowski_rockette as nested
from reseed.statistics.metric import resolved_metric
from reseed.statistics.permutation import permutation_p, permutation_test
from reseed.statistics.sample import observed_sample
from reseed.statistics.table import checked_scores
from tests.statistics.r_programs import (
    COIN,
    LMER,
    PROC,
    PROC_INTERVAL,
    nearly_perfect_scores,
    overlap_table,
    paired_ratings,
    r_numbers,
    run_scores,
)

# printed by R 4.2.2 with pROC 1.18.0, coin 1.4-2, lme4 1.1-31, lmerTest 3.1-3
STORED_PROC = [
    0.804166666666667,
    0.776666666666667,
    0.00388138989715668,
    0.00460618068158903,
    0.00342998840492035,
    -0.68164724624842,
    0.495462032355102,
]
STORED_PROC_INTERVAL = [0.76426202195629, 0.9375, 1]
STORED_COIN_ONE_SIDED = [0.038961038961039, 0.0476190476190476, 0.96969696969697, 0.965367965367965]
STORED_LMER = [0.0223316061529954, 0.0107385548098507]


def delong_numbers():
    ratings = paired_ratings().reset_index()
    table = ratings.melt(["case", "reference"], ["A", "B"], var_name="method", value_name="score").assign(
        run="0"
    )
    metric = resolved_metric("auroc")
    sample = observed_sample(
        checked_scores(table, metric), metric, estimator="delong", rng=np.random.default_rng(0)
    )
    pair = reseed.compare(table, metric="auroc", scope="trained_models", test="delong").pairs.iloc[0]
    sigma = sample.sigma
    return [*sample.theta, sigma[0, 0], sigma[1, 1], sigma[0, 1], pair["statistic"], pair["p_value"]]


def nearly_perfect_interval():
    one = nearly_perfect_scores()
    table = pd.concat([one, one.assign(method="B", score=one["score"].round())])
    method = reseed.compare(table, metric="auroc", scope="trained_models", covariance="delong").methods.iloc[
        0
    ]
    return [method["low"], method["mean"], method["high"]]


def one_sided_permutations():
    score = run_scores()["score"].to_numpy()
    return [
        permutation_p(score[:6], score[6:], statistic=statistic, alternative=alternative)
        for alternative in ("greater", "less")
        for statistic in ("mean_difference", "mann_whitney")
    ]


def nested_difference():
    pair = reseed.compare(overlap_table(), metric="dsc", test="obuchowski_rockette").pairs.iloc[0]
    return [pair["difference"], pair["standard_error"]]


class TestStoredNumbers:
    def test_delong(self):
        """AUROCs, variances, covariance, z and p of pROC's paired DeLong test."""
        assert delong_numbers() == pytest.approx(STORED_PROC, rel=1e-10)

    def test_interval_of_one_method(self):
        """The interval of an AUROC near 1, which is cut at 1."""
        assert nearly_perfect_interval() == pytest.approx(STORED_PROC_INTERVAL, rel=1e-10)

    def test_permutation(self):
        """One-sided exact p values of coin's oneway and Wilcoxon tests, with a tie."""
        assert one_sided_permutations() == pytest.approx(STORED_COIN_ONE_SIDED, abs=1e-12)

    def test_mixed_model(self):
        """Difference and standard error of lmerTest's model of nested runs and crossed cases."""
        assert nested_difference() == pytest.approx(STORED_LMER, abs=1e-6)


@pytest.mark.r
class TestAgainstR:
    def test_delong(self, tmp_path):
        """pROC, run now."""
        assert delong_numbers() == pytest.approx(
            r_numbers(PROC, paired_ratings(), tmp_path, "pROC"), rel=1e-10
        )

    def test_interval_of_one_method(self, tmp_path):
        """pROC, run now."""
        numbers = r_numbers(PROC_INTERVAL, nearly_perfect_scores(), tmp_path, "pROC")

        assert nearly_perfect_interval() == pytest.approx(numbers, rel=1e-10)

    def test_permutation(self, tmp_path):
        """coin, run now; its two-sided p differs by definition when run counts do."""
        numbers = r_numbers(COIN, run_scores(), tmp_path, "coin")

        assert one_sided_permutations() == pytest.approx(numbers[2:], abs=1e-12)

    def test_mixed_model(self, tmp_path):
        """lmerTest, run now."""
        numbers = r_numbers(LMER, overlap_table(), tmp_path, "lme4", "lmerTest")

        assert nested_difference() == pytest.approx(numbers, abs=1e-6)


@pytest.mark.shared_data
class TestDiceLikeNested:
    @pytest.fixture
    def table(self, oracles):
        return pd.read_csv(oracles / "dice_like_nested.csv").rename(columns={"value": "score"})

    def test_lmer(self, table):
        """Difference and SE agree with lmerTest to 1e-6; Hillis df and p with the reference to 8 digits."""
        pair = reseed.compare(table, metric="dsc", test="obuchowski_rockette").pairs.iloc[0]

        assert pair["difference"] == pytest.approx(0.00753933500, abs=1e-6)
        assert pair["standard_error"] == pytest.approx(0.0067370064, abs=1e-6)
        assert pair["standard_error"] == pytest.approx(0.006737003454, rel=1e-8)
        assert pair["df"] == pytest.approx(15.77947626, rel=1e-8)
        assert pair["p_value"] == pytest.approx(0.279847129, rel=1e-8)

    def test_variance_components(self, table):
        """Components of means are those of the ANOVA table, divided by the number of cases."""
        found = reseed.variance_components(table, metric="dsc").components.set_index("component")["estimate"]

        assert found["run"] == pytest.approx(7.104047836e-05, rel=1e-8)
        assert found["method × case"] * 40 == pytest.approx(0.0002614025203, rel=1e-8)
        assert found["run × case"] * 40 == pytest.approx(0.0003900898181, rel=1e-8)
        assert found["case"] * 40 == pytest.approx(0.003587873148, rel=1e-8)

    def test_fixed_cases(self, table):
        """With the cases fixed the run-level Welch and pooled t tests come out."""
        metric = resolved_metric("dsc")
        sample = observed_sample(
            checked_scores(table, metric), metric, estimator="jackknife", rng=np.random.default_rng(0)
        )
        welch = nested.fixed_cases_difference(sample.moments, 1, 0)
        test = permutation_test(sample.runs_of(1), sample.runs_of(0), statistic="studentised")

        assert welch.df == pytest.approx(4.441363372, rel=1e-8)
        assert welch.value / welch.standard_error == pytest.approx(1.326224115, rel=1e-8)
        assert test.statistic == pytest.approx(1.326224115, rel=1e-8)


@pytest.mark.shared_data
class TestPicaiCases:
    @pytest.fixture
    def expected(self, oracles):
        return json.loads((oracles / "picai_eval_cases" / "metrics-expected.json").read_text())

    @pytest.fixture
    def table(self, expected):
        """Candidates as picai_eval lists them, and each case's own score with no reference."""
        rows = []
        for case, lesions in expected["lesion_results"].items():
            rows += [(case, score if score > 0 else np.nan, is_lesion) for is_lesion, score, _ in lesions]
            rows.append((case, expected["case_pred"][case], np.nan))
        frame = pd.DataFrame(rows, columns=["case", "score", "reference"])
        return pd.concat(
            [frame.assign(method=method, run=run) for method in "AB" for run in "12"], ignore_index=True
        )

    def test_metrics(self, table, expected):
        """AP, AUROC and score of the crafted cases, exactly."""
        picai_eval = pytest.importorskip("picai_eval")
        peer = picai_eval.Metrics(
            expected["lesion_results"],
            case_target=expected["case_target"],
            case_pred=expected["case_pred"],
        )
        for metric, value in (
            ("case_auroc", peer.auroc),
            ("lesion_ap", peer.AP),
            ("picai_score", peer.score),
        ):
            found = reseed.compare(table, metric=metric, scope="test_set").methods["mean"].to_list()
            assert found == [value, value]
        assert [peer.auroc, peer.AP] == [expected["auroc"], expected["AP"]]


def test_picai_eval_on_random_candidates(rng):
    """AP, case AUROC and score equal picai_eval's on random candidates with ties and misses, to 1e-12."""
    picai_eval = pytest.importorskip("picai_eval")
    lesions: dict[str, list[tuple[int, float, float]]] = {}
    for k in range(60):
        rows = [(1, float(rng.integers(0, 8)) / 8, 0.5) for _ in range(rng.integers(0, 3))]
        rows += [(0, float(rng.integers(1, 8)) / 8, 0.0) for _ in range(rng.integers(0, 3))]
        lesions[f"c{k:02d}"] = rows
    listed = [
        (case, score, is_lesion)
        for case, found in lesions.items()
        for is_lesion, score, _ in found or [(0, 0.0, 0.0)]
    ]
    frame = pd.DataFrame(listed, columns=["case", "score", "reference"])
    table = pd.concat([frame.assign(method=method, run=run) for method in "AB" for run in "12"])
    peer = picai_eval.Metrics(lesions)

    for metric, value in (("case_auroc", peer.auroc), ("lesion_ap", peer.AP), ("picai_score", peer.score)):
        found = reseed.compare(table, metric=metric, scope="test_set").methods["mean"].to_list()
        assert found == pytest.approx([value, value], abs=1e-12)
