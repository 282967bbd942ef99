"""Methods that are the same under two names."""

from __future__ import annotations

from pathlib import Path

import pytest

from reseed.orchestration.collection import provisional_inputs, read_collection
from reseed.orchestration.same_methods import same_method_lines, same_methods
from reseed.orchestration.study_file import read_study

from .conftest import REPOSITORY, SmallProject

STUDIES = sorted(path for path in (REPOSITORY / "studies").glob("*.yaml"))


def _code(_role: str) -> str:
    return "c" * 64


def test_a_default_given_is_the_same_method(project: SmallProject):
    """Settings count with the defaults filled in, and a method that differs is not named."""
    methods = {
        "plain": {"algorithm": "logistic"},
        "explicit": {"algorithm": "logistic", "settings": {"n_steps": 40}},
        "longer": {"algorithm": "logistic", "settings": {"n_steps": 41}},
    }
    inputs = provisional_inputs(read_study(project.study(methods=methods)), _code)

    assert same_methods(inputs) == [("plain", "explicit")]
    assert same_method_lines(inputs) == [
        "methods plain and explicit have the same algorithm and settings: only their seeds differ"
    ]


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_studies_compare_different_methods(path: Path):
    """Of the studies that are shipped, none compares a method with itself."""
    if "\ncollection:" in f"\n{path.read_text()}":
        contexts = read_collection(path, project=REPOSITORY).studies
    else:
        contexts = (read_study(path, project=REPOSITORY),)

    for context in contexts:
        assert same_methods(provisional_inputs(context, _code)) == []
