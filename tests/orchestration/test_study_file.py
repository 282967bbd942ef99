"""Study files: one clear line per mistake, with its place."""

from __future__ import annotations

from typing import Any

import pytest

from reseed.contracts.errors import InvalidDocument, UserError
from reseed.orchestration.study_file import read_study

from .conftest import SmallProject


def _mistakes(project: SmallProject, **changes: Any) -> list[str]:
    path = project.study(**changes)
    with pytest.raises(InvalidDocument) as caught:
        read_study(path)
    return [line.replace(str(path), "small.yaml") for line in caught.value.lines]


def test_a_good_study_brings_its_task_and_algorithms(project: SmallProject):
    """Reading a study resolves every name in it."""
    context = read_study(project.study())

    assert context.task.task == "two_features"
    assert context.algorithm_of == {"one": "logistic", "two": "logistic"}


def test_an_unknown_setting_is_refused_where_it_stands(project: SmallProject):
    """The line names the setting and what there is instead."""
    methods = {"one": {"algorithm": "logistic", "settings": {"features": 1, "epochs": 3}}}

    (line,) = _mistakes(project, methods=methods)

    assert line.startswith(
        "small.yaml:12:7: methods.one.settings: logistic has no setting 'epochs'; it has crash, "
    )


def test_every_mistake_has_its_line(project: SmallProject):
    """Two wrong settings and a wrong metric are three lines."""
    methods = {
        "one": {"algorithm": "logistic", "settings": {"features": 3}},
        "two": {"algorithm": "logistic", "settings": {"n_steps": "many"}},
    }

    lines = _mistakes(project, methods=methods, compare={"metrics": ["dice"]})

    assert [line.split(": ", 2)[2] for line in lines] == [
        "setting 'features' must be one of 1, 2, got 3",
        "setting 'n_steps' must be of type integer, got 'many'",
        "task two_features has no dice; it has auroc, ap",
    ]


def test_an_unknown_algorithm_task_and_profile(project: SmallProject):
    """Names that lead nowhere are refused with the names that there are."""
    (line,) = _mistakes(project, methods={"one": {"algorithm": "unet"}})
    assert "methods.one.algorithm: no algorithm 'unet'" in line
    assert line.endswith("algorithms has logistic")

    (line,) = _mistakes(project, task="three_features")
    assert line.startswith("small.yaml:2:1: task: no task 'three_features'")

    (line,) = _mistakes(project, methods={"one": {"algorithm": "logistic", "profile": "big"}})
    assert line.endswith("methods.one.profile: logistic has no profile 'big'; it has smoke")


def test_an_algorithm_of_another_task_is_refused(project: SmallProject):
    """An algorithm is made for one task."""
    manifest = project.root / "algorithms/logistic/manifest.yaml"
    manifest.write_text(manifest.read_text().replace("task: two_features", "task: five_features"))

    (line,) = _mistakes(project)[:1]

    assert line.endswith("logistic is made for 'five_features', not for 'two_features'")


def test_a_study_outside_any_project_says_what_to_do(tmp_path, monkeypatch):
    """Without algorithms/ around, the option that names it is offered."""
    path = tmp_path / "lonely.yaml"
    path.write_text("study: s\ntask: t\ndataset: d\nentropy: 1\nruns: 1\nmethods: {a: {algorithm: x}}\n")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(UserError, match="name it with --project"):
        read_study(path)
