"""
What the orchestrator costs, each figure beside its limit, all measured in this run.

    python benchmarks/orchestration.py                   all but containers; about five minutes on two cores
    python benchmarks/orchestration.py overhead plan     some of it
    python benchmarks/orchestration.py --docker          `overhead` in containers; needs the images of the
                                                         container tests

overhead     what the runner adds to a job, beside the same program started by hand, one at a time
plan         the time to plan 100 000 jobs, and to plan and print them as `reseed plan` does
status       the time of `reseed status`, and of `reseed run`, when 10 000 jobs are done
busy         the share of two cores that is in use while jobs of a second are ready
memory       the orchestrator's memory after 100 and after 1000 jobs that do next to nothing

The program is the logistic regression of the tests, which ends in about a tenth of a second.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[0] = str(REPOSITORY)  # not this folder: a benchmark in it has the name of a standard module

from reseed.contracts.files import write_text_atomically  # noqa: E402 (the tests' project is beside the package)
from reseed.contracts.job import Attempt, Job, JobKind, JobRecord, JobState  # noqa: E402
from reseed.orchestration.clock import utc_now  # noqa: E402
from reseed.orchestration.executors.process import ProcessExecutor  # noqa: E402
from reseed.orchestration.plan import Plan, study_plan  # noqa: E402
from reseed.orchestration.study_run import StudyRun  # noqa: E402
from reseed.orchestration.workspace import prepared_launch  # noqa: E402
from tests.orchestration.conftest import SmallProject, small_project  # noqa: E402
from tests.orchestration.test_docker import docker_study_run  # noqa: E402
from tests.orchestration.test_study_run import Diary, study_run  # noqa: E402

N_OVERHEAD = 40
N_CORES = 2
BURN = """
    while time.process_time() < 1:
        pass
    with open("/proc/self/stat") as stat:
        ticks = int(stat.read().rpartition(")")[2].split()[19])
    times = [ticks / os.sysconf("SC_CLK_TCK"), time.clock_gettime(time.CLOCK_BOOTTIME)]
    write_json_atomically(PATHS.output_data / "times.json", times)
    note_done("train")
"""


def verdict(what: str, value: float, limit: float, unit: str, *, at_least: bool = False) -> None:
    """A figure, its limit, and whether that is kept."""
    kept = value >= limit if at_least else value <= limit
    sign = "at least" if at_least else "at most"
    print(
        f"{what}: {value:.3g} {unit}, {sign} {limit:g} {unit}: {'kept' if kept else 'NOT KEPT'}", flush=True
    )


def overhead(project: SmallProject, place: Path, *, docker: bool) -> None:
    """Jobs one at a time: all through the runner, then all by hand."""
    methods = {"one": {"algorithm": "logistic", "settings": {"n_steps": 1}}}
    study = project.study(methods=methods, runs=N_OVERHEAD, members=1)
    run = (docker_study_run if docker else study_run)(study, place / "overhead")
    jobs = study_plan(run.inputs).of_kind(JobKind.TRAIN).jobs
    run.run(Diary(), n_jobs=1, part=lambda whole: whole.of_kind(JobKind.PREPROCESS))
    started = time.perf_counter()
    if not run.run(Diary(), n_jobs=1, part=Plan.trainings).is_complete:
        raise SystemExit("a training failed")
    ours = (time.perf_counter() - started) / len(jobs)
    bare = sum(_seconds_by_hand(run, job, container=docker) for job in jobs) / len(jobs)
    what, limit = ("docker run", 0.5) if docker else ("process", 0.15)
    print(f"mean of {len(jobs)} jobs: runner {ours:.3f} s, bare {what} {bare:.3f} s")
    verdict(f"overhead a job over the bare {what}", ours - bare, limit, "s")


def plan(project: SmallProject, place: Path) -> None:
    """100 000 jobs: two methods, 10 000 runs, three members."""
    study = project.study("large.yaml", runs=10_000, members=3)
    inputs = study_run(study, place / "large").inputs
    started = time.perf_counter()
    planned = study_plan(inputs)
    write_text_atomically(place / "plan.json", planned.as_json())
    verdict(f"plan and plan.json of {len(planned.jobs)} jobs", time.perf_counter() - started, 10, "s")
    verdict("`reseed plan` of them", _seconds_of("plan", study, "--out", place / "large"), 10, "s")


def status(project: SmallProject, place: Path) -> None:
    """10 000 jobs that are done, each with its record and output folder."""
    study = project.study("done.yaml", runs=1000, members=3)
    run = study_run(study, place / "done")
    planned = study_plan(run.inputs)
    _pretend_done(run, planned)
    verdict(f"`reseed status` of {len(planned.jobs)} jobs", _seconds_of("status", place / "done"), 1, "s")
    started = time.perf_counter()
    if not run.run(Diary()).is_complete:
        raise SystemExit("the study is not done")
    print(f"going through the same study to find nothing to do: {time.perf_counter() - started:.3g} s")


def busy(project: SmallProject, place: Path) -> None:
    """Trainings of one second of processor time each, on two cores."""
    train = project.root / "algorithms/logistic/train.py"
    train.write_text(train.read_text().replace('    note_done("train")\n', BURN))
    methods = {"one": {"algorithm": "logistic", "settings": {"n_steps": 1}}}
    study = project.study("busy.yaml", methods=methods, runs=60, members=1)
    study_run(study, place / "busy").run(Diary(), n_jobs=N_CORES, part=Plan.trainings)
    times = [json.loads(path.read_text()) for path in (place / "busy/jobs").glob("*/output/data/times.json")]
    first, last = min(start for start, _ in times), max(start for start, _ in times)
    used = sum(max(min(end, last) - start, 0.0) for start, end in times)
    verdict(
        "two cores busy while jobs are ready", 100 * used / (N_CORES * (last - first)), 95, "%", at_least=True
    )


@dataclass
class MemoryDiary(Diary):
    """Notes this process's resident memory after every job."""

    mib: list[float] = field(default_factory=list)

    def ended(self, job: Job, record: JobRecord, log_tail: str) -> None:  # noqa: ARG002 (a listener's)
        """Note it; forget the rest."""
        self.mib.append(psutil.Process().memory_info().rss / 2**20)


