"""A file of several studies: read, and laid out so that equal jobs are done once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from reseed.contracts.collection import Collection
from reseed.contracts.digests import document_digest
from reseed.contracts.errors import UserError
from reseed.contracts.files import write_bytes_atomically
from reseed.contracts.job import Job, JobKind
from reseed.documents.reading import read_yaml
from reseed.orchestration.plan import Plan, PlanInputs, study_plan
from reseed.orchestration.study_file import StudyContext, study_context
from reseed.orchestration.study_folder import COLLECTION_FILE, StudyFolder


@dataclass(frozen=True)
class CollectionContext:
    """A collection with everything that the names in its studies stand for."""

    path: Path
    collection: Collection
    studies: tuple[StudyContext, ...]


def is_collection(path: Path) -> bool:
    """Whether a file looks like a collection: a mapping with the key `studies`."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return False
    return isinstance(document, dict) and "studies" in document


def read_collection(path: Path, *, project: Path | None = None) -> CollectionContext:
    """
    Read a collection and everything it names.

    Raises
    ------
    InvalidDocument
        One line per mistake.
    UserError
        When a file or a folder that it names is not there.
    """
    collection = read_yaml(path, Collection)
    studies = []
    for study in collection.studies:
        try:
            studies.append(study_context(path, study, project=project))
        except UserError as error:
            lines = "\n".join(f"study {study.study}: {line}" for line in str(error).splitlines())
            raise type(error)(*lines.splitlines()) from None
    return CollectionContext(path, collection, tuple(studies))


@dataclass(frozen=True)
class CollectionFolder:
    """
    COLLECTION_DIR: a folder for each study, and one folder of jobs that they share.

    collection.yaml  jobs/<key>/  <study>/ (with jobs, a link to the shared one)
    """

    path: Path

    def study(self, name: str) -> StudyFolder:
        """The folder of a study."""
        return StudyFolder(self.path / name)

    @property
    def lock_folder(self) -> StudyFolder:
        """As a study folder: whose lock the one orchestrator at work holds, and with all jobs."""
        return StudyFolder(self.path)

    def claim(self, context: CollectionContext) -> None:
        """
        Make the folder this collection's, or refuse what is somebody else's.

        Raises
        ------
        UserError
            When it holds something else.
        """
        copy = self.path / COLLECTION_FILE
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path}: is a file; name a folder with --out")
        own = {COLLECTION_FILE, ".lock"}
        if self.path.is_dir() and not copy.is_file() and {each.name for each in self.path.iterdir()} - own:
            raise UserError(f"{self.path}: holds something that is not a collection; name another with --out")
        content = context.path.read_bytes()
        if not copy.is_file() or copy.read_bytes() != content:
            write_bytes_atomically(copy, content)

    def prepared(self, context: StudyContext) -> StudyContext:
        """A study with its folder made, its jobs shared, and a study file of its own there."""
        folder = self.study(context.study.study)
        shared = self.path / "jobs"
        for each in (shared, folder.path):
            each.mkdir(parents=True, exist_ok=True)
        if not folder.jobs.is_symlink():
            folder.jobs.symlink_to(Path("..") / shared.name, target_is_directory=True)
        document = context.study.model_dump(mode="json", exclude_unset=True)
        for method, given in context.initial_weights.items():
            document["methods"][method]["initial_weights"] = str(given.path)
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
        if not folder.study.is_file() or folder.study.read_text(encoding="utf-8") != text:
            write_bytes_atomically(folder.study, text.encode())
        return replace(context, path=folder.study)


def provisional_inputs(context: StudyContext, code_digest: Callable[[str], str]) -> PlanInputs:
    """What decides the plan of a study without its dataset: all but the keys is as it will be."""
    study = context.study
    return PlanInputs(
        study=study,
        task=context.task,
        manifests={name: found.manifest for name, found in context.algorithms.items()},
        algorithm_of=context.algorithm_of,
        dataset_digest=lambda folder: document_digest(["not here", study.dataset, folder]),
        code_digest=code_digest,
        initial_weights=context.initial_weights,
    )


@dataclass(frozen=True)
class SharedPlan:
    """
    The plans of several studies, each job once.

    Parameters
    ----------
    plans
        By study, whole.
    own
        By study, without the jobs that an earlier study has already.
    """

    plans: dict[str, Plan]
    own: dict[str, Plan]

    @property
    def jobs(self) -> tuple[Job, ...]:
        """All of them."""
        return tuple(job for plan in self.own.values() for job in plan.jobs)

    def n_shared(self, study: str, kind: JobKind) -> int:
        """How many jobs of a kind an earlier study does for this one."""
        return len(self.plans[study].of_kind(kind).jobs) - len(self.own[study].of_kind(kind).jobs)


def shared_plan(inputs: dict[str, PlanInputs]) -> SharedPlan:
    """The plans of studies by name, in their order, with equal jobs counted once."""
    plans = {name: study_plan(each) for name, each in inputs.items()}
    seen: set[str] = set()
    own = {}
    for name, plan in plans.items():
        own[name] = Plan(tuple(job for job in plan.jobs if job.key not in seen))
        seen |= {job.key for job in plan.jobs}
    return SharedPlan(plans, own)
