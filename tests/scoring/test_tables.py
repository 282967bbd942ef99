"""Score tables: rows in a fixed order, numbers that lose nothing, the same bytes every time."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from reseed.contracts.metrics import Aggregate, CaseResult, Metrics
from reseed.scoring.tables import score_csv, score_table, write_score_csv


def metrics(*results):
    """Metrics with these per-case results."""
    return Metrics(
        task="t",
        confidence_level=0.95,
        aggregates={"auroc": Aggregate(value=0.5)},
        results=tuple(CaseResult(**result) for result in results),
    )


def case(case_id, score, **more):
    """One result."""
    return {"case_id": case_id, "score": score, "reference": 1, "patient": "p", **more}


class TestScoreTable:
    def test_rows(self):
        """
        One row for each method, run and case, sorted, runs as numbers.
        """
        table = score_table(
            {
                ("b", 10): metrics(case("n1", 0.1)),
                ("b", 9): metrics(case("n2", 0.3), case("n1", 0.2, patient=None)),
                ("a", 0): metrics(case("n1", 0.4, reference=0)),
            }
        )

        assert table.columns.tolist() == ["method", "run", "case", "score", "reference", "patient"]
        assert table.drop(columns="patient").to_dict("split")["data"] == [
            ["a", 0, "n1", 0.4, 0.0],
            ["b", 9, "n1", 0.2, 1.0],
            ["b", 9, "n2", 0.3, 1.0],
            ["b", 10, "n1", 0.1, 1.0],
        ]
        assert table["patient"].isna().tolist() == [False, True, False, False]

    def test_of_nothing(self):
        """
        No run, no row, the same columns.
        """
        assert score_csv(score_table({})) == "method,run,case,score,reference,patient\n"


class TestScoreCsv:
    def test_the_text(self):
        """
        Labels are whole, an unknown patient or score is an empty cell.
        """
        table = score_table({("a", 0): metrics(case("n1", 0.1 + 0.2), case("n,2", None, patient=None))})

        assert score_csv(table) == (
            'method,run,case,score,reference,patient\na,0,"n,2",,1,\na,0,n1,0.30000000000000004,1,p\n'
        )

    def test_order_of_the_mapping_does_not_matter(self, tmp_path):
        """
        The same results give the same bytes.
        """
        runs = {("b", 1): metrics(case("n1", 1e-17)), ("a", 0): metrics(case("n1", 1.0))}
        write_score_csv(tmp_path / "one.csv", score_table(runs))
        write_score_csv(tmp_path / "two.csv", score_table(dict(reversed(runs.items()))))

        assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()

    @given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
    def test_numbers_read_back_exactly(self, scores):
        """
        Text and back loses no bit.
        """
        results = [case(f"n{index:02}", score) for index, score in enumerate(scores)]
        text = score_csv(score_table({("a", 0): metrics(*results)}))

        assert [float(row["score"]) for row in csv.DictReader(io.StringIO(text))] == scores
