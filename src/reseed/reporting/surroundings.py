"""What the runs were made from and on: data, machine, packages, times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC

import reseed
from reseed.reporting.run_tables import commit_text, distinct_text
from reseed.reporting.study_records import StudyRecords
from reseed.reporting.wording import count_text, duration_text


@dataclass(frozen=True)
class Fact:
    """A name and what it stands for."""

    name: str
    text: str


def data_facts(records: StudyRecords) -> tuple[Fact, ...]:
    """The data set, by name, version and digest."""
    data = [record.data for record in records.records]
    return (
        Fact("data set", distinct_text(item.dataset for item in data)),
        Fact("version", distinct_text(item.version for item in data)),
        Fact("digest (SHA-256)", distinct_text(item.digest for item in data)),
    )


def machine_facts(records: StudyRecords) -> tuple[Fact, ...]:
    """The machine, and what the trainings took of it."""
    hardware = [record.hardware for record in records.records]
    members = [member for record in records.records for member in record.members]
    peaks = [member.peak_memory_mib for member in members if member.peak_memory_mib is not None]
    restarted = sum(member.n_attempts > 1 for member in members)
    hours = sum(record.hours for record in records.records)
    facts = [
        Fact("processor", distinct_text(item.processor for item in hardware)),
        Fact("cores", distinct_text(str(item.n_cpus) for item in hardware)),
        Fact("memory", distinct_text(f"{item.memory_gib:g} GiB" for item in hardware)),
        Fact("graphics", distinct_text(", ".join(item.gpus) or "none" for item in hardware)),
        Fact("system", distinct_text(f"{item.system}, {item.machine}" for item in hardware)),
        Fact("training time", f"{duration_text(hours)} in {count_text(len(members), 'training')}"),
    ]
    if peaks:
        facts.append(Fact("most memory by one training", f"{max(peaks):.0f} MiB"))
    if restarted:
        facts.append(Fact("trainings that were started more than once", str(restarted)))
    return tuple(facts)


def footprint_facts(records: StudyRecords) -> tuple[Fact, ...]:
    """Time, energy, CO2 and cost, and by which prices and measurements; empty where none was recorded."""
    found = records.footprint
    if found is None:
        return ()
    kinds = [Fact(f"of it, {kind}", part.words) for kind, part in found.by_kind.items()]
    facts = [
        Fact("in all", found.words),
        *kinds,
        Fact("reproduction", found.reproduction),
        Fact("prices", f"{found.rates.title}, {found.rates.date}: {found.rates.source}"),
        Fact("electricity", f"{found.grid.g_per_kwh:g} g CO2 a kWh: {found.grid.source}"),
    ]
    if found.measuring is not None:
        how = f"processor {found.measuring.cpu}; graphics {found.measuring.gpu}; memory {found.measuring.ram}"
        facts.append(Fact("measured by", f"{found.measuring.tool}: {how}"))
    return tuple(facts)


def packages(records: StudyRecords) -> tuple[Fact, ...]:
    """Versions of the Python packages, by name."""
    names = sorted({name for record in records.records for name in record.packages}, key=str.casefold)
    return tuple(
        Fact(name, distinct_text(record.packages.get(name) for record in records.records)) for name in names
    )


def making_facts(records: StudyRecords, study: str) -> tuple[Fact, ...]:
    """How the report was made. Times come from the run records: the same study gives the same page."""
    facts = [
        Fact("command", f"reseed report {study}"),
        Fact("written by", f"reseed {reseed.__version__}"),
    ]
    if records.records:
        commits = distinct_text(commit_text(record) for record in records.records)
        entropy = distinct_text(record.study_entropy for record in records.records)
        members = [member for record in records.records for member in record.members]
        facts.append(Fact("git commit of the programs", commits))
        facts.append(Fact("entropy of the study, from which all seeds descend", entropy))
        if members:
            first = min(member.started for member in members).astimezone(UTC)
            last = max(member.ended for member in members).astimezone(UTC)
            facts.append(Fact("trained", f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"))
    return tuple(facts)
