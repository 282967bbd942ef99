"""Results as JSON and as words."""

import json
import math

import numpy as np
import pandas as pd
import pytest

import reseed
from reseed.contracts.errors import UserError
from reseed.statistics import answerable_scopes, power_lines, single_run_estimate, standings, summary_lines
from reseed.statistics.design import ErrorTerms
from reseed.statistics.metric import resolved_metric
from reseed.statistics.result import PAIR_COLUMNS
from reseed.statistics.settings import Scope
from reseed.statistics.words import APART, conclusion, number, p_words, power_sentence
from tests.statistics.conftest import case_table, simulated_table

SCOPES = [scope.value for scope in Scope]


def dice(reference, score, weights):
    """A metric of a user's own, with the name of one of ours."""
    return float((weights * (score - reference) ** 2).sum() / weights.sum())


def finite(value):
    if isinstance(value, dict):
        return all(isinstance(key, str) and finite(item) for key, item in value.items())
    if isinstance(value, list):
        return all(finite(item) for item in value)
    return (
        value is None
        or isinstance(value, (str, bool, int))
        or (isinstance(value, float) and math.isfinite(value))
    )


@pytest.mark.parametrize(
    ("scope", "counts"),
    [*((scope, counts) for scope in SCOPES for counts in ((3, 4), (3, 3, 3))), ("trained_models", (1, 1))],
)
def test_documents_are_finite_json(rng, scope, counts):
    """Whatever the scope and the run counts, the document is finite JSON with the contract's keys."""
    table = simulated_table(rng, list(counts))

    document = reseed.compare(
        table, metric="auroc", scope=scope, margin=0.05, alternative="greater"
    ).to_json()

    assert finite(document)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert set(PAIR_COLUMNS) <= set(document["pairs"][0])
    assert {"mean", "sd", "low", "high", "runs", "sentence", "rank", "group"} <= set(document["methods"][0])
    assert len(document["methods"][0]["runs"]) == counts[0]
    assert document["scope_words"] == Scope(scope).words
    assert document["pairs"][0]["margin"]["sentence"]
    assert (document["pairs"][0]["power"] is None) == (1 in counts)


def test_pairs_have_the_contracts_columns(rng):
    """`pairs` has the columns of the contract, in order."""
    assert tuple(reseed.compare(simulated_table(rng, [2, 2]), metric="auroc").pairs.columns) == PAIR_COLUMNS


def test_results_are_frozen(rng):
    """A result cannot be changed."""
    result = reseed.compare(simulated_table(rng, [2, 2]), metric="auroc")
    with pytest.raises(AttributeError):
        result.warnings = ()  # type: ignore[misc]


class TestSummary:
    def test_every_conclusion_names_its_scope(self, rng):
        """Three lines a pair, one for each scope, then single runs, then what it would take."""
        table = simulated_table(rng, [5, 5])
        lines = summary_lines({scope: reseed.compare(table, metric="auroc", scope=scope) for scope in SCOPES})

        assert lines[0] == "AUROC, 5 runs a method, 50 cases"
        assert "if retrained and shown new patients" in lines[1]
        start = next(i for i, line in enumerate(lines) if " = +" in line)
        for line, scope in zip(lines[start + 1 : start + 4], Scope, strict=True):
            assert line.startswith(f"  {scope.words}")
            assert " to " in line
            assert line.endswith((APART, "is better"))
        assert "of the 25 pairs of single runs claim a difference at .05" in lines[start + 4]
        assert (
            "of the 20 pairs of two retrainings of the same method (should be 5 %: 1.0)" in lines[start + 5]
        )
        assert lines[start + 6].startswith("To see a true difference of .010 with 80 % power:")

    def test_the_better_method_stands_first(self, rng):
        """A pair is shown with the difference positive, its limits turned with it."""
        score = np.concatenate([rng.normal(0.9, 0.01, (20, 4)), rng.normal(0.7, 0.01, (20, 4))], axis=1)
        lines = summary_lines({"population": reseed.compare(case_table(score, [4, 4]), metric="dsc")})

        assert any(line.startswith("A − B = +") for line in lines)
        assert any("A is better" in line for line in lines)

    def test_patients_and_warnings(self, rng):
        """Patients are counted; warnings come last."""
        table = simulated_table(rng, [3, 3]).assign(patient=lambda t: t["case"].str[:2])
        lines = summary_lines({"test_set": reseed.compare(table, metric="auroc", scope="test_set")})

        assert lines[0].endswith("50 cases of 10 patients")
        assert lines[-1].startswith("note: with 3 and 3 runs no permutation")

    def test_one_run_each(self, rng):
        """One run of each: no SD, no count of single runs, no power, and a warning."""
        table = simulated_table(rng, [1, 1])
        lines = summary_lines(
            {scope: reseed.compare(table, metric="auroc", scope=scope) for scope in answerable_scopes(table)}
        )

        assert answerable_scopes(table) == ["trained_models"]
        assert lines[0] == "AUROC, 1 run a method, 50 cases"
        assert not any("SD over retrainings " in line for line in lines[:4])
        assert any("not the methods" in line for line in lines)

    def test_a_margin_adds_its_sentence(self, rng):
        """With a margin every scope says what it shows of equivalence."""
        table = simulated_table(rng, [4, 4])
        results = {scope: reseed.compare(table, metric="auroc", scope=scope, margin=0.5) for scope in SCOPES}
        said = [
            line for line in summary_lines(results, case_noun="nodules") if "equivalent within .500" in line
        ]

        assert len(said) == 3
        assert summary_lines(results, case_noun="nodules")[0].endswith("50 nodules")

    def test_lower_is_better(self, rng):
        """With an error the lower mean wins, and is listed first."""
        score = np.concatenate([rng.normal(9, 0.1, (20, 4)), rng.normal(12, 0.1, (20, 4))], axis=1)
        lines = summary_lines({"population": reseed.compare(case_table(score, [4, 4]), metric="hd95")})

        assert lines[1].split()[0] == "A"
        assert any(line.startswith("To see a true difference of .500") for line in lines)
        assert any("A is better" in line for line in lines)


