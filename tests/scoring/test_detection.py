"""Detection and lists of lesions scored whole: against picai_eval, by hand, and as score tables."""

import json
import math
import warnings

import numpy as np
import pytest

from reseed.contracts.errors import InvalidDocument, InvalidPrediction, UserError
from reseed.contracts.metrics import CaseResult, LesionRow, Metrics
from reseed.documents.reading import read_json
from reseed.scoring.evaluation import submission_metrics, write_metrics
from reseed.scoring.picai_results import read_picai_results, write_picai_results
from reseed.scoring.tables import metric_tables, score_csv, score_table
from reseed.scoring.tasks import read_task
from reseed.statistics import compare, single_run_estimate
from tests.scoring.image_submissions import box, pdac_submission
from tests.scoring.submissions import TASKS

LESION = (slice(1, 5), slice(2, 6), slice(2, 6))
ELSEWHERE = (slice(1, 5), slice(8, 11), slice(6, 9))
EMPTY = (slice(0, 0),)
CASES = {
    # lesion hit at .875; missed, with a false positive of .5; healthy with .25; healthy with nothing
    "a": (box(*LESION), box(*LESION, value=0.875, dtype=float), 0.875),
    "b": (box(*LESION), box(*ELSEWHERE, value=0.5, dtype=float), 0.5),
    "c": (box(*EMPTY), box(*ELSEWHERE, value=0.25, dtype=float), 0.25),
    "d": (box(*EMPTY), box(*EMPTY, dtype=float), 0.0),
}


@pytest.fixture(scope="module")
def task():
    """The pancreatic cancer task."""
    return read_task("pdac_detection", TASKS)


@pytest.fixture
def scored(tmp_path, task):
    """Scores a submission of some cases."""

    def scored_cases(cases, name="s", **rule):
        made = pdac_submission(tmp_path / name, cases)
        changed = task.model_copy(update={"evaluation": task.evaluation.model_copy(update=rule)})
        return submission_metrics(made.paths, made.ground_truth, changed)

    return scored_cases


class TestNumbers:
    def test_by_hand(self, scored):
        """
        One of two lesions found before any false positive: AP one half; cases in perfect order.
        """
        metrics = scored(CASES)

        assert metrics.aggregates["case_auroc"].value == 1.0
        assert metrics.aggregates["lesion_ap"].value == 0.5
        assert metrics.aggregates["picai_score"].value == 0.75
        assert metrics.aggregates["sensitivity_at_half_fp"].value == 0.5
        lesions = {result.case_id: result.lesions for result in metrics.results}
        assert [(row.reference, row.score) for row in lesions["b"]] == [(1, None), (0, 0.5)]
        assert lesions["a"][0].overlap == pytest.approx(1)
        assert lesions["d"] == ()

    def test_likelihood_of_its_own(self, scored):
        """
        The case's score is the likelihood, whatever the map says; lesions keep theirs.
        """
        turned = {
            **CASES,
            "a": (*CASES["a"][:2], 0.1),
            "c": (*CASES["c"][:2], 0.8),
        }
        metrics = scored(turned)

        assert metrics.aggregates["case_auroc"].value == 0.5
        assert metrics.aggregates["lesion_ap"].value == 0.5
        assert [result.score for result in metrics.results] == [0.1, 0.5, 0.8, 0.0]

    def test_statistics_agree(self, scored):
        """
        The value, by the metrics module, is that which statistics finds in the score table.
        """
        for name, likelihoods in (
            ("max", None),
            ("own", [0.1, 0.4, 0.8, 0.2]),
            ("above", [1, 0.7, 0.4, 0.5]),
        ):
            cases = {
                case: (lesions, found, likelihood if likelihoods is None else likelihoods[place])
                for place, (case, (lesions, found, likelihood)) in enumerate(CASES.items())
            }
            metrics = scored(cases, name)
            for each in metric_tables({("m", 0): metrics}, ["case_auroc", "lesion_ap", "picai_score"]):
                found = single_run_estimate(
                    each.table["reference"], each.table["score"], metric=each.metric, case=each.table["case"]
                )
                assert found.value == pytest.approx(metrics.aggregates[each.metric].value, abs=1e-15)

    def test_softmax(self, scored):
        """
        With an extraction in the task the map may be a softmax.
        """
        from reseed.contracts.evaluation import Extraction

        softmax = box(*LESION, value=0.9, dtype=float)
        softmax[2, 3, 3] = 0.8
        cases = {**CASES, "a": (CASES["a"][0], softmax, 0.9)}
        with pytest.raises(
            InvalidPrediction, match="case 'a': pdac-detection-map: 2 distinct confidences in 1"
        ):
            scored(cases)

        assert scored(cases, "again", extraction=Extraction()).aggregates["lesion_ap"].value == 0.5

    def test_lesion_labels(self, scored):
        """
        Values that are no lesion are ignored when they are named, and refused when not.
        """
        other = CASES["c"][0].copy()
        other[0, 0, 0] = 9
        cases = {**CASES, "c": (other, *CASES["c"][1:])}

        with pytest.raises(
            UserError, match=r"c\.nii\.gz: the reference has the unknown label 9; known: 0, 1"
        ):
            scored(cases)
        assert scored(cases, "again", ignored_labels=(9,)).aggregates["case_auroc"].value == 1

    def test_surplus_and_matching(self, scored):
        """
        Two candidates on one lesion: the second is discarded, or a false positive where the task says so.
        """
        halves = box(*LESION, value=0.9, dtype=float)
        halves[:, :, 4:] = np.where(halves[:, :, 4:] > 0, 0.4, 0)
        halves[:, :, 3] = 0
        cases = {**CASES, "a": (CASES["a"][0], halves, 0.9)}

        rows = scored(cases).results[0].lesions
        assert [(row.reference, row.score) for row in rows] == [(1, pytest.approx(0.4))]
        rows = scored(cases, "again", surplus="false_positive").results[0].lesions
        assert [row.reference for row in rows] == [1, 0]


