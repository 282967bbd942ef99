"""Jobs of predictions.json, found in any order and matched to the cases of the reference."""

import json

import pytest

from reseed.contracts.errors import InvalidDocument, InvalidPrediction, UserError
from reseed.contracts.predictions import prediction_jobs
from reseed.contracts.task import CaseMatch
from reseed.scoring.submission import case_of, job_by_case, submitted_jobs
from tests.scoring.submissions import INPUT, OUTPUT, job, socket_value

BY_NAME = CaseMatch(by="image_name", socket=INPUT)


def jobs_of(*documents):
    """Parsed jobs."""
    return prediction_jobs(list(documents))


def named(name):
    """A job whose image has that name."""
    image = {"pk": "uuid", "name": name}
    return jobs_of(job("x", inputs=[socket_value(INPUT, f"images/{INPUT}", image=image)]))[0]


def by_value(value):
    """A job with an input that holds a case id."""
    return jobs_of(job("x", inputs=[socket_value("case-id", "case-id.json", value=value)]))[0]


class TestSubmittedJobs:
    @pytest.mark.parametrize("key", ["socket", "interface"])
    def test_new_and_old_platforms(self, submitted, key):
        """
        `socket` and `interface` are the same object under two names.
        """
        submitted.write_jobs([job("n1", key=key)])

        (read,) = submitted_jobs(submitted.paths)

        assert read.inputs[0].described_by.slug == INPUT
        assert read.outputs[0].described_by.slug == OUTPUT

    def test_a_minimal_manifest(self, submitted):
        """
        Of a job only pk, inputs, outputs and status are needed.
        """
        whole = job("n1")
        submitted.write_jobs([{key: whole[key] for key in ("pk", "inputs", "outputs", "status")}])

        assert [read.pk for read in submitted_jobs(submitted.paths)] == ["job-n1"]

    def test_no_manifest(self, submitted):
        """
        The path is named.
        """
        submitted.paths.predictions.unlink()

        with pytest.raises(UserError, match=r"predictions\.json: no such file$"):
            submitted_jobs(submitted.paths)

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("", "not valid JSON: Expecting value: line 1 column 1 (char 0)"),
            ("[" * 100_000, "not valid JSON: nested too deeply"),
            ('{"pk": "a"}', "must be a list, got a mapping with 1 key"),
            (json.dumps([job("n1"), job("n2", pk="job-n1")]), "job 'job-n1' is given twice"),
            ("[3]", "0: must be a mapping (key: value), got 3"),
            (json.dumps([job("n1", pk="../n1")]), "0.pk: must be an identifier of at most 128 letters"),
            (json.dumps([job("n1", inputs=None)]), "0.inputs: must be a list, got null"),
            (json.dumps([job("n1", outputs=[{}])]), "0.outputs.0: has neither 'socket' nor 'interface'"),
        ],
    )
    def test_a_bad_manifest(self, submitted, text, line):
        """
        One line with the place in the document, never a traceback.
        """
        submitted.paths.predictions.write_text(text)

        with pytest.raises(InvalidDocument) as caught:
            submitted_jobs(submitted.paths)

        assert len(caught.value.lines) == 1
        assert caught.value.lines[0].startswith(f"{submitted.paths.predictions}: {line}")


class TestCaseOf:
    @pytest.mark.parametrize(
        ("name", "case"),
        [
            ("case_0001.mha", "case_0001"),
            ("case_0001.MHA", "case_0001"),
            ("a.b.nii.gz", "a.b"),
            ("folder/a.tif", "a"),
            ("1.2.840", "1.2.840"),
        ],
    )
    def test_name_without_suffix(self, name, case):
        """
        Known image suffixes are taken off, other dots stay.
        """
        assert case_of(named(name), BY_NAME) == case

    @pytest.mark.parametrize("value", ["007", 7])
    def test_value_of_an_id_socket(self, value):
        """
        Text or a whole number; text keeps its zeros.
        """
        match = CaseMatch(by="value", socket="case-id")

        assert case_of(by_value(value), match) == str(value)

    @pytest.mark.parametrize("value", [None, True, 1.5, ["a"]])
    def test_a_value_that_is_no_id(self, value):
        """
        Anything else cannot name a case.
        """
        match = CaseMatch(by="value", socket="case-id")

        with pytest.raises(InvalidDocument, match="'case-id' must hold the case id as text, got"):
            case_of(by_value(value), match)

    def test_an_input_that_is_missing(self):
        """
        What is there instead is named.
        """
        with pytest.raises(
            InvalidDocument, match="job 'job-x': input 'lung-nodule-volume' is missing; given: case-id"
        ):
            case_of(by_value("x"), BY_NAME)

    def test_an_input_without_an_image(self):
        """
        No image, no name, no case.
        """
        broken = jobs_of(job("x", inputs=[socket_value(INPUT, f"images/{INPUT}")]))[0]

        with pytest.raises(InvalidDocument, match="has no image, whose name would tell the case"):
            case_of(broken, BY_NAME)

    def test_an_input_given_twice(self):
        """
        Two images would be two cases.
        """
        one = job("x")["inputs"][0]

        with pytest.raises(InvalidDocument, match="'lung-nodule-volume' is given 2 times"):
            case_of(jobs_of(job("x", inputs=[one, one]))[0], BY_NAME)


class TestJobByCase:
    def test_order_of_cases(self):
        """
        The order is that of the reference, not of the file.
        """
        found = job_by_case(jobs_of(job("c"), job("a"), job("b")), BY_NAME, ["a", "b", "c"])

        assert [(case, job.pk) for case, job in found.items()] == [
            ("a", "job-a"),
            ("b", "job-b"),
            ("c", "job-c"),
        ]

    @pytest.mark.parametrize(
        ("jobs", "line"),
        [
            ([job("n1")], "case 'n2': has no prediction; it is one of 2 such cases"),
            ([job("n1"), job("n2")], "case 'n3': has no prediction"),
            (
                [job("n1"), job("n1", pk="again"), job("n2")],
                "case 'n1': predicted twice, by the jobs 'again' and 'job-n1'",
            ),
            (
                [job("n1"), job("n22")],
                "case 'n22': not a case of the reference standard (job 'job-n22'); did you mean 'n2'?",
            ),
            ([job("zebra")], "case 'zebra': not a case of the reference standard (job 'job-zebra')"),
            (
                [job("n1"), job("n2", status="Failed"), job("n3")],
                "case 'n2': job 'job-n2' has status 'Failed', not 'Succeeded'",
            ),
            ([], "case 'n1': has no prediction; it is one of 3 such cases"),
        ],
    )
    def test_refusal(self, jobs, line):
        """
        One line that names the case.
        """
        with pytest.raises(InvalidPrediction) as caught:
            job_by_case(jobs_of(*jobs), BY_NAME, ["n1", "n2", "n3"])

        assert str(caught.value) == line
