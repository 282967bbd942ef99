"""Rows of the tables about runs: seeds, scores, weights, settings, programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from reseed.contracts.run import RunRecord
from reseed.contracts.seeds import SeedStream
from reseed.reporting.study_records import StudyRecords, run_key
from reseed.reporting.wording import duration_text, list_text, value_text


@dataclass(frozen=True)
class RunRow:
    """One run; seeds by member, in the order of the table's streams."""

    run: int
    scores: tuple[str, ...]
    hours: str
    weights_digest: str
    members: tuple[tuple[int, tuple[int, ...]], ...]


@dataclass(frozen=True)
class MethodRuns:
    """The runs of one method."""

    method: str
    rows: tuple[RunRow, ...]


@dataclass(frozen=True)
class SettingRow:
    """One setting, or fact of the program, with a value for each method."""

    name: str
    values: tuple[str, ...]
    differs: bool
    are_digests: bool = False


def varied_streams(records: StudyRecords) -> tuple[SeedStream, ...]:
    """The seed streams that differ from run to run."""
    named = {source.stream for record in records.records for source in record.vary}
    return tuple(stream for stream in SeedStream if stream in named)


def held_streams(records: StudyRecords) -> tuple[str, ...]:
    """The seeds that are the same in all runs, each as a phrase."""
    held = [stream for stream in SeedStream if stream not in varied_streams(records)]
    phrases = []
    for stream in held:
        seeds = {
            member.member: getattr(member.seeds, stream.value)
            for record in records.records
            for member in record.members
        }
        if len(set(seeds.values())) == 1:
            phrases.append(f"{stream.value} {next(iter(seeds.values()))}")
        else:
            listed = list_text([f"{seed} (member {member})" for member, seed in sorted(seeds.items())])
            phrases.append(f"{stream.value} {listed}")
    return tuple(phrases)


def method_runs(records: StudyRecords) -> tuple[MethodRuns, ...]:
    """Every run with its seeds, method by method."""
    streams = varied_streams(records)
    return tuple(
        MethodRuns(method, tuple(_run_row(record, records, streams) for record in records.of_method(method)))
        for method in records.methods
    )


def _run_row(record: RunRecord, records: StudyRecords, streams: tuple[SeedStream, ...]) -> RunRow:
    return RunRow(
        run=record.run,
        scores=tuple(value_text(scores.get(run_key(record))) for scores in records.scores.values()),
        hours=duration_text(record.hours),
        weights_digest=record.weights_digest,
        members=tuple(
            (member.member, tuple(getattr(member.seeds, stream.value) for stream in streams))
            for member in record.members
        ),
    )


def setting_rows(records: StudyRecords) -> tuple[SettingRow, ...]:
    """Every setting of every method; a method that has no such setting shows a dash."""
    names = dict.fromkeys(name for record in records.records for name in record.settings)
    return tuple(_row(records, name, partial(_setting_text, name)) for name in sorted(names))


def program_rows(records: StudyRecords) -> tuple[SettingRow, ...]:
    """What was executed for each method."""
    facts: tuple[tuple[str, Callable[[RunRecord], str | None], bool], ...] = (
        ("algorithm", lambda record: f"{record.program.algorithm} {record.program.version}", False),
        ("program digest", lambda record: record.program.digest, True),
        ("image", lambda record: record.program.image, False),
        ("executor", lambda record: record.program.executor, False),
        ("git commit", commit_text, False),
        ("members of a run", lambda record: str(len(record.members)), False),
    )
    rows = [_row(records, name, text, are_digests=digests) for name, text, digests in facts]
    return tuple(row for row in rows if set(row.values) != {"–"})


def _row(
    records: StudyRecords,
    name: str,
    text: Callable[[RunRecord], str | None],
    *,
    are_digests: bool = False,
) -> SettingRow:
    values = tuple(
        distinct_text(text(record) for record in records.of_method(method)) for method in records.methods
    )
    return SettingRow(name, values, len(set(values)) > 1, are_digests)


def distinct_text(values: Iterable[str | None]) -> str:
    """What all runs have in common; all of it where they differ; a dash where there is nothing."""
    found = dict.fromkeys(value for value in values if value is not None)
    return ", ".join(found) or "–"


def _setting_text(name: str, record: RunRecord) -> str | None:
    if name not in record.settings:
        return None
    value = record.settings[name]
    return str(value).lower() if isinstance(value, bool) else str(value)


def commit_text(record: RunRecord) -> str | None:
    """The commit that was checked out, and whether the files were those of the commit."""
    commit, is_clean = record.program.git_commit, record.program.git_is_clean
    return commit if commit is None or is_clean is not False else f"{commit} with uncommitted changes"
