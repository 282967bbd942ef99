"""The plan of a study: a pure function from what is asked for to a graph of jobs."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from reseed.contracts.containers import (
    MEMBER_VARIABLE,
    MEMBERS_VARIABLE,
    REPETITION_VARIABLE,
    member_folder,
)
from reseed.contracts.digests import canonical_json, document_digest
from reseed.contracts.job import InputFolder, Job, JobKind, OutputFolder
from reseed.contracts.manifest import (
    AlgorithmManifest,
    Resources,
    SettingValue,
    Stage,
    setting_text,
)
from reseed.contracts.seeds import Seeds
from reseed.contracts.study import Study
from reseed.contracts.task import Task
from reseed.orchestration.seeds import method_seeds

EVALUATION = "evaluation"
COMPARISON = "comparison"
TASK_CONFIG = "task.yaml"
COMPARE_CONFIG = "compare.json"
INITIAL_WEIGHTS = "initial_weights"
"""The setting with the name of the file, and the channel with the file."""
INITIAL_WEIGHTS_TARGET = f"/opt/ml/input/data/{INITIAL_WEIGHTS}"


@dataclass(frozen=True)
class GivenFile:
    """A file that a study names, by its path on this machine and by its digest."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class PlanInputs:
    """
    All that decides a plan.

    Parameters
    ----------
    study, task
        As read from their files.
    manifests
        By algorithm name; also of algorithms that only train for another.
    algorithm_of
        Algorithm name by method.
    dataset_digest
        Of a folder of the dataset: `training`, `test/cases`, `test/reference`.
    code_digest
        Of the program of a role: an algorithm's name, `evaluation` or `comparison`.
    initial_weights
        What the trainings of a method start from, by method; of the others nothing.
    """

    study: Study
    task: Task
    manifests: dict[str, AlgorithmManifest]
    algorithm_of: dict[str, str]
    dataset_digest: Callable[[str], str]
    code_digest: Callable[[str], str]
    initial_weights: Mapping[str, GivenFile] = field(default_factory=dict)

    def manifest(self, method: str) -> AlgorithmManifest:
        """Of the algorithm that predicts."""
        return self.manifests[self.algorithm_of[method]]

    def training_manifest(self, method: str) -> AlgorithmManifest:
        """Of the algorithm that preprocesses and trains, which can be another one."""
        own = self.manifest(method)
        return own if own.trains_with is None else self.manifests[own.trains_with]

    def resources(self, method: str, stage: Stage) -> Resources:
        """What a job needs at most: as the manifest says, but for what the study says."""
        manifest = self.manifest(method) if stage == "inference" else self.training_manifest(method)
        declared: Resources = getattr(manifest, stage)
        changes = self.study.methods[method].resources.get(stage)
        return declared if changes is None else changes.applied_to(declared)


@dataclass(frozen=True)
class Plan:
    """The jobs of a study, each after the jobs it needs, and no job twice."""

    jobs: tuple[Job, ...]

    def by_key(self) -> dict[str, Job]:
        """Jobs by key."""
        return {job.key: job for job in self.jobs}

    def as_json(self) -> str:
        """The jobs as a JSON list, one a line: what plan.json holds."""
        return "[\n" + ",\n".join(job.model_dump_json() for job in self.jobs) + "\n]\n"

    def of_kind(self, *kinds: JobKind) -> Plan:
        """The part of the plan that does these kinds of job."""
        return Plan(tuple(job for job in self.jobs if job.kind in kinds))

    def trainings(self) -> Plan:
        """Preprocessing and trainings only."""
        return self.of_kind(JobKind.PREPROCESS, JobKind.TRAIN)

    def leading_to(self, wanted: Iterable[str]) -> Plan:
        """The part of the plan that these jobs, by key, depend on, and themselves."""
        needed = set(wanted)
        for job in reversed(self.jobs):
            if job.key in needed:
                needed.update(job.needs)
        return Plan(tuple(job for job in self.jobs if job.key in needed))


Settings = dict[str, SettingValue]


def method_settings(inputs: PlanInputs, method: str, *, stage: Stage | None = None) -> Settings:
    """Every setting of a method, the profile's and the algorithm's defaults made explicit."""
    own, trainer = inputs.manifest(method), inputs.training_manifest(method)
    if stage == "inference" or trainer is own:
        return _resolved(inputs, method, own, stage)
    trained = _resolved(inputs, method, trainer, stage)
    return trained if stage is not None else {**trained, **_resolved(inputs, method, own, stage)}


