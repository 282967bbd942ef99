"""Task files: names that agree, paths that stay inside, nothing given twice."""

import pytest
from pydantic import ValidationError

from reseed.contracts.task import Classification, ReferenceTable, Task

IMAGE = {"slug": "ct", "kind": "Image", "super_kind": "Image", "relative_path": "images/ct"}
SCORE = {"slug": "score", "kind": "Float", "super_kind": "Value", "relative_path": "score.json"}
DOCUMENT = {
    "task": "t",
    "title": "T",
    "description": "d",
    "inputs": [IMAGE],
    "outputs": [SCORE],
    "match": {"by": "image_name", "socket": "ct"},
    "evaluation": {"kind": "classification", "score": "score"},
    "metrics": ["auroc", "ap"],
    "ranking_metric": "auroc",
}


class TestTask:
    def test_output_by_slug(self):
        """
        The evaluated output is found by its slug.
        """
        assert Task.model_validate(DOCUMENT).output("score").relative_path == "score.json"

    @pytest.mark.parametrize(
        ("changed", "rule"),
        [
            ({"match": {"by": "image_name", "socket": "mr"}}, r"match\.socket 'mr' is not among the inputs"),
            ({"evaluation": {"score": "x"}}, r"evaluation\.score 'x' is not among the outputs"),
            ({"ranking_metric": "f1"}, "ranking_metric 'f1' is not among the metrics: auroc, ap"),
            ({"metrics": ["auroc", "auroc"]}, "metric 'auroc' is given twice"),
            ({"metrics": []}, "at least 1 item"),
            ({"inputs": [IMAGE, {**IMAGE, "relative_path": "images/b"}]}, "two sockets have the slug 'ct'"),
            ({"outputs": [SCORE, {**SCORE, "slug": "b"}]}, "two sockets have the relative_path 'score.json'"),
            ({"comparison": {"confidence_level": 95}}, "less than 1"),
            ({"task": "../t"}, "pattern"),
        ],
    )
    def test_mistakes(self, changed, rule):
        """
        What the parts say of each other must be true.
        """
        with pytest.raises(ValidationError, match=rule):
            Task.model_validate({**DOCUMENT, **changed})


class TestReferenceTable:
    @pytest.mark.parametrize("file", ["/etc/passwd", "../reference.csv", ""])
    def test_a_path_that_leads_out(self, file):
        """
        The table lies in the ground truth folder.
        """
        with pytest.raises(ValidationError, match="must be a path inside the ground truth folder"):
            ReferenceTable(file=file)

    def test_one_column_for_two_things(self):
        """
        Case, label and patient are three columns.
        """
        with pytest.raises(ValidationError, match="must be different columns, got case, label, case"):
            ReferenceTable(patient="case")


class TestClassification:
    def test_limits_in_order(self):
        """
        A minimum above the maximum would refuse everything.
        """
        with pytest.raises(ValidationError, match="minimum 2 is above maximum 1"):
            Classification(score="s", minimum=2, maximum=1)
