"""What the commands of studies are asked for, and the study that this means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from reseed.cli.study_data import refuse_unfit_datasets
from reseed.contracts.errors import UserError
from reseed.datasets import dataset_folder
from reseed.orchestration.executors.executor import Executor
from reseed.orchestration.executors.process import ProcessExecutor
from reseed.orchestration.footprint.rates import site
from reseed.orchestration.outcome import Outcome
from reseed.orchestration.ownership import hand_over
from reseed.orchestration.plan import COMPARISON, Plan
from reseed.orchestration.progress import StudyProgress
from reseed.orchestration.project import Algorithm, Project
from reseed.orchestration.slots import n_usable_cpus
from reseed.orchestration.slurm.cluster import SlurmCluster, cluster_settings
from reseed.orchestration.study_file import StudyContext, read_study
from reseed.orchestration.study_folder import StudyFolder
from reseed.orchestration.study_run import StudyRun, process_executor


class ExecutorChoice(StrEnum):
    """Where jobs run."""

    PROCESS = "process"
    DOCKER = "docker"
    SLURM = "slurm"


StudyArgument = Annotated[Path, typer.Argument(help="A study file, for instance studies/quickstart.yaml.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="STUDY_DIR, where results go. Default: ./STUDY.")
]
ExecutorOption = Annotated[
    ExecutorChoice | None, typer.Option("--executor", help="Where jobs run. Default: the study's.")
]
JobsOption = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, help="Jobs side by side. Default: one per core.")
]
MemoryOption = Annotated[
    float | None,
    typer.Option("--memory", min=0.1, metavar="GIB", help="Memory for all jobs. Default: the machine's."),
]
RetryOption = Annotated[
    bool, typer.Option("--retry-failed", help="Also jobs that failed by themselves in an earlier command.")
]
DataOption = Annotated[
    Path | None, typer.Option("--datasets", help="Where datasets are kept. Default: PROJECT/datasets.")
]
ProjectOption = Annotated[
    Path | None,
    typer.Option("--project", help="Folder with algorithms/ and evaluation/. Default: found."),
]
CountryOption = Annotated[
    str | None,
    typer.Option(
        "--country",
        envvar="RESEED_COUNTRY",
        help="Whose electricity it is, ISO 3166-1 (NLD). Default: the price table's, else the world's mean.",
    ),
]
RatesOption = Annotated[
    Path | None,
    typer.Option(
        "--rates", envvar="RESEED_RATES", help="A price table, for the footprint. Default: example prices."
    ),
]

SiteOption = Annotated[
    Path | None,
    typer.Option("--slurm", metavar="FILE", help="The cluster's settings. Default: PROJECT/slurm.yaml."),
]
DetachOption = Annotated[
    bool, typer.Option("--detach", help="With executor slurm: submit the jobs and return.")
]


@dataclass(frozen=True)
class StudyRequest:
    """The options that the commands share."""

    study: Path
    out: Path | None
    executor: ExecutorChoice | None
    datasets: Path | None
    project: Path | None
    country: str | None = None
    rates: Path | None = None
    slurm: Path | None = None

    def datasets_folder(self, project: Project) -> Path:
        """
        Where datasets are kept.

        Raises
        ------
        UserError
            When a file is there.
        """
        folder = self.datasets or project.root / "datasets"
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder}: is a file; name a folder with --datasets")
        return folder


def executed(
    console: Console,
    asked: StudyRequest,
    n_jobs: int | None,
    *,
    part: Callable[[Plan], Plan] = lambda whole: whole,
    detach: bool = False,
    memory_gib: float | None = None,
    retry_failed: bool = False,
) -> tuple[StudyRun, Outcome]:
    """Run a study, or a part of its plan, and show how it goes on; raises UserError for what cannot be."""
    study_run = study_run_of(console, asked)
    on_cluster = isinstance(study_run.executor, SlurmCluster)
    if not on_cluster and detach:
        raise UserError("--detach: only a cluster goes on by itself; add --executor slurm")
    progress = StudyProgress(console, n_side_by_side=None if on_cluster else n_jobs or n_usable_cpus())
    try:
        outcome = study_run.run(
            progress,
            n_jobs=n_jobs,
            part=part,
            detach=detach,
            memory_gib=memory_gib,
            retry_failed=retry_failed,
        )
    finally:
        progress.close()
        hand_over(study_run.folder.path, like=study_run.context.project.root)
    return study_run, outcome


def study_run_of(console: Console, asked: StudyRequest) -> StudyRun:
    """The study that is asked for, in the folder that is, else in one of its name here."""
    context = read_study(asked.study, project=asked.project)
    refuse_unfit_datasets([context], asked)
    return study_run_for(console, asked, context, study_place(asked, context))


def study_place(asked: StudyRequest, context: StudyContext) -> Path:
    """STUDY_DIR: the one that is asked for, else one of the study's name here."""
    return (asked.out or Path.cwd() / context.study.study).resolve()


def code_digests(asked: StudyRequest, context: StudyContext) -> Callable[[str], str]:
    """The digest of the program of a role, where the study would run it."""
    own = process_executor(context)
    executor = _executor(asked, context, own)
    return lambda role: (own if role == COMPARISON else executor).code_digest(role)


def study_run_for(console: Console, asked: StudyRequest, context: StudyContext, out: Path) -> StudyRun:
    """A study that was read, in a folder, with its executors and its data, converted if need be."""
    datasets = asked.datasets_folder(context.project)
    dataset = dataset_folder(
        context.study.dataset,
        root=datasets,
        tasks=context.project.tasks,
        progress=lambda line: console.print(line, highlight=False, soft_wrap=True),
    )
    hand_over(datasets, like=context.project.root)
    own = process_executor(context)
    return StudyRun(
        context=context,
        folder=StudyFolder(out),
        dataset=dataset.resolve(),
        executor=_executor(asked, context, own),
        own_executor=own,
        site=site(rates=asked.rates, country=asked.country),
    )


def _executor(asked: StudyRequest, context: StudyContext, own: Executor) -> Executor | SlurmCluster:
    chosen = asked.executor or ExecutorChoice(context.study.executor)
    if chosen is ExecutorChoice.PROCESS:
        return own
    if chosen is ExecutorChoice.SLURM:
        settings, folder = cluster_settings(context, asked.slurm)
        return SlurmCluster(context, settings, own, folder)
    return _docker_executor()


def inspecting_executor(chosen: ExecutorChoice, project: Project, algorithm: Algorithm) -> Executor:
    """An executor of one algorithm, to be asked what its programs run in."""
    if chosen is ExecutorChoice.SLURM:
        raise UserError("a cluster's nodes cannot be seen from here; use --executor process on one of them")
    if chosen is ExecutorChoice.PROCESS:
        return ProcessExecutor(project, {algorithm.name: algorithm})
    return _docker_executor()


def _docker_executor() -> Executor:
    from reseed.orchestration.executors.docker import DockerExecutor  # noqa: PLC0415 (the SDK is an extra)

    return DockerExecutor.connected()
