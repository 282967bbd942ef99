"""The drawings: where marks lie, what they say, and that they fit into one page."""

import math
import xml.etree.ElementTree as ET

import pytest

from reseed.reporting.chart_style import LAYOUTS, LIGHT_COLOURS, NARROW, PAGE_COLOURS, WIDE, Extent
from reseed.reporting.chart_svg import inline_svg
from reseed.reporting.difference_chart import PairIntervals, ScopeInterval, difference_chart
from reseed.reporting.distribution_chart import DOT_SPACING, ScoreStrip, distribution_chart, dodged

STRIPS = [
    ScoreStrip("planes_2d", {"0": 0.90, "1": 0.90, "2": 0.92}, mean=0.907, low=0.88, high=0.93),
    ScoreStrip("volume_3d", {"0": 0.94}, mean=0.94, low=None, high=None),
]
PAIRS = [
    PairIntervals(
        "volume_3d − planes_2d",
        (
            ScopeInterval("retrained, new patients", 0.02, -0.01, 0.05, different=False),
            ScopeInterval("retrained, these patients", 0.02, 0.01, None, different=True),
        ),
    )
]


def drawn(chart, name="chart"):
    """The drawing as an element tree."""
    return ET.fromstring(inline_svg(chart, name=name, alternative="in words"))


def distribution(layout=WIDE, colours=PAGE_COLOURS):
    """The dots of two methods."""
    return distribution_chart(STRIPS, label="AUROC", colours=colours, layout=layout)


def forest(layout=WIDE):
    """The intervals of one pair."""
    return difference_chart(
        PAIRS,
        label="difference",
        sides=("planes better", "volume better"),
        colours=PAGE_COLOURS,
        layout=layout,
    )


class TestInlineSvg:
    def test_marks_say_what_they_are(self):
        """
        A dot's title is its method, run and score, so that a browser shows it without a script.
        """
        titles = [title.text for title in drawn(distribution()).iter("title")]

        assert "planes_2d, run 0: .900" in titles
        assert "volume_3d: mean .940, unknown" in titles
        assert len(titles) == 4 + 2

    def test_ids_begin_with_the_name(self):
        """
        Ids are numbered from one in every drawing, however many were drawn before.
        """
        chart = distribution()
        chart["layer"][-1]["mark"]["clip"] = True

        first, second = (inline_svg(chart, name=name, alternative="") for name in ("a", "b"))

        assert 'id="a-1"' in first
        assert "url(#a-1)" in first
        assert second == first.replace("a-1", "b-1")

    def test_the_alternative_text_is_escaped(self):
        """
        Words with markup in them stay words.
        """
        svg = inline_svg(distribution(), name="x", alternative='<b> & "q"')

        assert 'aria-label="&lt;b&gt; &amp; &quot;q&quot;"' in svg

    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_the_size_does_not_depend_on_fonts(self, layout):
        """
        The width is the layout's, with all labels inside room that is set aside for them.
        """
        for chart in (distribution(layout), forest(layout)):
            assert float(drawn(chart).attrib["width"]) == layout.width


class TestColours:
    def test_a_page_sets_its_own(self):
        """
        In a page, marks name the page's colours, so that its dark look applies to them.
        """
        assert "var(--accent)" in inline_svg(distribution(), name="x", alternative="")

    def test_a_picture_has_fixed_ones(self):
        """
        The same chart can be drawn for use outside a page.
        """
        svg = inline_svg(distribution(colours=LIGHT_COLOURS), name="x", alternative="")

        assert "var(" not in svg
        assert LIGHT_COLOURS.accent in svg


class TestDifferences:
    def test_a_missing_limit_reaches_the_edge(self):
        """
        An interval without an upper limit is drawn to the end of the axis, and said to have none.
        """
        chart = forest()
        titles = [title.text for title in drawn(chart).iter("title")]

        assert "volume_3d − planes_2d, retrained, these patients: +.020, +.010 to no upper limit" in titles

    def test_zero_is_always_in_sight(self):
        """
        The axis holds the line of no difference, wherever the intervals lie.
        """
        far = [PairIntervals("a − b", (ScopeInterval("retrained", 0.5, 0.4, 0.6, different=True),))]
        chart = difference_chart(far, label="d", sides=("b", "a"), colours=PAGE_COLOURS, layout=NARROW)

        low, high = chart["layer"][0]["encoding"]["x"]["scale"]["domain"]
        assert low < 0 < high


class TestExtent:
    def test_equal_values_have_room(self):
        """
        Runs that all score the same still have an axis with a length.
        """
        extent = Extent.around([0.9, 0.9, None])

        assert extent.low < 0.9 < extent.high

    def test_nothing_known_is_a_unit_axis(self):
        """
        Without a value the axis is there all the same.
        """
        extent = Extent.around([None])

        assert math.isclose(extent.pixel(0.5, 100), 50)


class TestDodged:
    def test_far_dots_share_the_middle(self):
        """
        Dots that do not touch stay on the line.
        """
        assert set(dodged({"0": 0.0, "1": 50.0, "2": 100.0}).values()) == {0.0}

    def test_equal_dots_stand_apart(self):
        """
        Up to five runs of the same score are all seen.
        """
        offsets = sorted(dodged({str(run): 10.0 for run in range(5)}).values())

        assert offsets == [step * DOT_SPACING for step in (-2, -1, 0, 1, 2)]
