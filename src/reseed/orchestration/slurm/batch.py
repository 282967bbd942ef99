"""
Batches on disk: STUDY_DIR/slurm/<batch>/, one for each job array, written before sbatch is called.

A batch is known by a random name that is also the array's job name in Slurm. So whoever comes
after an orchestrator that was killed between sbatch and noting the array's id finds the array by
its name, or, when there is none, closes the batch: elements of a closed batch do nothing, even
those of an sbatch that gets through only then.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from reseed.contracts.errors import InfrastructureError, UserError
from reseed.contracts.files import write_json_atomically, write_text_atomically
from reseed.contracts.job import Job, JobKind, JobRecord, JobState
from reseed.contracts.model import Contract, Sha256
from reseed.contracts.slurm import SlurmSettings
from reseed.contracts.task import Task
from reseed.documents.reading import read_json
from reseed.orchestration.slurm.images import PinnedImage
from reseed.orchestration.study_folder import StudyFolder


class Awaiting(Contract):
    """A job of another batch that may start early, and all that it needs."""

    batch: str
    index: int
    needs: tuple[Sha256, ...]


class Element(Contract):
    """One line of jobs.jsonl: a job, and which others wait for it alone."""

    job: Job
    awaited_by: tuple[Awaiting, ...] = ()


class BatchDocument(Contract):
    """batch.json: all that a node needs to do the batch's jobs, whatever becomes of the study file."""

    study: str
    study_folder: str
    dataset: str
    project: str
    algorithms: dict[str, str]
    task: Task
    settings: SlurmSettings
    images: dict[str, PinnedImage]
    kind: JobKind
    keys: tuple[Sha256, ...]
    time_s: int
    throttle: int | None = None


@dataclass(frozen=True)
class Batch:
    """The folder of a batch."""

    path: Path

    @property
    def name(self) -> str:
        """The array's job name in Slurm."""
        return self.path.name

    @cached_property
    def document(self) -> BatchDocument:
        """batch.json."""
        return read_json(self.path / "batch.json", BatchDocument)

    @property
    def script(self) -> Path:
        """What sbatch is given."""
        return self.path / "submit.sh"

    @property
    def template(self) -> str:
        """The container template as it was when the batch was submitted."""
        return (self.path / "container.sh.j2").read_text(encoding="utf-8")

    @property
    def array_id(self) -> int | None:
        """The array's id in Slurm; None when nobody has noted one."""
        try:
            return int((self.path / "job_id").read_text())
        except FileNotFoundError:
            return None

    @property
    def closed(self) -> str | None:
        """Why no element of the batch may start any more; None when they may."""
        try:
            return (self.path / "closed").read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None

    def element(self, index: int) -> Element:
        """One job of the batch, without reading all the others."""
        with (self.path / "jobs.jsonl").open(encoding="utf-8") as stream:
            for number, line in enumerate(stream):
                if number == index:
                    return Element.model_validate_json(line)
        raise InfrastructureError(f"{self.path}: has no element {index}")

    def log(self, index: int) -> Path:
        """What Slurm's batch step of an element has printed."""
        return self.path / f"{index}.log"

    def note_array(self, array_id: int) -> None:
        """Note the array's id."""
        if self.array_id != array_id:
            write_text_atomically(self.path / "job_id", f"{array_id}\n")

    def close(self, why: str) -> None:
        """Let no further element start."""
        if self.closed is None:
            write_text_atomically(self.path / "closed", f"{why}\n")


@dataclass
class Batches:
    """All batches of a study, oldest first."""

    folder: Path
    _known: dict[str, Batch] = field(default_factory=dict)

    @classmethod
    def of(cls, study: StudyFolder) -> Batches:
        """The batches below a study folder."""
        return cls(study.path / "slurm")

    def __iter__(self) -> Iterator[Batch]:
        """Batches that were announced; what was being written when its writer was killed is not one."""
        paths = [path.parent for path in self.folder.glob("*/batch.json")]
        for path in sorted(paths, key=lambda path: (path / "batch.json").stat().st_mtime_ns):
            yield self._known.setdefault(path.name, Batch(path))

    def named(self, name: str) -> Batch:
        """A batch by its name."""
        return self._known.setdefault(name, Batch(self.folder / name))

    def new_name(self, study: str, kind: JobKind) -> str:
        """A name that no other batch has, on the whole cluster."""
        return f"{study[:40]}-{kind.value}-{secrets.token_hex(4)}"

    def announce(
        self, name: str, document: BatchDocument, elements: Iterable[Element], *, template: str, script: str
    ) -> Batch:
        """Write a batch down; batch.json, by which it counts, last."""
        path = self.folder / name
        path.mkdir(parents=True)
        lines = (f"{element.model_dump_json()}\n" for element in elements)
        write_text_atomically(path / "jobs.jsonl", "".join(lines))
        write_text_atomically(path / "container.sh.j2", template)
        write_text_atomically(path / "submit.sh", script)
        write_json_atomically(path / "batch.json", document)
        return self.named(name)

    def remove_unannounced(self) -> None:
        """Remove what a killed orchestrator was still writing; only under the study's lock."""
        for path in self.folder.glob("*/"):
            if not (path / "batch.json").is_file():
                shutil.rmtree(path)


def refuse_jobs_in_slurm(study: StudyFolder) -> None:
    """
    Refuse to do jobs here that a cluster may be doing.

    Raises
    ------
    UserError
        When a job of a batch that is not closed has not ended.
    """
    for batch in Batches.of(study):
        if batch.closed is not None:
            continue
        for key in batch.document.keys:
            record = recorded(study, key)
            if not record.state.is_terminal:
                raise UserError(
                    f"{study.path}: jobs of this study are in Slurm ({batch.name}); go on with "
                    "--executor slurm, or end them with `reseed cancel`"
                )


def recorded(study: StudyFolder, key: str) -> JobRecord:
    """The record of a job by its key; queued when there is none."""
    path = study.job(key).record
    if not path.is_file():
        return JobRecord(key=key, name=key, state=JobState.QUEUED)
    return read_json(path, JobRecord)
