"""
How long it takes to submit a study of thousands of jobs to Slurm, and to look at it.

    python -m benchmarks.slurm [RUNS]

Needs a Slurm of this machine alone, as .ci/slurm-here starts one. The node is drained first, so that nothing
starts, and the jobs are cancelled at the end.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from reseed.contracts.slurm import SlurmSettings
from reseed.orchestration.plan import study_plan
from reseed.orchestration.slurm.batch import Batches
from reseed.orchestration.slurm.cancelling import cancel_jobs
from reseed.orchestration.slurm.cluster import SlurmCluster
from reseed.orchestration.slurm.submission import Submission
from reseed.orchestration.study_file import read_study
from reseed.orchestration.study_folder import StudyFolder
from reseed.orchestration.study_run import StudyRun, process_executor
from tests.orchestration.conftest import small_project


def main(n_runs: int) -> None:
    """Submit, look, submit again, cancel."""
    node = _said("sinfo", "--noheader", "--format=%N")
    _said("scontrol", "update", f"nodename={node}", "state=drain", "reason=benchmark")
    try:
        with tempfile.TemporaryDirectory() as folder:
            _measure(Path(folder), n_runs)
    finally:
        _said("scontrol", "update", f"nodename={node}", "state=resume")


def _measure(place: Path, n_runs: int) -> None:
    project = small_project(place / "project")
    context = read_study(project.study(runs=n_runs, members=3))
    own = process_executor(context)
    cluster = SlurmCluster(context, SlurmSettings(gres=None), own, place)
    run = StudyRun(context, StudyFolder(place / "out"), project.dataset, cluster, own)
    jobs = list(study_plan(run.inputs).jobs)
    submission = Submission(cluster, run.folder, run.dataset, Batches.of(run.folder))
    began = time.perf_counter()
    submission.submit(jobs, n_in_use={})
    submitted = time.perf_counter()
    tasks = cluster.client.tasks()
    looked = time.perf_counter()
    again = Submission(cluster, run.folder, run.dataset, Batches.of(run.folder))
    again.recover()
    recovered = time.perf_counter()
    n_arrays = len(list(Batches.of(run.folder)))
    print(f"{len(jobs)} jobs in {n_arrays} arrays of at most {cluster.client.max_array_size()}")
    print(f"submitted in {submitted - began:.2f} s")
    print(f"one squeue for all {len(tasks)}: {looked - submitted:.2f} s")
    print(f"found again by another command: {recovered - looked:.2f} s, {len(again.held)} jobs")
    began = time.perf_counter()
    cancel_jobs(run.folder, cluster.client, tell=print)
    print(f"cancelled in {time.perf_counter() - began:.2f} s")


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