def _resolved(inputs: PlanInputs, method: str, manifest: AlgorithmManifest, stage: Stage | None) -> Settings:
    spec = inputs.study.methods[method]
    profile = manifest.profiles.get(spec.profile, {}) if spec.profile else {}
    given = spec.settings
    if inputs.manifest(method) is not inputs.training_manifest(method):
        # a setting is for whichever of the two knows it; the study's file was checked for that
        given = {key: value for key, value in given.items() if key in manifest.hyperparameters}
    weights = inputs.initial_weights.get(method)
    if weights is not None and INITIAL_WEIGHTS in manifest.hyperparameters:
        given = {**given, INITIAL_WEIGHTS: weights.path.name}
    return manifest.resolved_settings({**profile, **given}, stage=stage)


def study_plan(inputs: PlanInputs) -> Plan:
    """The whole plan: preprocess, train, predict and score every run of every method, then compare."""
    with _no_garbage():
        return _study_plan(inputs)


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Spare the collector a hundred thousand jobs that are all kept."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _study_plan(inputs: PlanInputs) -> Plan:
    jobs: dict[str, Job] = {}
    scores = []
    task = {TASK_CONFIG: yaml.safe_dump(inputs.task.model_dump(mode="json"), sort_keys=False)}
    for method in inputs.study.methods:
        settings = _settings_by_stage(inputs, method)
        preprocess = _preprocess_job(inputs, method, settings["preprocess"])
        jobs.setdefault(preprocess.key, preprocess)
        for run, seeds_by_member in enumerate(method_seeds(inputs.study, method=method)):
            members = [
                _train_job(
                    inputs,
                    settings["train"],
                    method=method,
                    run=run,
                    member=member,
                    seeds=seeds,
                    preprocess=preprocess,
                )
                for member, seeds in enumerate(seeds_by_member)
            ]
            predict = _predict_job(inputs, settings["inference"], method=method, run=run, members=members)
            score = _score_job(inputs, task, method=method, run=run, predict=predict)
            scores.append(score)
            for job in (*members, predict, score):
                jobs.setdefault(job.key, job)
    compare = _compare_job(inputs, scores)
    jobs[compare.key] = compare
    return Plan(tuple(jobs.values()))


def _preprocess_job(inputs: PlanInputs, method: str, settings: dict[str, str]) -> Job:
    manifest = inputs.training_manifest(method)
    return _keyed(
        name=f"preprocess/{method}",
        kind=JobKind.PREPROCESS,
        method=method,
        role=manifest.algorithm,
        command="preprocess",
        code=inputs.code_digest(manifest.algorithm),
        settings=settings,
        inputs=(InputFolder(target="/opt/ml/input/data/training", path="training"),),
        outputs=(_OUTPUT_DATA,),
        resources=inputs.resources(method, "preprocess"),
        data=inputs.dataset_digest("training"),
    )


def _train_job(
    inputs: PlanInputs,
    settings: dict[str, str],
    *,
    method: str,
    run: int,
    member: int,
    seeds: Seeds,
    preprocess: Job,
) -> Job:
    manifest = inputs.training_manifest(method)
    weights = inputs.initial_weights.get(method)
    given = () if weights is None else (InputFolder(target=INITIAL_WEIGHTS_TARGET, file=weights.sha256),)
    repetition = inputs.study.repetition(run)
    return _keyed(
        name=f"train/{method}/run-{run}/member-{member}",
        kind=JobKind.TRAIN,
        method=method,
        run=run,
        member=member,
        role=manifest.algorithm,
        command="train",
        code=inputs.code_digest(manifest.algorithm),
        settings=settings,
        environment={
            **seeds.environment(),
            MEMBER_VARIABLE: str(member),
            MEMBERS_VARIABLE: str(inputs.study.members),
            # a job of its own, and none but the first has the key of the plain run
            **({REPETITION_VARIABLE: str(repetition)} if repetition else {}),
        },
        inputs=(InputFolder(target="/opt/ml/input/data/preprocessed", job=preprocess.key), *given),
        outputs=_TRAIN_OUTPUTS,
        has_checkpoints=True,
        needs=(preprocess.key,),
        resources=inputs.resources(method, "train"),
    )