class TestRefusals:
    def test_negative_and_too_large(self, scored):
        """
        Confidences outside the task's limits.
        """
        for value in (-0.5, 1.5):
            cases = {**CASES, "b": (CASES["b"][0], box(*LESION, value=value, dtype=float), 0.5)}
            with pytest.raises(
                InvalidPrediction, match="case 'b': pdac-detection-map must hold confidences from 0 to 1, got"
            ):
                scored(cases, f"s{value}")

    def test_likelihood(self, scored):
        """
        Refused as any number is.
        """
        with pytest.raises(InvalidPrediction, match="case 'c': pdac-likelihood must be at most 1, got"):
            scored({**CASES, "c": (*CASES["c"][:2], 1.5)})

    def test_a_reference_without_lesions(self, scored):
        """
        The organiser's mistake, in words.
        """
        with pytest.raises(UserError, match=r"metric 'picai_score' is undefined: 0 of 2 cases"):
            scored({case: CASES[case] for case in "cd"})


class TestTables:
    def test_rows(self, scored):
        """
        A row for each lesion result, and one for a case without any.
        """
        table = score_table({("m", 0): scored(CASES)})

        rows = table.drop(columns=["method", "run", "patient"]).astype(object).where(table.notna(), None)
        assert rows.to_numpy().tolist() == [
            ["a", 0.875, 1.0],
            ["b", None, 1.0],
            ["b", 0.5, 0.0],
            ["c", 0.25, 0.0],
            ["d", 0.0, None],
        ]

    def test_runs_are_compared(self, scored):
        """
        One table serves all metrics of a detection, also where likelihoods are below their maps.
        """
        lower = {case: (*images, likelihood / 2) for case, (*images, likelihood) in CASES.items()}
        runs = {("one", 0): scored(CASES), ("two", 0): scored(lower, "lower")}

        for each in metric_tables(runs, ["picai_score", "case_auroc", "lesion_ap"]):
            result = compare(each.table, metric=each.statistic, scope="trained_models").to_json()
            assert result["metric"]["name"] == each.metric
        assert score_csv(score_table(runs)).count("\n") > 10


