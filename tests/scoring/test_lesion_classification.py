"""Lists of nodules: one number for each lesion of the reference, by order or by name."""

import json

import pytest

from reseed.contracts.containers import SubmissionPaths
from reseed.contracts.errors import InvalidDocument, InvalidPrediction
from reseed.scoring.evaluation import submission_metrics
from reseed.scoring.lesion_rows import lesion_columns
from reseed.scoring.tables import metric_tables
from reseed.scoring.tasks import read_task
from reseed.statistics import compare, single_run_estimate
from tests.scoring.submissions import TASKS, socket_value

OUTPUT = "lung-nodule-malginancy-likelihoods"
REFERENCE = """case,nodule,label,patient
s1,n1,1,p1
s1,n2,0,p1
s2,n1,0,p2
s3,n1,0,p3
s3,n2,1,p3
s4,n1,0,p4
"""
SCORES = {"s1": [0.9, 0.4], "s2": [0.5], "s3": [0.2, 0.3], "s4": [0.0]}


@pytest.fixture(scope="module")
def task():
    """The task of lung nodules in CT."""
    return read_task("lung_nodule_malignancy", TASKS)


@pytest.fixture
def scored(tmp_path, task):
    """Scores a submission of some lists."""

    def scored_lists(values, reference=REFERENCE):
        submission = SubmissionPaths(tmp_path / "input")
        jobs = []
        for case, value in values.items():
            path = submission.output_of(case, f"{OUTPUT}.json")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(value))
            jobs.append(
                {
                    "pk": case,
                    "inputs": [
                        socket_value("nodule-locations", "nodule-locations.json"),
                        socket_value("chest-ct", "images/chest-ct", image={"name": f"{case}.mha"}),
                    ],
                    "outputs": [socket_value(OUTPUT, f"{OUTPUT}.json")],
                }
            )
        submission.predictions.write_text(json.dumps(jobs))
        (tmp_path / "truth").mkdir(exist_ok=True)
        (tmp_path / "truth" / "reference.csv").write_text(reference)
        return submission_metrics(submission, tmp_path / "truth", task)

    return scored_lists


class TestNumbers:
    def test_by_hand(self, scored):
        """
        Positives .9 and .3 among negatives .5 .4 .2 0; cases .9 and .3 against .5 and 0.
        """
        aggregates = scored(SCORES).aggregates

        assert aggregates["lesion_auroc"].value == pytest.approx((4 + 2) / 8)
        assert aggregates["fixed_lesion_ap"].value == pytest.approx((1 + 2 / 4) / 2)
        assert aggregates["case_auroc"].value == pytest.approx((2 + 1) / 4)

    def test_by_name(self, scored):
        """
        A mapping of names gives what the list gives.
        """
        assert scored({**SCORES, "s3": {"n2": 0.3, "n1": 0.2}}) == scored(SCORES)

    def test_statistics_agree(self, scored):
        """
        The score table gives the same numbers, also for a nodule of likelihood 0.
        """
        metrics = scored(SCORES)
        columns = lesion_columns(metrics.results)

        for metric, aggregate in metrics.aggregates.items():
            found = single_run_estimate(
                columns.reference, columns.score, columns.patient, metric=metric, case=columns.case
            )
            assert found.value == pytest.approx(aggregate.value, abs=1e-15)
        tables = metric_tables({("a", 0): metrics, ("b", 0): metrics}, metrics.aggregates)
        assert compare(tables[0].table, metric="case_auroc", scope="trained_models").to_json()


class TestRefusals:
    @pytest.mark.parametrize(
        ("value", "rule"),
        [
            ([0.1], "must have 2 numbers, one for each lesion, got 1"),
            (0.5, "must be a list of 2 numbers, got 0.5"),
            ([0.1, None], "of lesion 'n2' must be a number, got null"),
            ([0.1, 1.5], "of lesion 'n2' must be at most 1, got 1.5"),
            ({"n1": 0.1}, "has no number for lesion 'n2'"),
            ({"n1": 0.1, "n2": 0.1, "n3": 0.1}, "has the unknown lesion 'n3'"),
        ],
    )
    def test_lists(self, scored, value, rule):
        """
        One line that names the case and the lesion.
        """
        with pytest.raises(InvalidPrediction, match=f"^case 's3': {OUTPUT} {rule}$"):
            scored({**SCORES, "s3": value})

    @pytest.mark.parametrize(
        ("old", "new", "rule"),
        [
            ("s1,n2,0", "s1,n1,0", r":3: lesion 'n1' of case 's1' is given twice"),
            ("s1,n2,0", "s1,n2,2", r":3: case 's1': label must be 0 or 1, got '2'"),
            ("s1,n2,0,p1", "s1,n2,0,p9", r":3: case 's1' has two patients"),
            ("s1,n2,0,p1", "s1,,0,p1", r":3: case, lesion and patient must not be empty"),
            ("nodule", "lesion", r":1: column 'nodule' is missing"),
        ],
    )
    def test_reference(self, scored, old, new, rule):
        """
        The organiser's mistakes have their line.
        """
        with pytest.raises(InvalidDocument, match=rule):
            scored(SCORES, REFERENCE.replace(old, new))

    def test_no_negative_case(self, scored):
        """
        Cases of both kinds are needed.
        """
        with pytest.raises(
            InvalidDocument, match="must have cases with a lesion of label 1 and cases without"
        ):
            scored(SCORES, REFERENCE.replace(",0,", ",1,"))
