"""Numbers as the page prints them."""

import pytest

from reseed.reporting.wording import (
    count_text,
    duration_text,
    list_text,
    name_of_test,
    p_text,
    rank_text,
    sentence_text,
    span_text,
)


@pytest.mark.parametrize(
    ("hours", "text"),
    [(0.0, "0 s"), (0.01, "36 s"), (0.0534, "3 min 12 s"), (2.44, "2.4 h"), (0.99999, "1.0 h")],
)
def test_durations_have_the_unit_that_fits(hours, text):
    """
    Seconds below a minute, minutes below an hour, then hours.
    """
    assert duration_text(hours) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (-0.009, 0.017, "−.009 to +.017"),
        (0.001, None, "+.001 to no upper limit"),
        (None, 0.5, "no lower limit to +.500"),
        (None, None, "unknown"),
    ],
)
def test_intervals_say_when_a_limit_is_missing(low, high, text):
    """
    An end that is null is no limit; two of them are an interval that is not known.
    """
    assert span_text(low, high, signed=True) == text


def test_a_missing_p_value_is_unknown():
    """
    Null is told as unknown, never as a number.
    """
    assert p_text(None) == "p unknown"
    assert p_text(0.0004) == "p < .001"


@pytest.mark.parametrize(
    ("rank", "text"),
    [((1.0, 1.0, 1.0), "1"), ((2.0, 1.0, 3.0), "2 (1 to 3)"), ((None, None, None), "unknown")],
)
def test_ranks_come_with_what_the_data_allow(rank, text):
    """
    A rank that is sure stands alone.
    """
    assert rank_text(*rank) == text


def test_an_unknown_test_keeps_its_name():
    """
    A test that the report has no words for is still named.
    """
    assert name_of_test("delong") == "DeLong, paired"
    assert name_of_test("some_new_test") == "some new test"


def test_remarks_become_sentences():
    """
    A remark gets its capital and its full stop; a question keeps its mark.
    """
    assert [sentence_text("few runs"), sentence_text("was it?")] == ["Few runs.", "Was it?"]


def test_lists_and_counts_read_as_words():
    """
    One is singular, and the last of several has an "and".
    """
    assert [count_text(1, "run"), count_text(2, "run")] == ["1 run", "2 runs"]
    assert [list_text(["a"]), list_text(["a", "b", "c"])] == ["a", "a, b and c"]