class TestPicaiEval:
    def test_picai_eval_reads_what_we_write(self, scored, tmp_path):
        """
        The same AUROC, AP and score to 1e-12, and back again to the same results.
        """
        metrics = scored(CASES)
        write_picai_results(tmp_path / "p.json", metrics)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from picai_eval.metrics import Metrics as PicaiMetrics

            read = PicaiMetrics(str(tmp_path / "p.json"))

        assert read.score == pytest.approx(metrics.aggregates["picai_score"].value, abs=1e-12)
        assert pytest.approx(metrics.aggregates["lesion_ap"].value, abs=1e-12) == read.AP
        again = read_picai_results(tmp_path / "p.json", task="pdac_detection")
        assert [result.lesions for result in again.results] == [result.lesions for result in metrics.results]
        assert again.aggregates["picai_score"].value == metrics.aggregates["picai_score"].value

    def test_we_read_what_picai_eval_writes(self, tmp_path):
        """
        200 random cases saved by picai_eval: the same numbers to 1e-12.
        """
        rng = np.random.default_rng(5)
        lesion_results = {}
        for case in range(200):
            rows = [(1, round(rng.random(), 2), 0.5) for _ in range(rng.integers(0, 3))]
            rows += [(1, 0.0, 0.0)] * int(rng.integers(0, 2))
            rows += [(0, round(0.01 + 0.98 * rng.random(), 2), 0.0) for _ in range(rng.integers(0, 3))]
            lesion_results[f"c{case}"] = rows
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from picai_eval.metrics import Metrics as PicaiMetrics

            theirs = PicaiMetrics(lesion_results)
            theirs.save(tmp_path / "p.json")
            expected = theirs.auroc, theirs.AP, theirs.score

        ours = read_picai_results(tmp_path / "p.json", task="t").aggregates
        found = [ours[key].value for key in ("case_auroc", "lesion_ap", "picai_score")]
        assert found == pytest.approx(expected, abs=1e-12)

    @pytest.mark.parametrize(
        ("document", "rule"),
        [
            ([], "lesion_results must be a mapping of cases"),
            ({"lesion_results": {}, "case_pred": {}, "case_target": {}}, "lesion_results has no case"),
            ({"lesion_results": {"a": [[1, 2]]}}, "case_pred must be a mapping of cases"),
            (
                {"lesion_results": {"a": [[1, 2]]}, "case_pred": {"a": 1}, "case_target": {"a": 1}},
                r"lesion_results.a.0 must be \[is lesion",
            ),
            (
                {"lesion_results": {"a": []}, "case_pred": {"a": "x"}, "case_target": {"a": 0}},
                "case_pred.a must be a finite number, got 'x'",
            ),
            (
                {
                    "lesion_results": {"a": []},
                    "case_pred": {"a": 0},
                    "case_target": {"a": 0},
                    "case_weight": {"a": 2},
                },
                "case_weight.a is 2; only 1 is understood",
            ),
        ],
    )
    def test_mistakes(self, tmp_path, document, rule):
        """
        One line with the place.
        """
        (tmp_path / "p.json").write_text(json.dumps(document))

        with pytest.raises(InvalidDocument, match=rule):
            read_picai_results(tmp_path / "p.json", task="t")


class TestDocument:
    def test_written_and_read(self, tmp_path, task):
        """
        metrics.json holds no NaN, and reads back as it was.
        """
        made = pdac_submission(tmp_path, CASES)
        metrics = write_metrics(tmp_path / "m.json", made.paths, made.ground_truth, task)

        assert read_json(tmp_path / "m.json", Metrics) == metrics
        first = json.loads((tmp_path / "m.json").read_text())["results"][1]
        assert first["lesions"] == [{"reference": 1, "score": None}, {"reference": 0, "score": 0.5}]
        assert "metrics" not in first

    def test_of_a_lesion(self):
        """
        Infinity is refused by the contract as NaN is.
        """
        with pytest.raises(ValueError, match="finite"):
            CaseResult(case_id="a", lesions=(LesionRow(reference=1, score=math.inf),))
