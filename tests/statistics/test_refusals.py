"""What a score table may not be, and the one line that says so."""

import numpy as np
import pytest

import reseed
from reseed.contracts.errors import InvalidTable, UserError
from reseed.statistics import read_table
from tests.statistics.conftest import case_table, simulated_table


@pytest.fixture
def table(rng):
    return simulated_table(rng, [2, 3], n_positive=4, n_negative=5)


def refused(table, message, **settings):
    with pytest.raises(UserError, match=message) as refusal:
        reseed.compare(table, **({"metric": "auroc"} | settings))
    assert "\n" not in str(refusal.value)


def test_a_run_that_lacks_a_case(table):
    """A case missing from one run is named with its method and run."""
    refused(table.drop(index=3), "method 'A' run '0' lacks case 'c3', which another run has")


def test_duplicate_rows(table):
    """A repeated method, run and case is refused, with the way out for lesion candidates."""
    refused(
        table.iloc[[0, *range(len(table))]], "duplicate rows: method 'A' run '0' case 'c0' appears 2 times"
    )


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite(table, score):
    """NaN and infinities are named with their place."""
    table.loc[5, "score"] = score
    refused(table, "every score must be a finite number, method 'A', run '0', case 'c5' has")


def test_scores_that_are_not_numbers(table):
    """Text in a number column is quoted."""
    refused(
        table.astype({"score": object}).replace({"score": {table["score"][1]: "high"}}), "row 2 has 'high'"
    )


def test_a_reference_that_differs_between_runs(table):
    """The case whose reference differs is named."""
    table.loc[0, "reference"] = 0
    refused(table, "reference of case 'c0' differs between rows; it must be the same in every run")


def test_a_reference_that_is_no_class(table):
    """A reference is 0 or 1."""
    table.loc[0, "reference"] = 2
    refused(table, "column 'reference' must be 0 or 1, row 1 has 2")


def test_one_class_only(table):
    """A metric of two classes needs both."""
    table["reference"] = 1
    refused(table, "must hold both classes, every row has 1")


@pytest.mark.parametrize("scope", ["population", "test_set"])
def test_a_single_run(table, scope):
    """A scope over retrainings needs several runs of every method."""
    table = table[(table["method"] == "B") | (table["run"] == "0")]
    refused(table, f"method 'A' needs two or more runs for scope '{scope}', got 1", scope=scope)


def test_unknown_and_missing_columns(table):
    """Columns are those of the contract, no more and no fewer."""
    refused(table.assign(fold=1), "unknown column 'fold'; allowed: method, run, case, score, reference")
    refused(table.drop(columns="run"), "lacks column 'run'")
    refused(table.drop(columns="reference"), "metric 'auroc' needs column 'reference'")


def test_an_empty_table(table):
    """No rows, no comparison."""
    refused(table.iloc[:0], "must have rows, got none")


def test_an_empty_label(table):
    """Every row has a method, a run and a case."""
    table.loc[2, "case"] = " "
    refused(table, "column 'case' must not be empty, row 3 is")


def test_one_method_only(table):
    """A comparison needs two."""
    refused(table[table["method"] == "B"], "needs two or more methods, got 'B' only")


def test_patients_and_weights_that_disagree(table):
    """Patient and weight belong to the case, whatever the run."""
    refused(table.assign(patient=np.arange(len(table))), "patient of case 'c0' differs between rows")
    refused(table.assign(weight=-1.0), "column 'weight' must be finite and not negative, row 1 has -1")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"metric": "aurco"},
            "unknown metric 'aurco'; known: mean, dsc|unknown metric 'aurco'; known: auroc",
        ),
        ({"scope": "patients"}, "scope must be one of population, test_set, trained_models, got 'patients'"),
        ({"test": "delong"}, "test of scope 'population' must be one of .*, got 'delong'"),
        ({"baseline": "C"}, "baseline must be one of A, B, got 'C'"),
        ({"adjust": "bonferroni"}, "unknown adjustment 'bonferroni'"),
        ({"adjust": "dunnett"}, "name the baseline"),
        ({"covariance": "exact"}, "covariance must be one of"),
        ({"alternative": "bigger"}, "alternative must be"),
        ({"confidence_level": 95}, r"confidence_level must lie in \[.5, 1\), got 95"),
        ({"margin": -0.1}, "margin must be a positive number"),
        ({"run_sd": 0.01}, "run_sd belongs to scope 'trained_models'"),
        ({"metric": "ap", "covariance": "delong"}, "covariance 'delong' is for AUROC only"),
        (
            {"metric": "auroc", "scope": "trained_models", "test": "paired_t"},
            "is for means of per-case values",
        ),
    ],
)
def test_settings(table, settings, message):
    """A wrong argument is named with what it may be and what arrived."""
    refused(table, message, **settings)


def test_an_undefined_leave_one_out(rng):
    """A jackknife that would lose its only positive is refused, not NaN."""
    score = rng.normal(size=(6, 4))
    refused(case_table(score, [2, 2], np.array([1, 0, 0, 0, 0, 0])), "defined when one patient is left out")


def test_files(tmp_path, table):
    """A file that is absent, of another type or torn is refused; CSV and Parquet give the same table."""
    with pytest.raises(InvalidTable, match="must be a file"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "scores.txt").write_text("method")
    with pytest.raises(InvalidTable, match=r"must end in \.csv"):
        read_table(tmp_path / "scores.txt")
    (tmp_path / "torn.csv").write_text('a,b\n"1')
    with pytest.raises(InvalidTable, match="cannot be read as CSV"):
        read_table(tmp_path / "torn.csv")
    table.to_csv(tmp_path / "scores.csv", index=False)
    table.to_parquet(tmp_path / "scores.parquet")
    from_csv = reseed.compare(read_table(tmp_path / "scores.csv"), metric="auroc")
    from_parquet = reseed.compare(read_table(tmp_path / "scores.parquet"), metric="auroc")
    assert from_csv.to_json() == from_parquet.to_json() == reseed.compare(table, metric="auroc").to_json()
