"""`reseed run` and `plan` of a collection: several studies in one file, equal jobs done once."""

from __future__ import annotations

import json
from pathlib import Path

import typer
from rich.console import Console

from reseed.cli.study import EXIT_INCOMPLETE, EXIT_INTERRUPTED, finished
from reseed.cli.study_data import missing_lines, planned_inputs, provisional_lines, refuse_unfit_datasets
from reseed.cli.study_request import StudyRequest, study_run_for
from reseed.contracts.footprint import amount_text
from reseed.contracts.job import JobKind, JobState
from reseed.orchestration.collection import (
    CollectionContext,
    CollectionFolder,
    SharedPlan,
    read_collection,
    shared_plan,
)
from reseed.orchestration.footprint.estimate import Estimate, estimate, summed
from reseed.orchestration.footprint.rates import site
from reseed.orchestration.footprint.words import reproduction_line, site_lines
from reseed.orchestration.plan import Plan
from reseed.orchestration.progress import StudyProgress
from reseed.orchestration.slots import n_usable_cpus
from reseed.orchestration.state import exclusive, job_record
from reseed.orchestration.study_file import StudyContext
from reseed.orchestration.study_run import declared_uses, process_executor


def run_collection(
    asked: StudyRequest,
    n_jobs: int | None,
    *,
    trains_only: bool = False,
    memory_gib: float | None = None,
    retry_failed: bool = False,
) -> None:
    """Take every study of a collection to its end, one after the other, shared jobs once."""
    console = Console()
    context = read_collection(asked.study, project=asked.project)
    folder = collection_folder(context, asked)
    _refuse_missing_data(context, asked)
    folder.claim(context)
    n_incomplete = 0
    with exclusive(folder.lock_folder):
        for read in context.studies:
            study = folder.prepared(read)
            console.print(f"\n{study.study.study}", style="bold", highlight=False)
            study_run = study_run_for(console, asked, study, folder.study(study.study.study).path)
            progress = StudyProgress(console, n_side_by_side=n_jobs or n_usable_cpus())
            try:
                outcome = study_run.run(
                    progress,
                    n_jobs=n_jobs,
                    part=_trainings if trains_only else _whole,
                    memory_gib=memory_gib,
                    retry_failed=retry_failed,
                )
            finally:
                progress.close()
            if outcome.interrupted:
                console.print("interrupted; the same command goes on from here", highlight=False)
                raise typer.Exit(EXIT_INTERRUPTED)
            is_done = outcome.is_complete if trains_only else finished(console, study_run, outcome)
            n_incomplete += not is_done
    if n_incomplete:
        n_studies = len(context.studies)
        console.print(f"{n_incomplete} of {n_studies} studies are not complete", style="red", highlight=False)
        raise typer.Exit(EXIT_INCOMPLETE)


def _refuse_missing_data(context: CollectionContext, asked: StudyRequest) -> None:
    missing = missing_lines(context.studies, asked, context.collection.datasets)
    refuse_unfit_datasets(context.studies, asked, missing=missing)


def plan_collection(asked: StudyRequest, *, as_json: bool) -> None:
    """Print what a collection would do; datasets need not be there, and no engine."""
    context = read_collection(asked.study, project=asked.project)
    refuse_unfit_datasets(context.studies, asked)
    plan = planned(context, asked)
    if as_json:
        typer.echo(json.dumps([job.model_dump(mode="json") for job in plan.jobs], indent=1))
        note = provisional_lines(context.studies, asked, context.collection.datasets)
        typer.echo("\n".join(note[1:]), err=True, nl=bool(note))
        return
    for line in collection_lines(context, plan, asked):
        typer.echo(line)


def planned(context: CollectionContext, asked: StudyRequest) -> SharedPlan:
    """The plan as processes would do it, with the digests of the datasets that are here."""
    return shared_plan(
        {
            study.study.study: planned_inputs(study, asked, process_executor(study).code_digest)
            for study in context.studies
        }
    )


def _whole(plan: Plan) -> Plan:
    return plan


def _trainings(plan: Plan) -> Plan:
    return plan.trainings()


def collection_lines(context: CollectionContext, plan: SharedPlan, asked: StudyRequest) -> list[str]:
    """A line of counts, a line for each study, and what data are still to be brought."""
    folder = collection_folder(context, asked)
    jobs = plan.jobs
    n_done = sum(job_record(folder.lock_folder, job).state is JobState.SUCCEEDED for job in jobs)
    counts = {kind: sum(job.kind is kind for job in jobs) for kind in JobKind}
    title = f": {context.collection.title}" if context.collection.title else ""
    lines = [
        f"{context.collection.collection}{title}",
        f"{len(jobs)} jobs, {n_done} done: "
        + ", ".join(f"{count} {kind.value}" for kind, count in counts.items() if count),
    ]
    at = site(rates=asked.rates, country=asked.country)
    estimates = []
    width = max(len(name) for name in plan.plans)
    for study in context.studies:
        name = study.study.study
        found = estimate(plan.own[name], folder.study(name), at, declared_uses(study))
        estimates.append(found)
        lines.append(f"  {name:{width}}  {study_line(study, plan)}{_hours(found)}")
    lines += [reproduction_line(summed(at, estimates)), *site_lines(at)]
    return lines + provisional_lines(context.studies, asked, context.collection.datasets)


def _hours(found: Estimate) -> str:
    hours = found.footprint.use.gpu_hours
    return f", {amount_text(hours)} GPU hours" if hours else ""


def study_line(study: StudyContext, plan: SharedPlan) -> str:
    """How often which methods are trained, and what another study does already."""
    name = study.study.study
    runs = " + ".join(f"{study.study.n_runs(method)} runs of {method}" for method in study.study.methods)
    n_trainings = len(plan.own[name].of_kind(JobKind.TRAIN).jobs)
    n_shared = plan.n_shared(name, JobKind.TRAIN)
    words = f"{runs}, {study.study.members} members each: {n_trainings} trainings"
    return f"{words}, {n_shared} more shared with a study above" if n_shared else words


def collection_folder(context: CollectionContext, asked: StudyRequest) -> CollectionFolder:
    """COLLECTION_DIR."""
    return CollectionFolder((asked.out or Path.cwd() / context.collection.collection).resolve())
