"""`inference`: one case as Grand Challenge hands it over, or a folder of such cases."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from algorithms.common.cases import Case, cases
from algorithms.common.determinism import repeatable_computation
from algorithms.common.entry_point import Environment, run_entry_point
from algorithms.common.log import log_event
from algorithms.nodule_malignancy.description import (
    INPUT_SLUG,
    LIKELIHOODS_SLUG,
    LOCATIONS_SLUG,
    OUTPUT_SLUG,
    SCAN_SLUG,
    manifest,
    socket_of,
)
from algorithms.nodule_malignancy.model import Ensemble, read_ensemble
from algorithms.nodule_malignancy.patches import read_patch
from algorithms.nodule_malignancy.scans import Cube, Point, nodule_cube, read_scan
from reseed.contracts.containers import InferencePaths
from reseed.contracts.errors import UserError
from reseed.contracts.sockets import Socket

CASES_AT_ONCE = 64
"""Whose patches are in memory together: every network is read once for each such group."""


def main(root: Path, environment: Environment) -> None:
    """Predict every case below /input, with one network in memory at a time."""
    paths = InferencePaths(root)
    computation = repeatable_computation(environment)
    ensemble = read_ensemble(paths.model, device=computation.device)
    n_cases = 0
    for group in _groups(cases(paths)):
        predict(group, ensemble)
        n_cases += len(group)
    log_event("predicted", n_cases=n_cases, members=len(ensemble.records), device=computation.device)


def predict(group: list[Case], ensemble: Ensemble) -> None:
    """Write the outputs of some cases: a likelihood for each, or of CT one for each nodule."""
    described = manifest()
    if not ensemble.settings.sees_ct:
        source, target = socket_of(described, INPUT_SLUG), socket_of(described, OUTPUT_SLUG)
        patches = [
            read_patch(case.image(source), case=case.name, dimension=ensemble.dimension) for case in group
        ]
        for case, likelihood in zip(group, ensemble.likelihoods(patches), strict=True):
            case.write_value(target, likelihood)
        return
    scan, locations = socket_of(described, SCAN_SLUG), socket_of(described, LOCATIONS_SLUG)
    patch_voxels = ensemble.settings.patch_voxels
    cubes = [case_cubes(case, scan, locations, patch_voxels=patch_voxels) for case in group]
    likelihoods = iter(ensemble.likelihoods([cube for of_case in cubes for cube in of_case]))
    for case, of_case in zip(group, cubes, strict=True):
        _write_list(case, socket_of(described, LIKELIHOODS_SLUG), [next(likelihoods) for _ in of_case])


def case_cubes(case: Case, scan: Socket, locations: Socket, *, patch_voxels: int) -> list[Cube]:
    """
    The cubes of a case's nodules, in the order of its list.

    Raises
    ------
    UserError
        When the scan or the list is missing or is not what its socket says.
    """
    points = nodule_points(case.input_folder / locations.relative_path, case=case.name)
    image = read_scan(case.image(scan), case=case.name)
    return [
        nodule_cube(image, point, patch_voxels=patch_voxels, case=case.name, nodule=name)
        for name, point in points
    ]


def nodule_points(path: Path, *, case: str) -> list[tuple[str, Point]]:
    """
    Names and places of the nodules of a scan, from the platform's annotation of kind Multiple points.

    Raises
    ------
    UserError
        When the file is missing, or holds something else.
    """
    if not path.is_file():
        raise UserError(f"case {case!r}: {path.name} is missing; it lists the nodules of the scan")
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"case {case!r}: {path.name}: not valid JSON: {error}") from None
    points = document.get("points") if isinstance(document, dict) else None
    if not isinstance(points, list):
        raise UserError(f"case {case!r}: {path.name} must be Multiple points, with a list of points")
    return [_point(entry, number, path, case) for number, entry in enumerate(points, start=1)]


def _point(entry: Any, number: int, path: Path, case: str) -> tuple[str, Point]:
    place = entry.get("point") if isinstance(entry, dict) else None
    if (
        not isinstance(place, list)
        or len(place) != 3
        or not all(isinstance(value, int | float) and math.isfinite(value) for value in place)
    ):
        raise UserError(f"case {case!r}: {path.name}: point {number} must be three finite numbers in mm")
    return str(entry.get("name") or number), (float(place[0]), float(place[1]), float(place[2]))


def _write_list(case: Case, socket: Socket, likelihoods: list[float]) -> None:
    path = case.output_folder / socket.relative_path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{json.dumps(likelihoods, allow_nan=False)}\n", encoding="utf-8")


def _groups(found: Iterator[Case]) -> Iterator[list[Case]]:
    while group := list(itertools.islice(found, CASES_AT_ONCE)):
        yield group


if __name__ == "__main__":
    run_entry_point(main, leaves_failure_file=False)
