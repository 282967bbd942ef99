"""Designed studies: which run has which level."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from pydantic import ValidationError

from reseed.contracts.design import Design
from reseed.contracts.study import Study


def _design(kind: str, **levels: int) -> Design:
    return Design.model_validate({"kind": kind, "levels": levels})


def _runs(design: Design) -> list[tuple[int, ...]]:
    return [tuple(design.levels_of(run).values()) for run in range(design.n_runs)]


def test_crossed_has_every_combination_once():
    """The last source changes fastest; repetitions come after all cells."""
    assert _runs(_design("crossed", weights=2, order=3)) == list(itertools.product(range(2), range(3)))
    assert _runs(_design("crossed", order=2, nondeterminism=3)) == [
        (0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2),
    ]  # fmt: skip


def test_the_order_of_a_document_has_no_meaning():
    """JSON with sorted keys describes the same design."""
    assert [
        _design("crossed", weights=3, order=2).levels_of(run)
        == _design("crossed", order=2, weights=3).levels_of(run)
        for run in range(6)
    ] == [True] * 6


def test_repetitions_alone():
    """Nothing but the same seeds again."""
    assert _runs(_design("crossed", nondeterminism=3)) == [(0,), (1,), (2,)]


@pytest.mark.parametrize("p", [2, 3, 5])
def test_orthogonal_has_every_pair_of_levels_once(p: int):
    """p + 1 sources in p² runs: any two of them are crossed."""
    names = ("weights", "order", "augmentation", "dropout", "split")[: p + 1]
    runs = _runs(_design("orthogonal", **dict.fromkeys(names, p)))

    assert len(runs) == p * p
    for first, second in itertools.combinations(range(len(names)), 2):
        assert set(Counter((run[first], run[second]) for run in runs).values()) == {1}
        assert len({(run[first], run[second]) for run in runs}) == p * p


def test_one_at_a_time_changes_one_source_of_the_first_run():
    """Each source in turn, then the first run again."""
    assert _runs(_design("one_at_a_time", weights=3, order=2, nondeterminism=3)) == [
        (0, 0, 0), (1, 0, 0), (2, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "levels", "message"),
    [
        ("orthogonal", {"weights": 4, "order": 4}, "one prime number of levels for all, got [4]"),
        ("orthogonal", {"weights": 3, "order": 5}, "one prime number of levels for all, got [3, 5]"),
        ("orthogonal", {"weights": 3}, "two or more sources with seeds, got one"),
        (
            "orthogonal",
            {"weights": 2, "order": 2, "augmentation": 2, "dropout": 2},
            "2 levels has room for 3 sources, got 4",
        ),
        ("crossed", {"weights": 1}, "greater than or equal to 2"),
        ("crossed", {}, "at least 1 item"),
        ("crossed", {"moon": 2}, "weights"),
    ],
)
def test_designs_that_do_not_exist(kind: str, levels: dict[str, int], message: str):
    """The rule and what arrived."""
    with pytest.raises(ValidationError) as found:
        _design(kind, **levels)
    assert message in str(found.value)


DOCUMENT = {
    "study": "s", "task": "t", "dataset": "d", "entropy": 1,
    "design": {"kind": "crossed", "levels": {"weights": 3, "order": 2}},
    "methods": {"a": {"algorithm": "x"}},
}  # fmt: skip


def test_a_design_says_how_many_runs_and_what_varies():
    """Neither need be written twice; written, they must agree."""
    study = Study.model_validate(DOCUMENT)

    assert study.n_runs("a") == 6
    assert [source.value for source in study.varied] == ["weights", "order"]
    assert Study.model_validate({**DOCUMENT, "runs": 6, "vary": ["order", "weights"]}).n_runs("a") == 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"runs": 5}, "the design makes 6 runs of a method, runs says 5"),
        ({"vary": ["weights"]}, "the design varies weights, order; leave vary out"),
        ({"methods": {"a": {"algorithm": "x", "runs": 4}}}, "methods.a.runs: a design has the same runs"),
        ({"design": None}, "runs, the number of retrainings of each method, is required"),
    ],
)
def test_contradictions(changes: dict[str, object], message: str):
    """A study that says two things is refused."""
    with pytest.raises(ValidationError, match=message):
        Study.model_validate({**DOCUMENT, **changes})


def test_repetitions_are_counted():
    """By the design, or by the run when nothing but nondeterminism varies; otherwise there are none."""
    repeated = {**DOCUMENT, "design": {"kind": "crossed", "levels": {"weights": 2, "nondeterminism": 2}}}
    plain = {key: value for key, value in DOCUMENT.items() if key != "design"} | {"runs": 3}

    assert [Study.model_validate(repeated).repetition(run) for run in range(4)] == [0, 0, 1, 1]
    assert [
        Study.model_validate({**plain, "vary": ["nondeterminism"]}).repetition(run) for run in range(3)
    ] == [0, 1, 2]
    assert [Study.model_validate(plain).repetition(run) for run in range(3)] == [0, 0, 0]
