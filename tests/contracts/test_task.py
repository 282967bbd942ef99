"""Task files: names that agree, paths that stay inside, nothing given twice."""

import pytest
from pydantic import ValidationError

from reseed.contracts.task import Classification, ReferenceTable, Task

IMAGE = {"slug": "ct", "kind": "Image", "super_kind": "Image", "relative_path": "images/ct"}
SCORE = {"slug": "score", "kind": "Float", "super_kind": "Value", "relative_path": "score.json"}
ID = {"slug": "id", "kind": "String", "super_kind": "Value", "relative_path": "id.json"}
MAP = {"slug": "map", "kind": "Heat Map", "super_kind": "Image", "relative_path": "images/map.json"}
STRUCTURE = {"labels": {"organ": [1]}, "aggregation": {}}
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
            (
                {"match": {"by": "value", "socket": "ct"}},
                r"match\.socket 'ct' must be of super_kind Value to",
            ),
            (
                {"inputs": [IMAGE, ID], "match": {"by": "image_name", "socket": "id"}},
                r"match\.socket 'id' must be of super_kind Image to match by image_name, got Value",
            ),
            (
                {
                    "inputs": [IMAGE, ID],
                    "interfaces": [
                        {"inputs": ["ct", "id"], "match": {"by": "image_name", "socket": "id"}},
                    ],
                },
                r"interfaces\.0\.match\.socket 'id' must be of super_kind Image",
            ),
            (
                {"outputs": [MAP], "evaluation": {"score": "map"}},
                r"evaluation\.score 'map' must be a Value, or a File that .* got super_kind Image",
            ),
            (
                {"outputs": [{**SCORE, "super_kind": "File", "relative_path": "score.csv"}]},
                r"evaluation\.score 'score' must be a Value, or a File that .* got super_kind File",
            ),
            (
                {"outputs": [MAP], "evaluation": {"kind": "lesion_classification", "scores": "map"}},
                r"evaluation\.scores 'map' must be a Value",
            ),
            (
                {"evaluation": {"kind": "segmentation", "prediction": "score", **STRUCTURE}},
                r"evaluation\.prediction 'score' must be an Image, got super_kind Value",
            ),
            (
                {"evaluation": {"kind": "detection", "detection_map": "score"}},
                r"evaluation\.detection_map 'score' must be an Image, got super_kind Value",
            ),
            (
                {
                    "outputs": [MAP],
                    "evaluation": {"kind": "detection", "detection_map": "map", "likelihood": "map"},
                },
                r"evaluation\.likelihood 'map' must be a Value",
            ),
            (
                {
                    "outputs": [MAP, SCORE],
                    "interfaces": [{"inputs": ["ct"], "output": "score"}],
                    "evaluation": {"kind": "segmentation", "prediction": "map", **STRUCTURE},
                },
                r"interfaces\.0\.output 'score' must be an Image, got super_kind Value",
            ),
            (
                {"outputs": [MAP, SCORE], "interfaces": [{"inputs": ["ct"], "output": "map"}]},
                r"interfaces\.0\.output 'map' must be a Value",
            ),
            (
                {"evaluation": {"kind": "detection", "detection_map": "score", "lesion_labels": []}},
                "lesion_labels must have one label value or more",
            ),
            (
                {
                    "evaluation": {
                        "kind": "detection",
                        "detection_map": "score",
                        "lesion_labels": [1, 2],
                        "ignored_labels": [3, 2],
                    }
                },
                "ignored_labels must be others than those of lesion_labels, got 2 in both",
            ),
            (
                {
                    "evaluation": {
                        "kind": "segmentation",
                        "prediction": "score",
                        **STRUCTURE,
                        "ignored_labels": [1],
                    }
                },
                r"ignored_labels must be others than those of labels\.organ, got 1 in both",
            ),
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

    @pytest.mark.parametrize(
        "changed",
        [
            {"inputs": [IMAGE, ID], "match": {"by": "value", "socket": "id"}},
            {"outputs": [{**SCORE, "super_kind": "File"}]},
            {
                "outputs": [MAP, SCORE],
                "evaluation": {
                    "kind": "detection",
                    "detection_map": "map",
                    "likelihood": "score",
                    "ignored_labels": [1],
                },
            },
        ],
    )
    def test_sockets_that_can_be_read(self, changed):
        """
        A case told by a value, a score in a File of JSON, a map beside a likelihood.
        """
        assert Task.model_validate({**DOCUMENT, **changed}).task == "t"


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
