"""The run records of a study folder, and the scores that belong to them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reseed.contracts.footprint import StudyFootprint
from reseed.contracts.metrics import Metrics
from reseed.contracts.run import RunRecord
from reseed.documents.reading import read_json
from reseed.reporting.comparisons import Comparisons, MetricComparison

RunKey = tuple[str, str]
"""Method, and the run's number as text."""


@dataclass(frozen=True)
class StudyFiles:
    """The files of STUDY_DIR that a report is made from."""

    path: Path

    @property
    def comparisons(self) -> Path:
        """comparisons.json."""
        return self.path / "comparisons.json"

    @property
    def footprint(self) -> Path:
        """footprint.json; older studies have none."""
        return self.path / "footprint.json"

    @property
    def report(self) -> Path:
        """report.html."""
        return self.path / "report.html"

    def run_folders(self) -> list[Path]:
        """Every runs/<method>/<run>/ that holds a run.json, by method and number."""
        found = [path.parent for path in self.path.glob("runs/*/*/run.json") if not _is_hidden(path.parent)]
        return sorted(found, key=lambda folder: (folder.parent.name, folder.name.zfill(12)))


@dataclass(frozen=True)
class StudyRecords:
    """
    What is known of the runs of a study.

    Attributes
    ----------
    records
        Of the runs that were compared; of all runs when nothing was.
    n_missing
        Runs that were compared but have no record.
    n_other
        Runs that have a record but are not part of the comparison.
    scores
        By metric, the score of each run; None where it is undefined.
    footprint
        What the study used; None where that was not recorded.
    """

    records: tuple[RunRecord, ...]
    n_missing: int
    n_other: int
    scores: dict[str, dict[RunKey, float | None]]
    footprint: StudyFootprint | None = None

    @property
    def methods(self) -> list[str]:
        """Method names in the order of the records."""
        return list(dict.fromkeys(record.method for record in self.records))

    def of_method(self, method: str) -> list[RunRecord]:
        """The runs of a method."""
        return [record for record in self.records if record.method == method]


def read_study_records(files: StudyFiles, comparisons: Comparisons) -> StudyRecords:
    """
    Read every run.json; the scores come from the comparison, or from metrics.json where there is none.

    Raises
    ------
    UserError
        One line per mistake, with its file.
    """
    scores = {metric.metric: _compared_scores(metric) for metric in comparisons.metrics}
    compared = set().union(*scores.values())
    records = {folder: read_json(folder / "run.json", RunRecord) for folder in files.run_folders()}
    chosen = {
        folder: record for folder, record in records.items() if not compared or run_key(record) in compared
    }
    for metric, known in scores.items():
        if not known:
            known.update(_own_scores(metric, chosen))
    order = _method_order(comparisons)
    ordered = sorted(chosen.values(), key=lambda record: (order.get(record.method, len(order)), record.run))
    n_missing = len(compared - {run_key(record) for record in ordered})
    footprint = read_json(files.footprint, StudyFootprint) if files.footprint.is_file() else None
    return StudyRecords(tuple(ordered), n_missing, len(records) - len(chosen), scores, footprint)


def run_key(record: RunRecord) -> RunKey:
    """Method and run as score tables name them."""
    return record.method, str(record.run)


def _compared_scores(metric: MetricComparison) -> dict[RunKey, float | None]:
    if not metric.scopes:
        return {}
    return {(row.method, str(run.run)): run.score for row in metric.results[0].methods for run in row.runs}


def _own_scores(metric: str, records: dict[Path, RunRecord]) -> dict[RunKey, float | None]:
    found: dict[RunKey, float | None] = {}
    for folder, record in records.items():
        if (folder / "metrics.json").is_file():
            aggregate = read_json(folder / "metrics.json", Metrics).aggregates.get(metric)
            found[run_key(record)] = None if aggregate is None else aggregate.value
    return found


def _method_order(comparisons: Comparisons) -> dict[str, int]:
    names = [comparisons.baseline]
    for metric in comparisons.metrics:
        for result in metric.results:
            names += [row.method for row in result.methods]
    return {name: place for place, name in enumerate(dict.fromkeys(names))}


def _is_hidden(folder: Path) -> bool:
    """A run that is being laid out is beside its place, under a name with a dot."""
    return folder.name.startswith(".") or folder.parent.name.startswith(".")
