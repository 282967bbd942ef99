"""A whole study: from its file to a folder of results, on one machine."""

from __future__ import annotations

import functools
import hashlib
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from reseed.contracts.dataset import DatasetManifest
from reseed.contracts.errors import InfrastructureError, UserError
from reseed.contracts.files import write_bytes_atomically, write_json_atomically, write_text_atomically
from reseed.contracts.footprint import ExpectedUse
from reseed.contracts.job import Job
from reseed.contracts.manifest import Stage
from reseed.datasets import read_dataset
from reseed.orchestration.disk import StudyDisk, is_full
from reseed.orchestration.executors.executor import Executor
from reseed.orchestration.executors.process import ProcessExecutor
from reseed.orchestration.footprint.estimate import Declared, Estimate, estimate
from reseed.orchestration.footprint.rates import Site
from reseed.orchestration.footprint.rates import site as example_site
from reseed.orchestration.footprint.recorder import FootprintRecorder
from reseed.orchestration.footprint.totals import study_footprint
from reseed.orchestration.footprint.words import reproduction_line
from reseed.orchestration.orphans import end_orphans
from reseed.orchestration.outcome import Listener, Outcome
from reseed.orchestration.plan import COMPARISON, Plan, PlanInputs, study_plan
from reseed.orchestration.provenance import surroundings
from reseed.orchestration.prune import is_over
from reseed.orchestration.result_view import ResultView
from reseed.orchestration.results import complete_output
from reseed.orchestration.runner import Runner
from reseed.orchestration.same_methods import same_method_lines
from reseed.orchestration.slots import (
    Slots,
    n_nvidia_gpus,
    n_usable_cpus,
    refuse_larger_than_machine,
    usable_memory_gib,
)
from reseed.orchestration.slurm.batch import Batches, refuse_jobs_in_slurm
from reseed.orchestration.slurm.cluster import SlurmCluster
from reseed.orchestration.slurm.submission import Submission
from reseed.orchestration.slurm.watch import SlurmRunner
from reseed.orchestration.state import exclusive
from reseed.orchestration.study_file import StudyContext
from reseed.orchestration.study_folder import StudyFolder
from reseed.orchestration.workspace import sweep