def memory(project: SmallProject, place: Path) -> None:
    """1000 trainings of one step."""
    methods = {"one": {"algorithm": "logistic", "settings": {"n_steps": 1}}}
    study = project.study("memory.yaml", methods=methods, runs=1000, members=1)
    diary = MemoryDiary()
    started = time.perf_counter()
    study_run(study, place / "memory").run(diary, n_jobs=N_CORES, part=Plan.trainings)
    early, late = diary.mib[99], diary.mib[-1]
    print(
        f"{len(diary.mib)} jobs in {time.perf_counter() - started:.0f} s: "
        f"{early:.1f} MiB after 100, {late:.1f} at the end"
    )
    verdict("growth of the orchestrator from 100 to 1000 jobs", late - early, 4, "MiB")


def _pretend_done(run: StudyRun, planned: Plan) -> None:
    """Lay down what a finished study leaves, but for the contents of its results."""
    jobs_of_run: dict[tuple[str, int], dict[str, str]] = {}
    attempt = Attempt(
        number=1, executor="process", handle={"gpus": ""}, started=utc_now(), ended=utc_now(), exit_code=0
    )
    for job in planned.jobs:
        folder = run.folder.job(job.key)
        folder.output.mkdir(parents=True)
        record = JobRecord(key=job.key, name=job.name, state=JobState.SUCCEEDED, attempts=(attempt,))
        folder.record.write_text(record.model_dump_json(indent=1))
        if job.method is not None and job.run is not None:
            jobs_of_run.setdefault((job.method, job.run), {})[job.name] = job.key
        if job.kind is JobKind.COMPARE:
            for name in ("comparisons.json", "scores.csv"):
                (folder.output / name).write_text("{}")
    for (method, number), jobs in jobs_of_run.items():
        shown = run.folder.run(method, number)
        shown.mkdir(parents=True)
        (shown / "run.json").write_text(json.dumps({"jobs": jobs}))
    run.folder.plan.write_text(planned.as_json())
    shutil.copy(run.context.path, run.folder.study)


def _seconds_of(*words: str | Path) -> float:
    """Wall time of a reseed command, its start included; the best of three."""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "reseed", *map(str, words)], check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def _seconds_by_hand(run: StudyRun, job: Job, *, container: bool) -> float:
    """Wall time of the bare program, its folders laid out beforehand."""
    launch = prepared_launch(job, study=run.folder, dataset=run.dataset, number=1000)
    folder = run.folder.job(job.key).checkpoints
    shutil.rmtree(folder)
    folder.mkdir(mode=0o777)
    if container:
        command = ["docker", "run", "--rm", "--network", "none"]
        for mount in launch.mounts:
            mount.source.chmod(0o777)
            command += ["--volume", f"{mount.source}:{mount.target}"]
        for key, value in job.environment.items():
            command += ["--env", f"{key}={value}"]
        command += [f"reseed/{job.role}", "train"]
        environment, place = dict(os.environ), run.folder.path
    else:
        if not isinstance(run.executor, ProcessExecutor):
            raise SystemExit("plain processes need the process executor")
        command, environment, place = run.executor.command_line(launch)
    started = time.perf_counter()
    subprocess.run(command, env=environment, cwd=place, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    """Measure what was asked for, or everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="*", help="overhead, plan, status, busy, memory; default: all")
    parser.add_argument("--docker", action="store_true", help="containers instead of plain processes")
    given = parser.parse_args()
    figures: dict[str, Callable[[SmallProject, Path], None]] = {
        "overhead": lambda project, place: overhead(project, place, docker=given.docker),
        "plan": plan,
        "status": status,
        "busy": busy,
        "memory": memory,
    }
    unknown = set(given.what) - set(figures)
    if unknown:
        parser.error(f"no figure {', '.join(sorted(unknown))}; there are {', '.join(figures)}")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
    for name in given.what or (["overhead"] if given.docker else figures):
        with tempfile.TemporaryDirectory() as folder:
            figures[name](small_project(Path(folder) / "project"), Path(folder))


if __name__ == "__main__":
    main()
