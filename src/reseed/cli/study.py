"""`reseed run`, `plan` and `train`: a study, or parts of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from reseed.cli.study_data import planned_inputs, provisional_lines, refuse_unfit_datasets
from reseed.cli.study_request import (
    CountryOption,
    DataOption,
    DetachOption,
    ExecutorOption,
    JobsOption,
    MemoryOption,
    OutOption,
    ProjectOption,
    RatesOption,
    RetryOption,
    SiteOption,
    StudyArgument,
    StudyRequest,
    code_digests,
    executed,
    study_place,
)
from reseed.cli.summary import print_footprint, print_summary
from reseed.contracts.errors import UserError
from reseed.contracts.job import JobKind, JobState
from reseed.orchestration.collection import is_collection
from reseed.orchestration.explanation import explanation, named_job
from reseed.orchestration.footprint.estimate import estimate
from reseed.orchestration.footprint.rates import site
from reseed.orchestration.footprint.words import reproduction_line, site_lines
from reseed.orchestration.outcome import Outcome
from reseed.orchestration.ownership import hand_over
from reseed.orchestration.plan import Plan, study_plan
from reseed.orchestration.same_methods import same_method_lines
from reseed.orchestration.slurm.cluster import SlurmCluster
from reseed.orchestration.state import job_state
from reseed.orchestration.study_file import read_study
from reseed.orchestration.study_folder import StudyFolder
from reseed.orchestration.study_run import StudyRun, declared_uses

EXIT_INCOMPLETE = 1
EXIT_INTERRUPTED = 130


def run(  # noqa: PLR0913, PLR0917  (one parameter for each option)
    study: StudyArgument,
    out: OutOption = None,
    executor: ExecutorOption = None,
    jobs: JobsOption = None,
    datasets: DataOption = None,
    project: ProjectOption = None,
    country: CountryOption = None,
    rates: RatesOption = None,
    slurm: SiteOption = None,
    detach: DetachOption = False,
    memory: MemoryOption = None,
    retry_failed: RetryOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and do nothing.")] = False,
) -> None:
    """
    Retrain, predict, score and compare every run of every method of a study.

    Interrupt it, or kill it, at any moment: the same command goes on where it stopped.

    For example

        reseed run studies/quickstart.yaml

        reseed run studies/quickstart.yaml --executor docker --out /data/quickstart

        reseed run studies/quickstart.yaml --executor slurm --detach

        reseed run studies/quickstart.yaml --dry-run
    """
    if dry_run:
        plan(
            study,
            out=out,
            executor=executor,
            datasets=datasets,
            project=project,
            country=country,
            rates=rates,
            slurm=slurm,
        )
        return
    console = Console()
    asked = StudyRequest(study, out, executor, datasets, project, country, rates, slurm)
    if is_collection(study):
        from reseed.cli.collection import run_collection  # noqa: PLC0415 (it imports this module)

        if detach:
            raise UserError("--detach is of one study; name its own file in the collection's folder")
        run_collection(asked, jobs, memory_gib=memory, retry_failed=retry_failed)
        return
    study_run, outcome = executed(
        console, asked, jobs, detach=detach, memory_gib=memory, retry_failed=retry_failed
    )
    finished(console, study_run, outcome)
    _leave(console, study_run, outcome, detached=detach)


def finished(console: Console, study_run: StudyRun, outcome: Outcome) -> bool:
    """Show and report a study that is complete; False when it is not."""
    if not outcome.is_complete:
        return False
    folder = study_run.folder
    print_summary(console, folder.comparisons)
    print_footprint(console, folder)
    from reseed.reporting import write_report  # noqa: PLC0415 (seconds, that only a finished study needs)

    write_report(folder.path)
    hand_over(folder.path, like=study_run.context.project.root)
    console.print(f"\nreport: {_shown(folder.report)}", highlight=False, soft_wrap=True)
    return True


def train(  # noqa: PLR0913, PLR0917  (one parameter for each option)
    study: StudyArgument,
    out: OutOption = None,
    executor: ExecutorOption = None,
    jobs: JobsOption = None,
    datasets: DataOption = None,
    project: ProjectOption = None,
    slurm: SiteOption = None,
    detach: DetachOption = False,
    memory: MemoryOption = None,
    retry_failed: RetryOption = False,
) -> None:
    """
    Do only the preprocessing and the trainings of a study; `reseed run` does the rest later.

    For example

        reseed train studies/quickstart.yaml --jobs 4
    """
    console = Console()
    asked = StudyRequest(study, out, executor, datasets, project, slurm=slurm)
    if is_collection(study):
        from reseed.cli.collection import run_collection  # noqa: PLC0415 (it imports this module)

        if detach:
            raise UserError("--detach is of one study; name its own file in the collection's folder")
        run_collection(asked, jobs, trains_only=True, memory_gib=memory, retry_failed=retry_failed)
        return
    study_run, outcome = executed(
        console,
        asked,
        jobs,
        part=Plan.trainings,
        detach=detach,
        memory_gib=memory,
        retry_failed=retry_failed,
    )
    _leave(console, study_run, outcome, detached=detach)


def plan(  # noqa: PLR0913, PLR0917  (one parameter for each option)
    study: StudyArgument,
    out: OutOption = None,
    executor: ExecutorOption = None,
    datasets: DataOption = None,
    project: ProjectOption = None,
    country: CountryOption = None,
    rates: RatesOption = None,
    slurm: SiteOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole plan as JSON.")] = False,
    explain: Annotated[
        str | None, typer.Option(metavar="JOB", help="Why this job, by name or key, will run or will not.")
    ] = None,
) -> None:
    """
    Print the jobs of a study, which of them are done, and what it would cost; does nothing else.

    A dataset that is not here is not built either: then the keys of jobs are provisional.

    For example

        reseed plan studies/quickstart.yaml

        reseed plan studies/quickstart.yaml --json > plan.json

        reseed plan studies/quickstart.yaml --explain train/planes_2d/run-0/member-0
    """
    asked = StudyRequest(study, out, executor, datasets, project, country, rates, slurm)
    if is_collection(study):
        from reseed.cli.collection import plan_collection  # noqa: PLC0415 (it imports this module)

        if explain is not None:
            raise UserError("--explain is of one study; name its own file in the collection's folder")
        plan_collection(asked, as_json=as_json)
        return
    context = read_study(study, project=project)
    refuse_unfit_datasets([context], asked)
    inputs = planned_inputs(context, asked, code_digests(asked, context))
    planned, folder = study_plan(inputs), StudyFolder(study_place(asked, context))
    provisional = provisional_lines([context], asked)
    if as_json:
        typer.echo(planned.as_json(), nl=False)
        typer.echo("\n".join(provisional[1:]), err=True, nl=bool(provisional))
        return
    if explain is not None:
        lines = explanation(named_job(planned, explain), planned, folder)
    else:
        at = site(rates=rates, country=country)
        lines = [*same_method_lines(inputs), *plan_lines(planned, folder)]
        lines += [reproduction_line(estimate(planned, folder, at, declared_uses(context))), *site_lines(at)]
    typer.echo("\n".join([*lines, *provisional]))


def plan_lines(planned: Plan, folder: StudyFolder) -> list[str]:
    """The plan as text: a line of counts, then a line per job with its key, its state and its needs."""
    states = {job.key: job_state(folder, job) for job in planned.jobs}
    names = {job.key: job.name for job in planned.jobs}
    counts = Counter(job.kind for job in planned.jobs)
    n_done = sum(state is JobState.SUCCEEDED for state in states.values())
    lines = [
        f"{len(planned.jobs)} jobs, {n_done} done: "
        + ", ".join(f"{counts[kind]} {kind.value}" for kind in JobKind if counts[kind])
    ]
    width = max(len(name) for name in names.values())
    for job in planned.jobs:
        needs = ", ".join(names[key] for key in job.needs[:4])
        more = f" and {len(job.needs) - 4} more" if len(job.needs) > 4 else ""
        after = f"  after {needs}{more}" if needs else ""
        lines.append(f"{job.key[:12]}  {states[job.key].value:9}  {job.name:{width}}{after}".rstrip())
    return lines


def _leave(console: Console, study_run: StudyRun, outcome: Outcome, *, detached: bool) -> None:
    """Say what is missing, and exit with a code that is not zero when something is."""
    if outcome.is_complete:
        return
    if isinstance(study_run.executor, SlurmCluster) and outcome.interrupted:
        console.print(
            "the jobs go on in Slurm; the same command shows how they stand, `reseed cancel` ends them",
            highlight=False,
            soft_wrap=True,
        )
        raise typer.Exit(EXIT_INTERRUPTED if not detached else 0)
    if outcome.interrupted:
        console.print("interrupted; the same command goes on from here", highlight=False)
        raise typer.Exit(EXIT_INTERRUPTED)
    console.print(
        f"{len(outcome.failed)} jobs failed and {len(outcome.blocked)} could not be done for that; "
        f"logs are in {_shown(study_run.folder.jobs)}/<key>/attempts; --retry-failed tries them again",
        style="red",
        highlight=False,
        soft_wrap=True,
    )
    raise typer.Exit(EXIT_INCOMPLETE)


def _shown(path: Path) -> str:
    """A path relative to the current folder where that is shorter."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