def test_a_test_names_its_scope(rng):
    """A named test belongs to one scope; without one all three are answered."""
    table = simulated_table(rng, [2, 2])

    assert answerable_scopes(table) == SCOPES
    assert answerable_scopes(table, "mann_whitney") == ["test_set"]
    assert answerable_scopes(table, "delong") == ["trained_models"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.9154, ".915"),
        (-0.004, "−.004"),
        (12.3456, "12.35"),
        (1.25, "1.250"),
        (math.nan, "unknown"),
        (0.0, ".000"),
    ],
)
def test_numbers(value, text):
    """Metric values are written as papers write them."""
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.51, "p .51"), (0.0312, "p .031"), (0.0002, "p < .001"), (1.0, "p 1.00"), (math.nan, "p unknown")],
)
def test_p_values(value, text):
    """P values have no leading zero and no false precision."""
    assert p_words(value) == text


@pytest.mark.parametrize(
    ("difference", "p_value", "higher", "ending"),
    [
        (0.1, 0.01, True, "A is better than B."),
        (0.1, 0.01, False, "B is better than A."),
        (-0.1, 0.01, True, "B is better than A."),
        (0.1, 0.2, True, "A and B cannot be told apart."),
        (0.1, math.nan, True, "A and B cannot be told apart."),
    ],
)
@pytest.mark.parametrize("scope", list(Scope))
def test_conclusions(difference, p_value, higher, ending, scope):
    """A conclusion names winner and scope, and claims nothing above the level."""
    said = conclusion(("A", "B"), difference, p_value, level=0.05, higher_is_better=higher, scope=scope)

    assert said.endswith(ending)
    assert said.lower().startswith(scope.claim)


def test_power_words():
    """Few runs, more patients, or neither: each has its sentence."""
    assert "5 runs a method would do" in power_sentence(ErrorTerms(2.4e-5, 0, 0, 300), 0.01, 8, "patients")
    no_runs = power_sentence(ErrorTerms(1e-5, 1e-5, 1e-4, 300), 0.01, 8, "patients")
    assert "no number of runs is enough with these patients; about" in no_runs
    never = power_sentence(ErrorTerms(1.0, 0, 1e-3, 300), 0.001, 2, "cases")
    assert never.endswith("nor is any number of cases with 20 runs a method.")


def test_power_lines(rng):
    """The plan's lines hold a table of power and end with the answer."""
    plan = reseed.power(simulated_table(rng, [4, 4]), metric="auroc", difference=0.05)
    lines = power_lines(plan)

    assert lines[-1] == plan.sentence
    assert sum("cases" in line and " %" in line for line in lines) >= 3


