"""Would a recorded run find here what it ran in? This machine, or image, beside a run.json."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from reseed.contracts.environment import program_environment
from reseed.contracts.errors import InvalidDocument, UserError
from reseed.contracts.run import RunRecord
from reseed.contracts.training_report import COMPUTATION, ENVIRONMENT
from reseed.orchestration.difference import Difference, flat_values, recorded_run, value_differences
from reseed.orchestration.executors.executor import Programs
from reseed.orchestration.provenance import this_hardware


@runtime_checkable
class Inspectable(Protocol):
    """An executor that can ask a role's program what it would run in."""

    def report(self, role: str) -> Mapping[str, Any] | None:
        """`computation` and `environment` as a training would report them; None when it cannot say."""


def recorded_runs(path: Path) -> list[RunRecord]:
    """
    A run by its folder or run.json; of a study the first run of each algorithm.

    Raises
    ------
    UserError
        When there is none.
    """
    runs = sorted(path.glob("runs/*/*/run.json"), key=lambda run: (run.parts[-3], run.parts[-2].zfill(12)))
    if not runs:
        return [recorded_run(path)]
    first: dict[str, RunRecord] = {}
    for run in runs:
        record = recorded_run(run)
        first.setdefault(record.program.algorithm, record)
    return list(first.values())


def environment_differences(record: RunRecord, executor: Programs) -> list[Difference]:
    """
    What a training would find different here, most suspicious first.

    Parameters
    ----------
    record
        Of the run.
    executor
        Whose programs would train: plain processes of this machine, or images.

    Raises
    ------
    UserError
        When the record says nothing of its environment, or the executor cannot be asked.
    """
    if record.environment is None:
        raise UserError(f"{record.method}/{record.run}: run.json does not say what the training ran in")
    role = record.program.algorithm
    if not isinstance(executor, Inspectable):
        raise UserError(f"executor {executor.name!r} cannot be asked what its programs run in")
    found = executor.report(role)
    if found is None:
        if executor.name != "process":
            raise InvalidDocument(f"the image of {role} does not say what it runs in")
        found = {ENVIRONMENT: program_environment(os.environ).model_dump(mode="json")}
    then: dict[str, Any] = {
        "program.digest": record.program.digest,
        "environment": _without_variables(record.environment.model_dump(mode="json")),
        "hardware": record.hardware.model_dump(mode="json"),
    }
    now: dict[str, Any] = {
        "program.digest": executor.code_digest(role),
        "environment": _without_variables(found[ENVIRONMENT]),
        "hardware": this_hardware().model_dump(mode="json"),
    }
    if COMPUTATION in found and record.members:
        then[_REPORTED] = record.members[0].reported.get(COMPUTATION, {})
        now[_REPORTED] = found[COMPUTATION]
    return value_differences(_flat(then), _flat(now))


_REPORTED = "reported.computation"


def _flat(parts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for part, document in parts.items() for key, value in flat_values(part, document)}


def _without_variables(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Variables are set for every job by the orchestrator, not by the machine."""
    return {key: value for key, value in environment.items() if key != "variables"}
