"""metrics.json files of several runs or submissions, told apart by where they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reseed.contracts.errors import UserError
from reseed.contracts.metrics import Metrics
from reseed.documents.reading import read_json
from reseed.scoring.tables import MetricTable, metric_tables


def metrics_by_run(paths: Sequence[Path]) -> dict[tuple[str, int], Metrics]:
    """
    Metrics by method and run, in the order of the paths.

    `<method>/<run>/metrics.json` with a number for the run, as a study has it, is that method and run.
    Any other file is a submission of its own, which is one run: it is called by its name without
    .json, or by its folder's where its name is metrics.json.

    Raises
    ------
    UserError
        When a file cannot be read, two are one run, or they are of different tasks or cases.
    """
    found: dict[tuple[str, int], Metrics] = {}
    place: dict[tuple[str, int], Path] = {}
    for path in paths:
        key = _method_and_run(path)
        if key in found:
            raise UserError(
                f"{path}: is method {key[0]!r} run {key[1]}, as is {place[key]}; give them different names"
            )
        found[key], place[key] = read_json(path, Metrics), path
    _check_alike(found, place)
    return found


def _method_and_run(path: Path) -> tuple[str, int]:
    whole = path.resolve()
    if path.name == "metrics.json" and whole.parent.name.isdecimal():
        return whole.parent.parent.name, int(whole.parent.name)
    return (whole.parent.name if path.name == "metrics.json" else path.stem), 0


def _check_alike(found: dict[tuple[str, int], Metrics], place: dict[tuple[str, int], Path]) -> None:
    (first, *others) = found
    cases = {result.case_id for result in found[first].results}
    for key in others:
        if found[key].task != found[first].task:
            raise UserError(
                f"{place[key]}: is of task {found[key].task!r}, {place[first]} of {found[first].task!r}"
            )
        differing = sorted({result.case_id for result in found[key].results} ^ cases)
        if differing:
            has, lacks = (first, key) if differing[0] in cases else (key, first)
            raise UserError(f"{place[lacks]}: lacks case {differing[0]!r}, which {place[has]} has")


def compared_runs(paths: Sequence[Path], metric: str) -> MetricTable:
    """
    The score table of several metrics.json for one metric.

    Raises
    ------
    UserError
        As `metrics_by_run` and `metric_tables` do, or when there is only one method.
    """
    runs = metrics_by_run(paths)
    methods = {method for method, _ in runs}
    if len(methods) < 2:
        raise UserError(f"{methods.pop()} is the only method: give the metrics.json of two or more")
    return metric_tables(runs, [metric])[0]