class TestBounds:
    @pytest.mark.parametrize(
        ("metric", "bounds"),
        [
            ("auroc", (0, 1)),
            ("picai_score", (0, 1)),
            ("auroc+ap", (0, 1)),
            ("dsc", (0, 1)),
            ("hd95", (0, math.inf)),
            ("masd+hd95", (0, math.inf)),
            ("mean:volume", (-math.inf, math.inf)),
            (dice, (-math.inf, math.inf)),
        ],
    )
    def test_of_each_metric(self, metric, bounds):
        """What it can be, as far as its name says."""
        assert resolved_metric(metric).bounds == bounds

    @pytest.mark.parametrize("values", [(1.0, 0.5), (0.0, 0.5)])
    def test_intervals_end_there(self, values):
        """Those of methods, in a comparison and on a leaderboard; a difference has its own."""
        table = case_values(values)

        methods = reseed.compare(table, metric="dsc").methods
        unbounded = reseed.compare(table, metric="mean:dsc").methods

        assert (unbounded["low"].min() < 0) or (unbounded["high"].max() > 1)
        assert methods["low"].tolist() == unbounded["low"].clip(lower=0).tolist()
        assert methods["high"].tolist() == unbounded["high"].clip(upper=1).tolist()
        assert methods["standard_error"].tolist() == unbounded["standard_error"].tolist()
        found = standings(table, metric="dsc")
        assert found.low.tolist() == methods["low"].tolist()
        assert found.high.tolist() == methods["high"].tolist()


def case_values(values):
    """Two methods of five runs on three cases, of which the first has another value than the rest."""
    usual, other = values
    rows = [
        (method, run, case, usual if case else other + run / 100)
        for method in "AB"
        for run in range(5)
        for case in range(3)
    ]
    return pd.DataFrame(rows, columns=["method", "run", "case", "score"])


class TestSingleRunEstimate:
    def test_equals_the_comparison(self, rng):
        """One run's AUROC with the jackknife error that a comparison gives it."""
        table = simulated_table(rng, [1, 1])
        own = table[table["method"] == "A"]
        found = single_run_estimate(own["reference"], own["score"], metric="auroc")
        method = reseed.compare(table, metric="auroc", scope="trained_models").methods.iloc[0]

        assert found.value == pytest.approx(method["mean"])
        assert found.standard_error == pytest.approx(method["standard_error"])
        assert 0 <= found.low < found.value < found.high <= 1

    def test_patients_are_the_units(self, rng):
        """Every case twice under one patient says no more than once."""
        reference, score = np.repeat([1, 0], 15), rng.normal(size=30) + np.repeat([1, 0], 15)
        once = single_run_estimate(reference, score, metric="auroc")
        twice = single_run_estimate(
            np.tile(reference, 2), np.tile(score, 2), [f"p{k}" for k in range(30)] * 2, metric="auroc"
        )

        assert twice.standard_error == pytest.approx(once.standard_error)

    @pytest.mark.parametrize(
        ("reference", "score", "metric"),
        [
            ([1, 1, 1], [0.1, 0.2, 0.3], "auroc"),
            ([1, 0, 1], [0.1, np.nan, 0.3], "auroc"),
            ([], [], "auroc"),
            (None, [np.nan, np.nan], "dsc"),
            (None, [0.1, 0.2], "auroc"),
        ],
    )
    def test_undefined_is_nan(self, reference, score, metric):
        """An undefined metric is NaN, not an exception."""
        assert math.isnan(single_run_estimate(reference, score, metric=metric).value)

    def test_a_lone_positive_has_a_value_and_no_error(self):
        """Without its one positive the metric is undefined: value yes, interval no."""
        found = single_run_estimate([1, 0, 0], [0.9, 0.1, 0.2], metric="auroc")

        assert found.value == 1
        assert math.isnan(found.low)

    def test_lesion_candidates(self):
        """Candidates come with their case, and are refused without."""
        reference, score, case = [1, 1, 0, 0], [0.9, np.nan, 0.8, np.nan], ["a", "a", "b", "c"]

        found = single_run_estimate(reference, score, case=case, metric="lesion_ap")

        assert found.value == pytest.approx(0.5)
        with pytest.raises(UserError, match="needs the case and the reference"):
            single_run_estimate(reference, score, metric="lesion_ap")
        with pytest.raises(UserError, match="one entry per score, got 2 for 4"):
            single_run_estimate([1, 0], score, metric="auroc")