def _predict_job(
    inputs: PlanInputs, settings: dict[str, str], *, method: str, run: int, members: list[Job]
) -> Job:
    manifest = inputs.manifest(method)
    return _keyed(
        name=f"predict/{method}/run-{run}",
        kind=JobKind.PREDICT,
        method=method,
        run=run,
        role=manifest.algorithm,
        command="inference",
        code=inputs.code_digest(manifest.algorithm),
        settings=settings,
        inputs=(
            InputFolder(target="/input", path="test/cases"),
            *(
                InputFolder(target=f"/opt/ml/model/{member_folder(number)}", job=job.key, path="model")
                for number, job in enumerate(members)
            ),
        ),
        outputs=(_OUTPUT,),
        needs=tuple(job.key for job in members),
        resources=inputs.resources(method, "inference"),
        data=inputs.dataset_digest("test/cases"),
    )


def _score_job(inputs: PlanInputs, task: dict[str, str], *, method: str, run: int, predict: Job) -> Job:
    return _keyed(
        name=f"score/{method}/run-{run}",
        kind=JobKind.SCORE,
        method=method,
        run=run,
        role=EVALUATION,
        command="evaluate",
        code=inputs.code_digest(EVALUATION),
        config=task,
        inputs=(
            InputFolder(target="/input", job=predict.key),
            InputFolder(target="/opt/ml/input/data/ground_truth", path="test/reference"),
        ),
        outputs=(_OUTPUT,),
        needs=(predict.key,),
        resources=Resources(memory_gib=2.0, timeout_s=1800),
        data=inputs.dataset_digest("test/reference"),
    )


def _compare_job(inputs: PlanInputs, scores: list[Job]) -> Job:
    study = inputs.study
    settings = {
        "study": study.study,
        "task": inputs.task.task,
        "title": inputs.task.title,
        "case_noun": inputs.task.case_noun,
        "metrics": list(study.compare.metrics or inputs.task.metrics),
        "baseline": study.baseline,
        "confidence_level": study.compare.confidence_level,
        "entropy": str(study.entropy),
        "runs": [[job.method, job.run, f"/input/{job.key}"] for job in scores],
        **_design_setting(study),
    }
    return _keyed(
        name="compare",
        kind=JobKind.COMPARE,
        role=COMPARISON,
        command="compare",
        code=inputs.code_digest(COMPARISON),
        config={COMPARE_CONFIG: canonical_json(settings)},
        inputs=tuple(InputFolder(target=f"/input/{job.key}", job=job.key) for job in scores),
        outputs=(_OUTPUT,),
        needs=tuple(job.key for job in scores),
        resources=Resources(memory_gib=4.0, timeout_s=3600),
    )


def _design_setting(study: Study) -> dict[str, object]:
    """What a comparison must know of runs that are not independent; nothing for runs that are."""
    return {} if study.design is None else {"design": study.design.model_dump(mode="json")}


def _settings_by_stage(inputs: PlanInputs, method: str) -> dict[Stage, dict[str, str]]:
    """What hyperparameters.json of each entry point says; the same for every run."""
    stages: tuple[Stage, ...] = ("preprocess", "train", "inference")
    return {
        stage: {
            key: setting_text(value) for key, value in method_settings(inputs, method, stage=stage).items()
        }
        for stage in stages
    }


def _keyed(**fields: Any) -> Job:
    """A job with its key: the digest of all that decides its result, and of nothing else."""
    deciding = {
        "kind": fields["kind"].value,
        "role": fields["role"],
        "command": fields["command"],
        "code": fields["code"],
        "settings": fields.get("settings", {}),
        "environment": fields.get("environment", {}),
        "config": fields.get("config", {}),
        "data": fields.get("data"),
        "inputs": [_deciding_input(folder) for folder in fields["inputs"]],
        "outputs": [{"target": folder.target, "name": folder.name} for folder in fields["outputs"]],
    }
    return Job(key=document_digest(deciding), **fields)


def _deciding_input(folder: InputFolder) -> dict[str, str | None]:
    # a file is younger than the keys of studies that are done
    given = {} if folder.file is None else {"file": folder.file}
    return {"target": folder.target, "job": folder.job, "path": folder.path, **given}


_OUTPUT = OutputFolder(target="/output", name="")
_OUTPUT_DATA = OutputFolder(target="/opt/ml/output/data", name="")
_TRAIN_OUTPUTS = (
    OutputFolder(target="/opt/ml/model", name="model"),
    OutputFolder(target="/opt/ml/output/data", name="data"),
)