@dataclass(frozen=True)
class StudyRun:
    """
    A study with its place, its data and its executors.

    Parameters
    ----------
    context
        The study file and what it names.
    folder
        STUDY_DIR.
    dataset
        The dataset folder.
    executor
        Runs the algorithms and the evaluation; the comparison is our own code and always a
        plain process. A cluster runs all of them on its nodes.
    site
        Prices and electricity; example prices and the world's mean when not given.
    """

    context: StudyContext
    folder: StudyFolder
    dataset: Path
    executor: Executor | SlurmCluster
    own_executor: Executor
    site: Site = field(default_factory=example_site)
    manifest: DatasetManifest = field(init=False)

    def __post_init__(self) -> None:
        """Read the dataset's manifest; refuse a dataset of another task."""
        object.__setattr__(self, "manifest", read_dataset(self.dataset))
        if self.context.study.task not in self.manifest.tasks:
            tasks = ", ".join(self.manifest.tasks)
            raise UserError(f"dataset {self.dataset}: made for {tasks}, not for {self.context.study.task!r}")

    @property
    def inputs(self) -> PlanInputs:
        """All that decides the plan."""
        context = self.context
        return PlanInputs(
            study=context.study,
            task=context.task,
            manifests={name: found.manifest for name, found in context.algorithms.items()},
            algorithm_of=context.algorithm_of,
            dataset_digest=_remembered(lambda folder: self.manifest.digest(f"{folder}/")),
            code_digest=_remembered(self._code_digest),
            initial_weights=context.initial_weights,
        )

    def _code_digest(self, role: str) -> str:
        return (self.own_executor if role == COMPARISON else self.executor).code_digest(role)

    def run(
        self,
        listener: Listener,
        *,
        n_jobs: int | None = None,
        part: Callable[[Plan], Plan] = lambda whole: whole,
        detach: bool = False,
        memory_gib: float | None = None,
        retry_failed: bool = False,
    ) -> Outcome:
        """
        Take the study, or a part of it, to its end.

        Parameters
        ----------
        listener
            Told of every job.
        n_jobs
            Jobs side by side; the number of cores when not given.
        part
            The part of the whole plan to do; all of it by default.
        detach
            On a cluster: submit, and do not wait for the end.
        memory_gib
            Memory that jobs may use together on this machine; all of it when not given.
        retry_failed
            Whether jobs that failed by themselves in an earlier command are tried again.

        Raises
        ------
        UserError
            When the folder belongs to another study, or another orchestrator is at work there; when
            a job needs more memory than there is.
        """
        inputs = self.inputs
        whole = study_plan(inputs)
        plan = part(whole)
        slots = self._slots(n_jobs, memory_gib)
        if not isinstance(self.executor, SlurmCluster):
            refuse_larger_than_machine(plan.jobs, slots.memory_gib)
        self._refuse_foreign_folder()
        for line in same_method_lines(inputs):
            listener.notice(line)
        disk = StudyDisk(self.folder.path)
        with exclusive(self.folder), _stop_on_signals() as stop:
            disk.when_there_is_room(
                lambda: self._claim(whole), tell=listener.notice, stop_requested=stop.is_set
            )
            view = ResultView(
                study=self.folder,
                dataset=self.manifest,
                executor=self.executor,
                inputs=inputs,
                plan=whole,
                around=surroundings(self.context.project.root),
                site=self.site,
                listener=listener,
            )
            if isinstance(self.executor, SlurmCluster):
                return self._on_cluster(
                    self.executor, whole, plan, view, stop.is_set, detach=detach, retry_failed=retry_failed
                )
            refuse_jobs_in_slurm(self.folder)
            return self._on_machine(
                self.executor, whole, plan, view, slots, disk, stop.is_set, retry_failed=retry_failed
            )

    def _slots(self, n_jobs: int | None, memory_gib: float | None) -> Slots:
        """What there is for jobs: cores, GPUs and memory."""
        return Slots(
            n_jobs or n_usable_cpus(),
            tuple(range(n_nvidia_gpus())),
            memory_gib=memory_gib or usable_memory_gib(),
            runs_per_gpu=self.context.study.runs_per_gpu,
        )

    def _on_machine(
        self,
        executor: Executor,
        whole: Plan,
        plan: Plan,
        view: ResultView,
        slots: Slots,
        disk: StudyDisk,
        stop_requested: Callable[[], bool],
        *,
        retry_failed: bool,
    ) -> Outcome:
        def executor_for(job: Job) -> Executor:
            return self.own_executor if job.role == COMPARISON else executor

        _release_leftovers(executor, self.folder, view)
        executors = {each.name: each for each in (self.own_executor, executor)}
        end_orphans(self.folder, whole, executors, view.notice)
        gpus = view.around.hardware.gpus
        gpu = gpus[0].partition(",")[0] if gpus else None
        recorder = FootprintRecorder(self.folder, executor_for, self.site, gpu, view)
        runner = Runner(
            plan=plan,
            study=self.folder,
            dataset=self.dataset,
            executor_for=executor_for,
            complete=lambda job, output: complete_output(
                job, output, task=self.context.task, dataset=self.dataset
            ),
            slots=slots,
            listener=recorder,
            disk=disk,
            stop_requested=stop_requested,
            retry_failed=retry_failed,
        )
        try:
            return runner.run()
        finally:
            self._write_footprint(whole, recorder)

    def estimate(self, plan: Plan) -> Estimate:
        """What it takes to do every job of a plan once, from finished jobs and declared hours."""
        return estimate(plan, self.folder, self.site, declared_uses(self.context))

    def _write_footprint(self, plan: Plan, recorder: FootprintRecorder) -> None:
        found = study_footprint(
            self.context.study.study,
            plan,
            self.folder,
            self.site,
            measuring=recorder.close(),
            reproduction=reproduction_line(self.estimate(plan)),
        )
        if found.n_recorded:
            write_json_atomically(self.folder.footprint, found)

    def _on_cluster(
        self,
        cluster: SlurmCluster,
        whole: Plan,
        plan: Plan,
        listener: Listener,
        stop_requested: Callable[[], bool],
        *,
        detach: bool,
        retry_failed: bool,
    ) -> Outcome:
        cluster.refuse_paths(self.folder.path, self.dataset)
        submission = Submission(cluster, self.folder, self.dataset, Batches.of(self.folder))
        recorder = FootprintRecorder(self.folder, lambda _job: cluster, self.site, None, listener)
        recorder.catch_up(plan)
        runner = SlurmRunner(
            plan, self.folder, submission, recorder, stop_requested, detach=detach, retry_failed=retry_failed
        )
        try:
            return runner.run()
        finally:
            self._write_footprint(whole, recorder)

    def _refuse_foreign_folder(self) -> None:
        folder = self.folder
        if folder.path.exists() and not folder.path.is_dir():
            raise UserError(f"{folder.path}: is a file; name a folder with --out")
        if not folder.path.is_dir() or folder.study.is_file():
            return
        if any(path != folder.lock for path in folder.path.iterdir()):
            raise UserError(f"{folder.path}: holds something that is not a study; name another with --out")

    def _claim(self, plan: Plan) -> None:
        """Make the study folder ours: what is asked for, what that means, and the files it names."""
        folder = self.folder
        sweep(folder.path)
        write_text_atomically(folder.plan, plan.as_json())
        content = self.context.path.read_bytes()
        if not folder.study.is_file() or folder.study.read_bytes() != content:
            write_bytes_atomically(folder.study, content)
        for given in self.context.initial_weights.values():
            kept = folder.given_file(given.sha256) / given.path.name
            if not kept.is_file():
                content = given.path.read_bytes()
                if hashlib.sha256(content).hexdigest() != given.sha256:
                    raise UserError(f"{given.path}: has changed while the study was read; try again")
                write_bytes_atomically(kept, content)


def declared_uses(context: StudyContext) -> Declared:
    """Hours that a study file or, where it says nothing, a manifest declares; of trainings the trainer's."""
    declared: dict[tuple[str, Stage], ExpectedUse] = {}
    for method, name in context.algorithm_of.items():
        own = context.algorithms[name].manifest
        trainer = context.algorithms[own.trains_with or name].manifest
        for stage, expected in (
            trainer.expected | own.expected | context.study.methods[method].expected
        ).items():
            declared[method, stage] = expected
    return declared


def process_executor(context: StudyContext) -> ProcessExecutor:
    """Plain processes of this machine, for the algorithms of a study."""
    return ProcessExecutor(context.project, context.algorithms)


def _release_leftovers(executor: Executor, study: StudyFolder, listener: Listener) -> None:
    """Remove what an orchestrator that was killed had no time to: containers whose end it had recorded."""
    try:
        executor.release_leftovers(study, is_over)
    except (InfrastructureError, OSError) as error:
        if isinstance(error, OSError) and not is_full(error):
            raise
        # their logs are kept first: nothing is lost, and the study itself waits for the engine and for room
        listener.notice(f"{error}; containers that an earlier `reseed run` left stay until the next one")


def _remembered(answer: Callable[[str], str]) -> Callable[[str], str]:
    """A function of one name that is asked once for each: a plan asks for every job."""
    return functools.cache(answer)


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets; the second interrupts at once."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
