"""Keeps what a person looks at, runs/ and comparisons.json, in step with the jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reseed.contracts.dataset import DatasetManifest
from reseed.contracts.files import write_json_atomically
from reseed.contracts.job import Job, JobKind, JobRecord, JobState
from reseed.documents.reading import json_document
from reseed.orchestration.executors.executor import Programs
from reseed.orchestration.footprint.rates import Site
from reseed.orchestration.outcome import Listener
from reseed.orchestration.plan import Plan, PlanInputs
from reseed.orchestration.provenance import Surroundings, run_record
from reseed.orchestration.results import reveal_run, show_comparison, show_run
from reseed.orchestration.state import job_record
from reseed.orchestration.study_folder import StudyFolder


@dataclass(frozen=True)
class ResultView:
    """A listener that shows each result as soon as it is there, and passes everything on."""

    study: StudyFolder
    dataset: DatasetManifest
    executor: Programs
    inputs: PlanInputs
    plan: Plan
    around: Surroundings
    site: Site
    listener: Listener
    jobs_of_run: dict[tuple[str, int], list[Job]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Group the plan's jobs by run."""
        for job in self.plan.jobs:
            if job.method is not None and job.run is not None:
                self.jobs_of_run.setdefault((job.method, job.run), []).append(job)

    def begun(self, plan: Plan, records: Mapping[str, JobRecord]) -> None:
        """Show what an earlier command finished but was killed before showing."""
        for job in plan.jobs:
            if records[job.key].state is JobState.SUCCEEDED:
                self._show(job)
        self.listener.begun(plan, records)

    def started(self, job: Job, *, adopted: bool) -> None:
        """Pass on."""
        self.listener.started(job, adopted=adopted)

    def ended(self, job: Job, record: JobRecord, log_tail: str) -> None:
        """Show a result, and pass on once that has been possible."""
        if record.state is JobState.SUCCEEDED:
            self._show(job)
        self.listener.ended(job, record, log_tail)

    def notice(self, line: str) -> None:
        """Pass on."""
        self.listener.notice(line)

    def tick(self) -> None:
        """Pass on."""
        self.listener.tick()

    def _show(self, job: Job) -> None:
        if job.kind is JobKind.COMPARE:
            show_comparison(self.study, job)
        elif job.kind is JobKind.SCORE and job.method is not None and job.run is not None:
            self._show_run(job.method, job.run)

    def _show_run(self, method: str, run: int) -> None:
        jobs = self.jobs_of_run[method, run]
        if _jobs_shown(self.study.run(method, run)) == {job.name: job.key for job in jobs}:
            return
        records = {job.key: job_record(self.study, job) for job in jobs}
        if any(record.state is not JobState.SUCCEEDED for record in records.values()):
            return
        record = run_record(
            self.inputs,
            jobs=jobs,
            records=records,
            study=self.study,
            dataset=self.dataset,
            executor=self.executor,
            around=self.around,
            site=self.site,
        )
        building = show_run(self.study, method=method, run=run, jobs=jobs)
        write_json_atomically(building / "run.json", record)
        reveal_run(self.study, building, method=method, run=run)


def _jobs_shown(folder: Path) -> object:
    """Keys by job name of the run that a folder shows; None when it shows none."""
    path = folder / "run.json"
    return json_document(path).get("jobs") if path.is_file() else None
