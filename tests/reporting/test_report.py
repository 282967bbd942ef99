"""From a study folder to one file."""

import json
import re
import shutil

import pytest

from reseed.cli.report import report
from reseed.contracts.errors import InvalidDocument, UserError
from reseed.contracts.files import write_json_atomically
from reseed.contracts.metrics import Aggregate, Metrics
from reseed.reporting import write_report
from tests.reporting.pages import Page
from tests.reporting.studies import TWO_METHODS, run_record, simulated_scores, write_study


@pytest.fixture
def study(two_methods, tmp_path):
    """A study folder of one's own."""
    return shutil.copytree(two_methods, tmp_path / "study")


def changed(study, change):
    """Rewrite comparisons.json."""
    path = study / "comparisons.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return path


class TestWriteReport:
    def test_the_page_lies_in_the_study_folder(self, study):
        """
        Without another place, the page is STUDY_DIR/report.html, and nothing else is left there.
        """
        before = {path.name for path in study.iterdir()}

        written = write_report(study)

        assert written == study / "report.html"
        assert {path.name for path in study.iterdir()} - before == {"report.html"}

    def test_the_same_study_gives_the_same_bytes(self, study, page):
        """
        Nothing in the page depends on the clock, on the place, or on what was drawn before.
        """
        assert write_report(study).read_text() == page

    def test_the_command_names_the_file(self, study, tmp_path, capsys):
        """
        `reseed report` writes where --out says, and says where that is.
        """
        report(study, out=tmp_path / "here.html")

        assert capsys.readouterr().out == f"report: {tmp_path / 'here.html'}\n"
        assert (tmp_path / "here.html").is_file()

    def test_scores_from_elsewhere_need_no_records(self, study):
        """
        A study without run.json still has its answer, and the page says what is not known.
        """
        shutil.rmtree(study / "runs")

        text = Page(write_report(study).read_text()).text

        assert "If both methods were retrained and shown new patients" in text
        assert "No run.json was found" in text

    def test_runs_that_were_not_compared_are_not_shown(self, study):
        """
        A run left over from an earlier plan is counted, not shown among the compared.
        """
        record = run_record("planes_2d", 99, place=99)
        write_json_atomically(study / "runs/planes_2d/99/run.json", record)
        shutil.rmtree(study / "runs/planes_2d/3")

        source = write_report(study).read_text()

        assert record.weights_digest not in source
        assert "1 more run.json of runs that were not compared" in source
        assert "Of the runs compared, 1 left no run.json" in source

    def test_a_single_run_each_compares_trained_models_only(self, tmp_path):
        """
        With one run a method the page has the one scope that the data allow, and the warning with it.
        """
        study = write_study(tmp_path, simulated_scores(TWO_METHODS, n_runs=1))

        text = Page(write_report(study).read_text()).text

        assert "If these very trained models, not retrained, were shown new patients" in text
        assert "If both methods were retrained" not in text
        assert "this compares these trained models, not the methods" in text

    def test_a_single_method_has_scores_but_no_differences(self, tmp_path):
        """
        With one method the page says that there is nothing to compare, and shows its runs' own scores.
        """
        study = write_study(tmp_path, simulated_scores({"planes_2d": (1.7, 0.1)}, n_runs=2))
        for run, value in enumerate((0.9123, 0.8765)):
            metrics = Metrics(
                task="nodule_malignancy",
                confidence_level=0.95,
                aggregates={"auroc": Aggregate(value=value)},
                results=(),
            )
            write_json_atomically(study / f"runs/planes_2d/{run}/metrics.json", metrics)

        page = Page(write_report(study).read_text())

        assert "planes_2d is the only method: there is nothing to compare it with" in page.text
        assert ".912" in page.text
        assert page.elements.count("svg") == 2


class TestRefusals:
    def test_a_missing_comparison_is_named(self, tmp_path):
        """
        A folder without comparisons.json is refused in one line, and no page appears.
        """
        with pytest.raises(UserError, match=r"^\S+: has no comparisons\.json; it must be the folder of a "):
            write_report(tmp_path)

        assert not list(tmp_path.iterdir())

    def test_a_broken_comparison_leaves_the_old_page(self, study):
        """
        A file that is not JSON is named, and an earlier page stays as it was.
        """
        (study / "report.html").write_text("earlier")
        (study / "comparisons.json").write_text('{"study": ')

        with pytest.raises(InvalidDocument, match=r"^\S+comparisons\.json: not valid JSON: .*$"):
            write_report(study)

        assert (study / "report.html").read_text() == "earlier"

    def test_only_the_first_mistake_is_told_in_full(self, study):
        """
        However many rules are broken, there is one line: the file, the key, the rule, and a count.
        """
        (study / "comparisons.json").write_text("{}")

        with pytest.raises(InvalidDocument) as caught:
            write_report(study)

        line = str(caught.value)
        assert "\n" not in line
        assert re.search(r"comparisons\.json: .*schema_version.*and \d+ more mistakes\)$", line)

    def test_scopes_about_other_pairs_are_refused(self, study):
        """
        Scopes stand side by side, so one that misses a pair is refused.
        """

        def change(document):
            document["metrics"][0]["scopes"]["test_set"]["pairs"][0]["baseline"] = "other"

        path = changed(study, change)

        with pytest.raises(InvalidDocument) as caught:
            write_report(study)

        assert (
            str(caught.value)
            == f"{path}: metrics.auroc.scopes: every scope must hold the same pairs of methods"
        )

    def test_a_bad_run_record_is_named(self, study):
        """
        A run.json that breaks its contract is refused with its own name.
        """
        (study / "runs/volume_3d/2/run.json").write_text("[]")

        with pytest.raises(UserError, match=r"runs/volume_3d/2/run\.json"):
            write_report(study)
