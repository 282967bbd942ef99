"""A small study for a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from reseed.contracts.job import Job, JobKind
from reseed.contracts.slurm import SlurmSettings
from reseed.orchestration.plan import Plan, study_plan
from reseed.orchestration.slurm.batch import Batch, Batches, Element
from reseed.orchestration.slurm.cluster import SlurmCluster
from reseed.orchestration.study_file import read_study
from reseed.orchestration.study_folder import StudyFolder
from reseed.orchestration.study_run import StudyRun, process_executor
from tests.orchestration.conftest import SmallProject


@dataclass
class ClusterStudy:
    """A study as `reseed run --executor slurm` sees it, and a way to write batches without Slurm."""

    run: StudyRun
    cluster: SlurmCluster
    plan: Plan

    @property
    def folder(self) -> StudyFolder:
        """STUDY_DIR."""
        return self.run.folder

    def job(self, name: str) -> Job:
        """A job by its name."""
        (found,) = [job for job in self.plan.jobs if job.name == name]
        return found

    def batch(self, jobs: Sequence[Job], *, name: str = "small-batch", time_s: int = 600) -> Batch:
        """A batch of jobs, as announced before sbatch."""
        document = self.cluster.document(
            self.folder,
            self.run.dataset,
            kind=JobKind.TRAIN,
            keys=tuple(job.key for job in jobs),
            time_s=time_s,
            throttle=None,
        )
        elements = [Element(job=job) for job in jobs]
        return Batches.of(self.folder).announce(name, document, elements, template="", script="")


def cluster_study(study: Path, out: Path, settings: SlurmSettings) -> ClusterStudy:
    """A study of a project on a cluster."""
    context = read_study(study)
    own = process_executor(context)
    cluster = SlurmCluster(context, settings, own, study.parent)
    run = StudyRun(context, StudyFolder(out), Path(context.study.dataset), cluster, own)
    return ClusterStudy(run, cluster, study_plan(run.inputs))


@pytest.fixture
def clustered(project: SmallProject, tmp_path: Path) -> ClusterStudy:
    """The small study with one run and one member of one method."""
    return _one_training(project, tmp_path / "out", step_s=0.01)


@pytest.fixture
def slow(project: SmallProject, tmp_path: Path) -> ClusterStudy:
    """The same, with a training of four seconds."""
    return _one_training(project, tmp_path / "out", step_s=0.1)


def _one_training(project: SmallProject, out: Path, *, step_s: float) -> ClusterStudy:
    methods = {"one": {"algorithm": "logistic", "settings": {"step_s": step_s}}}
    study = project.study(methods=methods, runs=1, members=1)
    return cluster_study(study, out, SlurmSettings(gres=None))
