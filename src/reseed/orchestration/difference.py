"""What differs between two runs, most suspicious first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reseed.contracts.errors import UserError
from reseed.contracts.run import RunRecord
from reseed.contracts.training_report import COMPUTATION, ENVIRONMENT, RESOLVED
from reseed.documents.reading import read_json

_DIGEST = re.compile(r"[0-9a-f]{64}")
_SUSPICION = (
    ("data", "the data"),
    ("settings", "a setting"),
    ("program.algorithm", "the algorithm"),
    ("program.version", "the algorithm's version"),
    ("vary", "what the study varies"),
    ("n_members", "the ensemble"),
    ("resolved", "a silent default"),
    ("files", "a file that the training read"),
    ("reported", "what the training reported"),
    ("program", "the program"),
    ("environment.packages", "a package of the training"),
    ("environment.variables", "a variable of the training"),
    ("environment.os_packages", "a package of the operating system"),
    ("environment", "what the training ran in"),
    ("packages", "a package of the orchestrator"),
    ("hardware", "the machine"),
    ("levels", "a level of the design"),
    ("seeds", "a seed"),
    ("weights", "the weights"),
)
"""Parts of a record from what should never differ to what a retraining always changes."""


@dataclass(frozen=True)
class Difference:
    """One value that two runs do not share."""

    kind: str
    key: str
    first: Any
    second: Any

    @property
    def is_expected(self) -> bool:
        """Whether a retraining is meant to differ in it."""
        return self.kind in ("a level of the design", "a seed", "the weights")

    def line(self) -> str:
        """The difference as one line of text."""
        return f"{self.kind}: {self.key}: {_shown(self.first)} | {_shown(self.second)}"


def recorded_run(path: Path) -> RunRecord:
    """
    The record of a run, by its folder or by the path of its run.json.

    Raises
    ------
    UserError
        When there is none, or it cannot be understood.
    """
    file = path / "run.json" if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"{path}: no run.json; name a folder like STUDY_DIR/runs/<method>/<run>")
    return read_json(file, RunRecord)


def run_differences(first: RunRecord, second: RunRecord) -> list[Difference]:
    """
    What differs between two runs, in the order in which to look at it.

    Times, durations, job keys and the runs' own names are not differences.
    """
    return value_differences(dict(_compared(first)), dict(_compared(second)))


def value_differences(first: dict[str, Any], second: dict[str, Any]) -> list[Difference]:
    """As `run_differences`, of values by dotted key that start with a part of a record."""
    values = _without_one_sided([first, second])
    found = []
    for key in sorted({*values[0], *values[1]}):
        before, after = (value.get(key) for value in values)
        if before != after:
            found.append((_rank(key), key, before, after))
    found.sort(key=lambda item: (item[0], item[1]))
    return [
        Difference(_SUSPICION[rank][1], _short(key, _SUSPICION[rank][0]), before, after)
        for rank, key, before, after in found
    ]


def _compared(record: RunRecord) -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of all that is compared."""
    document = record.model_dump(mode="json")
    yield "n_members", len(record.members)
    yield from flat_values("levels", document["levels"])
    yield "vary", ", ".join(stream.value for stream in record.vary)
    for part in ("data", "settings", "program", "packages", "hardware"):
        yield from flat_values(part, document[part])
    for member in document["members"]:
        name = f"member-{member['member']}"
        yield from flat_values(f"seeds.{name}", member["seeds"])
        yield from flat_values(f"weights.{name}", member["weights"])
        reported = member["reported"]
        yield from flat_values(f"resolved.{name}", reported.get(RESOLVED, {}))
        yield from flat_values(f"files.{name}", reported.get("files", {}))
        for part in (COMPUTATION, ENVIRONMENT):
            yield from flat_values(f"reported.{name}.{part}", reported.get(part, {}))
    yield from flat_values("environment", document["environment"] or {})


_OLD_RECORDS_LACK = ("environment", "resolved")


def _without_one_sided(values: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One line, not a thousand, where only one of two records holds a whole part."""
    for part in _OLD_RECORDS_LACK:
        held = [any(key.startswith(f"{part}.") for key in value) for value in values]
        if held[0] != held[1]:
            values = [
                {key: found for key, found in value.items() if not key.startswith(f"{part}.")}
                | ({f"{part}.recorded": "yes"} if is_held else {})
                for value, is_held in zip(values, held, strict=True)
            ]
    return values


def flat_values(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of a document; a list of names is a key for each name."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from flat_values(f"{prefix}.{key}", below)
    elif isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        for item in value:
            yield f"{prefix}.{item}", "yes"
    else:
        yield prefix, value


def _rank(key: str) -> int:
    for rank, (prefix, _) in enumerate(_SUSPICION):
        if key == prefix or key.startswith(f"{prefix}."):
            return rank
    return len(_SUSPICION) - 1


def _short(key: str, part: str) -> str:
    """A key without the part that the kind of difference already names."""
    return key.removeprefix(f"{part}.") if key.startswith(f"{part}.") else key.partition(".")[2] or key


def _shown(value: Any) -> str:
    text = "absent" if value is None else str(value)
    if _DIGEST.fullmatch(text):
        return f"{text[:12]}…"
    return text if len(text) <= 72 else f"{text[:69]}…"
