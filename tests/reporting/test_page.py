"""What stands in the page, and that nothing in it comes from elsewhere."""

import json
import re
import shutil
import subprocess
from collections import Counter

import pytest

from reseed.reporting import write_report
from tests.reporting.pages import Page
from tests.reporting.studies import comparisons, run_record, simulated_scores


class TestAnswer:
    def test_every_scope_has_its_own_conclusion(self, page, two_methods):
        """
        For one pair each scope's conclusion is told in the words of the statistics, the widest first.
        """
        document = json.loads((two_methods / "comparisons.json").read_text())
        text = Page(page).text

        for metric in document["metrics"]:
            said = [metric["scopes"][scope]["pairs"][0]["conclusion"] for scope in metric["scopes"]]
            places = [text.index(sentence) for sentence in said]
            assert places == sorted(places)

    def test_single_runs_are_said_to_depend_on_chance(self, page, two_methods):
        """
        The page counts how many pairs of single runs claim a difference, between methods and within.
        """
        document = json.loads((two_methods / "comparisons.json").read_text())
        claims = document["metrics"][0]["scopes"]["population"]["pairs"][0]["single_runs"]

        text = Page(page).text

        assert f"{claims['claims_between']} of the 64 pairs of single runs claim a difference" in text
        assert f"{claims['claims_within']} of the 56 pairs of two retrainings of the same method" in text

    def test_several_pairs_name_the_scope_in_every_line(self, page_of_four):
        """
        With four methods each pair has one conclusion, and its other scopes follow, each by name.
        """
        text = Page(page_of_four).text

        assert (
            "If both methods were retrained and shown new patients, attention is better than planes_2d"
            in text
        )
        assert "retrained, these patients: attention is better, adjusted p < .001" in text
        assert "not retrained, new patients: attention is better, adjusted p < .001" in text


class TestTables:
    def test_ranks_are_for_more_than_two_methods(self, page, page_of_four):
        """
        Two methods have a difference, four have ranks too.
        """
        assert "Ranks by AUROC" not in page
        assert "Ranks by AUROC" in page_of_four

    def test_every_seed_of_every_member_is_there(self, page):
        """
        A stranger can repeat any training: all seeds that vary are in the table, those held below it.
        """
        text = Page(page).text
        record = run_record("volume_3d", 7, place=15)

        for member in record.members:
            for stream in record.vary:
                assert str(getattr(member.seeds, stream.value)) in text
        assert "Seeds held the same in all runs: split 77." in text

    def test_digests_are_short_in_the_table_and_full_elsewhere(self, page):
        """
        The runs' table has the first digits, with all of them where the pointer rests and in a list.
        """
        digest = run_record("planes_2d", 0, place=0).weights_digest

        assert f'<code title="{digest}">{digest[:12]}</code>' in page
        assert f"<code>{digest}</code>" in page

    def test_settings_that_differ_are_marked_in_words(self, page):
        """
        What differs between the methods is marked by a word, not by colour alone.
        """
        marked = re.findall(r'<tr class="differs"><th scope="row">(\w+)</th>', page)

        assert marked == ["dimension"]
        assert Page(page).text.count("differs") == 1

    def test_false_claims_and_power_are_in_words(self, page, two_methods):
        """
        The sentences of the statistics about single runs and about power are in the page.
        """
        population = json.loads((two_methods / "comparisons.json").read_text())["metrics"][0]["scopes"][
            "population"
        ]
        text = Page(page).text

        assert all(claim["sentence"] in text for claim in population["false_claims"])
        assert population["pairs"][0]["power"]["sentence"] in text


class TestHtml:
    @pytest.mark.parametrize("name", ["page", "page_of_four"])
    def test_elements_are_closed_and_ids_are_unique(self, name, request):
        """
        The page is well formed, and several drawings in it share no id.
        """
        parsed = Page(request.getfixturevalue(name))

        repeated = [value for value, count in Counter(parsed.values("id")).items() if count > 1]
        assert repeated == []

    @pytest.mark.parametrize("name", ["page", "page_of_four"])
    def test_nothing_is_loaded_from_elsewhere(self, name, request):
        """
        No script, no import, and no address but places in the page itself.
        """
        source = request.getfixturevalue(name)
        parsed = Page(source)

        assert "script" not in parsed.elements
        assert not re.search(r"https?:|//", source.replace("</", ""))
        assert "@import" not in source
        assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", source))
        addresses = [v for n in ("src", "href", "srcset", "data") for v in parsed.values(n)]
        assert all(value.startswith("#") or value == "data:," for value in addresses)

    def test_links_lead_to_places_in_the_page(self, page):
        """
        Every link and every reference of a drawing has its target.
        """
        parsed = Page(page)
        targets = {value.removeprefix("#") for value in parsed.values("href") if value.startswith("#")}
        targets |= set(parsed.values("aria-labelledby"))
        targets |= set(re.findall(r"url\(#([^)]*)\)", page))

        assert targets <= set(parsed.values("id"))

    def test_charts_and_tables_have_words(self, page):
        """
        A chart has its content as text, a table a caption, and a heading cell says what it heads.
        """
        parsed = Page(page)

        labels = [value for tag, name, value in parsed.attributes if (tag, name) == ("svg", "aria-label")]
        assert len(labels) == parsed.elements.count("svg") == 8
        assert "volume_3d − planes_2d, retrained, new patients: +" in "".join(label or "" for label in labels)
        assert parsed.elements.count("caption") == parsed.elements.count("table")
        assert parsed.elements.count("th") == sum(
            tag == "th" for tag, name, _ in parsed.attributes if name == "scope"
        )
        assert [parsed.elements.count(tag) for tag in ("main", "header", "nav", "h1")] == [1, 1, 1, 1]

    def test_what_comes_from_data_stays_text(self, tmp_path):
        """
        A method named like markup is shown as it is named, in tables and in drawings.
        """
        evil = "<img src=x onerror=alert(1)> & 'co'"
        table = simulated_scores({evil: (1.7, 0.1), "other": (1.8, 0.1)}, n_runs=2, n_cases=60)
        document = comparisons(table, metrics=("auroc",)) | {"title": "</style><script>alert(1)</script>"}
        (tmp_path / "comparisons.json").write_text(json.dumps(document))

        parsed = Page(write_report(tmp_path).read_text())

        assert not {"img", "script"} & set(parsed.elements)
        assert f"other − {evil}" in parsed.text


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_a_browser_shows_the_page_without_complaint(page, tmp_path):
    """
    A browser reads the page, refuses nothing in it, and writes nothing to its console.
    """
    place = tmp_path / "report.html"
    place.write_text(page)

    shown = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", f"--user-data-dir={tmp_path / 'profile'}",
            "--enable-logging=stderr", "--v=0", "--dump-dom", place.as_uri(),
        ],
        capture_output=True, text=True, timeout=90, check=True,
    )  # fmt: skip

    assert "The answer" in shown.stdout
    assert "CONSOLE" not in shown.stderr
