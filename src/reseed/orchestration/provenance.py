"""run.json: what a stranger needs to know of one run, gathered from its jobs."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from pydantic import ValidationError

from reseed.contracts.dataset import DatasetManifest
from reseed.contracts.digests import digest_by_file, document_digest
from reseed.contracts.environment import ProgramEnvironment, processor, program_environment, python_packages
from reseed.contracts.errors import InfrastructureError
from reseed.contracts.job import Attempt, Job, JobKind, JobRecord
from reseed.contracts.run import Hardware, MemberRecord, Program, RunRecord, TrainingData
from reseed.contracts.training_report import ENVIRONMENT
from reseed.documents.reading import json_document
from reseed.orchestration.executors.executor import Programs
from reseed.orchestration.footprint.rates import Site
from reseed.orchestration.footprint.totals import run_footprint
from reseed.orchestration.plan import PlanInputs, method_settings
from reseed.orchestration.seeds import job_seeds
from reseed.orchestration.slots import n_usable_cpus
from reseed.orchestration.study_folder import StudyFolder


@dataclass(frozen=True)
class Surroundings:
    """What is the same for every run of a study on this machine."""

    hardware: Hardware
    packages: dict[str, str]
    git_commit: str | None
    git_is_clean: bool | None
    git_remote: str | None


def surroundings(project: Path) -> Surroundings:
    """Look at the machine, the Python and the checkout."""
    changes = _git(project, "status", "--porcelain")
    return Surroundings(
        hardware=this_hardware(),
        packages=python_packages(),
        git_commit=_git(project, "rev-parse", "HEAD"),
        git_is_clean=None if changes is None else changes == "",
        git_remote=_without_credentials(_git(project, "config", "--get", "remote.origin.url")),
    )


def this_hardware() -> Hardware:
    """The machine that this process runs on."""
    return Hardware(
        machine=platform.machine(),
        system=f"{platform.system()} {platform.release()}",
        processor=processor()[0],
        n_cpus=n_usable_cpus(),
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        gpus=_gpus(),
    )


def run_record(
    inputs: PlanInputs,
    *,
    jobs: list[Job],
    records: Mapping[str, JobRecord],
    study: StudyFolder,
    dataset: DatasetManifest,
    executor: Programs,
    around: Surroundings,
    site: Site,
) -> RunRecord:
    """
    The record of one run.

    Parameters
    ----------
    inputs
        Of the plan.
    jobs
        The jobs of the run: its trainings, prediction and score, all succeeded.
    records
        The state of the jobs, by key.
    study, dataset, executor, around, site
        Where the outputs are; what was learned from; what ran it; on what; at which prices.
    """
    training = [job for job in jobs if job.kind is JobKind.TRAIN]
    method, run = training[0].method or "", training[0].run or 0
    members = tuple(_member(inputs, job, records[job.key], study) for job in training)
    manifest = inputs.manifest(method)
    members, environment = with_shared_environment(members, executor.name)
    return RunRecord(
        study=inputs.study.study,
        task=inputs.task.task,
        study_entropy=str(inputs.study.entropy),
        method=method,
        run=run,
        vary=inputs.study.varied,
        levels=inputs.study.levels_of(run),
        settings=method_settings(inputs, method),
        program=Program(
            executor=executor.name,
            algorithm=manifest.algorithm,
            version=manifest.version,
            digest=training[0].code,
            image=executor.image(manifest.algorithm),
            git_commit=around.git_commit,
            git_is_clean=around.git_is_clean,
            git_remote=around.git_remote,
            evaluation=next((job.code for job in jobs if job.kind is JobKind.SCORE), None),
        ),
        data=TrainingData(dataset=dataset.dataset, version=dataset.version, digest=dataset.digest()),
        members=members,
        weights_digest=document_digest([member.weights for member in members]),
        jobs={job.name: job.key for job in jobs},
        hours=round(sum(member.hours for member in members), 6),
        footprint=run_footprint(study, jobs, site),
        environment=environment,
        packages=around.packages,
        hardware=around.hardware,
    )


def _member(inputs: PlanInputs, job: Job, record: JobRecord, study: StudyFolder) -> MemberRecord:
    attempt = record.last
    if attempt is None or attempt.ended is None:
        raise InfrastructureError(f"{job.name}: has succeeded but no attempt is recorded")
    model = study.job(job.key).output / "model"
    reported = json_document(model / "run.json")
    return MemberRecord(
        member=job.member or 0,
        job=job.key,
        seeds=job_seeds(inputs.study, method=job.method or "", run=job.run or 0, member=job.member or 0),
        weights=digest_by_file(model, skip=("run.json",)),
        started=attempt.started,
        ended=attempt.ended,
        n_attempts=len(record.attempts),
        hours=round(sum(_hours(attempt) for attempt in record.attempts), 6),
        gpus=len([gpu for gpu in str(attempt.handle.get("gpus", "")).split(",") if gpu]),
        peak_memory_mib=attempt.peak_memory_mib,
        place={name: str(attempt.handle[name]) for name in _PLACE if name in attempt.handle},
        reported=reported if isinstance(reported, dict) else {"run.json": reported},
    )


def with_shared_environment(
    members: tuple[MemberRecord, ...], executor: str
) -> tuple[tuple[MemberRecord, ...], ProgramEnvironment | None]:
    """
    The environment that the first member reported, and the members without their copies of it.

    A member that ran in another one keeps its own. Plain processes of an algorithm that reports none
    ran in this interpreter; of a silent container nothing is known.
    """
    reported = [member.reported.get(ENVIRONMENT) for member in members]
    if reported[0] is None:
        return members, program_environment(os.environ) if executor == "process" else None
    try:
        environment = ProgramEnvironment.model_validate(reported[0])
    except ValidationError:
        return members, None  # an algorithm's own idea of an environment stays where it wrote it
    shared = tuple(
        member.model_copy(
            update={"reported": {key: value for key, value in member.reported.items() if key != ENVIRONMENT}}
        )
        if own == reported[0]
        else member
        for member, own in zip(members, reported, strict=True)
    )
    return shared, environment


_PLACE = ("node", "partition", "slurm_job")


def _hours(attempt: Attempt) -> float:
    return (attempt.ended - attempt.started).total_seconds() / 3600 if attempt.ended else 0.0


def _gpus() -> tuple[str, ...]:
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in listed.stdout.splitlines() if line.strip())


def _git(project: Path, *arguments: str) -> str | None:
    """What git answers about the project; None when it is not a checkout, or git is not there."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(project), "-c", f"safe.directory={project}", *arguments],
            capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def _without_credentials(url: str | None) -> str | None:
    """A remote's address without user and password; None where there is no remote."""
    return re.sub(r"(?<=://)[^/@]*@", "", url) if url else None
