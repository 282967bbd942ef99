"""
What the orchestrator adds to each job, beside the same program started by hand, in one run.

    python benchmarks/orchestration.py              plain processes
    python benchmarks/orchestration.py --docker     containers; needs the images of the container tests

The program is the logistic regression of the tests, which ends in about a tenth of a second. Jobs run
one at a time: all through the runner, then all by hand.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from reseed.contracts.job import Job, JobKind  # noqa: E402 (the tests' project is beside the package)
from reseed.orchestration.executors.process import ProcessExecutor  # noqa: E402
from reseed.orchestration.plan import Plan, study_plan  # noqa: E402
from reseed.orchestration.study_run import StudyRun  # noqa: E402
from reseed.orchestration.workspace import prepared_launch  # noqa: E402
from tests.orchestration.conftest import small_project  # noqa: E402
from tests.orchestration.test_docker import docker_study_run  # noqa: E402
from tests.orchestration.test_study_run import Diary, study_run  # noqa: E402


def seconds_by_runner(run: StudyRun) -> float:
    """Wall time of all trainings through the runner, one at a time: record, start, poll, publish."""
    started = time.perf_counter()
    outcome = run.run(Diary(), n_jobs=1, part=Plan.trainings)
    elapsed = time.perf_counter() - started
    if not outcome.is_complete:
        raise SystemExit("a training failed")
    return elapsed


def seconds_by_hand(run: StudyRun, job: Job, *, container: bool) -> float:
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
    """Print the means, and the overhead as their difference and ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--docker", action="store_true", help="containers instead of plain processes")
    parser.add_argument("--jobs", type=int, default=40, help="how many jobs (40)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = small_project(Path(folder) / "project")
        methods = {"one": {"algorithm": "logistic", "settings": {"n_steps": 1}}}
        study = project.study(methods=methods, runs=given.jobs, members=1)
        run = (docker_study_run if given.docker else study_run)(study, Path(folder) / "out")
        plan = study_plan(run.inputs)
        run.run(Diary(), n_jobs=1, part=lambda whole: whole.of_kind(JobKind.PREPROCESS))
        ours = seconds_by_runner(run) / given.jobs
        jobs = plan.of_kind(JobKind.TRAIN).jobs
        bare = sum(seconds_by_hand(run, job, container=given.docker) for job in jobs) / len(jobs)
    what = "docker run" if given.docker else "process"
    print(f"mean of {given.jobs} jobs: runner {ours:.3f} s, bare {what} {bare:.3f} s")
    print(f"overhead a job {ours - bare:.3f} s, ratio {ours / bare:.2f}")


if __name__ == "__main__":
    main()
