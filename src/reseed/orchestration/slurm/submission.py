"""From jobs to arrays in Slurm, so that a kill at any instant submits nothing twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reseed.contracts.errors import InfrastructureError
from reseed.contracts.job import Job, JobKind
from reseed.orchestration.slurm.arrays import JobArray, job_arrays
from reseed.orchestration.slurm.batch import Awaiting, Batch, Batches, Element
from reseed.orchestration.slurm.client import NoRoom, SlurmClient, TaskId
from reseed.orchestration.slurm.cluster import SlurmCluster
from reseed.orchestration.slurm.script import batch_script, job_time_s
from reseed.orchestration.study_folder import StudyFolder


@dataclass
class Submission:
    """
    Submits jobs of a study and knows which element of which array each of them is.

    Parameters
    ----------
    cluster, study, dataset
        Of the study.
    held
        The element of each job that Slurm may still hold, by key; kept up to date.
    """

    cluster: SlurmCluster
    study: StudyFolder
    dataset: Path
    batches: Batches
    held: dict[str, TaskId] = field(default_factory=dict)
    batch_of: dict[str, Batch] = field(default_factory=dict)
    refusal: str | None = None
    _template: str | None = None
    _max_array_size: int | None = None

    @property
    def client(self) -> SlurmClient:
        """The cluster's commands."""
        return self.cluster.client

    def recover(self) -> None:
        """
        Find the arrays that earlier orchestrators submitted; close the batches of which none came to be.

        The caller has the study's lock.
        """
        self.batches.remove_unannounced()
        for batch in self.batches:
            if batch.array_id is None and batch.closed is None:
                self._find_or_close(batch)
            if batch.closed is None:
                self._hold(batch)

    def submit(self, jobs: list[Job], *, n_in_use: Mapping[JobKind, int]) -> int:
        """
        Submit jobs whose needs are done, held or among them; how many Slurm has taken.

        What Slurm has no room for is left for later, and why in `refusal`.
        """
        self.refusal = None
        if self._template is None:
            self._template = self.cluster.template()
        if self._max_array_size is None:
            self._max_array_size = self.client.max_array_size()
        arrays = job_arrays(
            jobs,
            held_by={key: self.batch_of[key].name for key in self.held},
            max_size=self._max_array_size,
            max_jobs=self.cluster.settings.max_jobs,
            n_in_use=n_in_use,
        )
        names = [self.batches.new_name(self.cluster.context.study.study, array.kind) for array in arrays]
        n_taken = 0
        for array in arrays:
            batch = self._announced(array, arrays, names)
            try:
                batch.note_array(self.client.submit(batch.script))
            except NoRoom as error:
                batch.close(f"Slurm had no room: {error}")
                self.refusal = str(error)
                break
            except InfrastructureError:
                # it may have been taken all the same
                if not self._find_or_close(batch):
                    raise
            self._hold(batch)
            n_taken += len(array.jobs)
        return n_taken

    def _announced(self, array: JobArray, arrays: list[JobArray], names: list[str]) -> Batch:
        """Everything that the nodes need, on disk before Slurm hears of the array."""
        name = names[array.number]
        batch = self.batches.named(name)
        after = [self.batches.named(names[number]).array_id for number in sorted(array.after_new)]
        after += [self.batches.named(old).array_id for old in sorted(array.after_old)]
        document = self.cluster.document(
            self.study,
            self.dataset,
            kind=array.kind,
            keys=tuple(job.key for job in array.jobs),
            time_s=job_time_s(array, self.cluster.settings),
            throttle=array.throttle,
        )
        script = batch_script(
            array,
            self.cluster.settings,
            batch=batch,
            after=[number for number in after if number is not None],
        )
        elements = (
            Element(
                job=job,
                awaited_by=tuple(
                    Awaiting(batch=names[number], index=at, needs=arrays[number].jobs[at].needs)
                    for number, at in array.awaited_by.get(index, ())
                ),
            )
            for index, job in enumerate(array.jobs)
        )
        return self.batches.announce(name, document, elements, template=self._template or "", script=script)

    def _find_or_close(self, batch: Batch) -> bool:
        """Whether Slurm has an array of this batch's name; when not, it never will have effect."""
        array_id = self.client.array_named(batch.name)
        if array_id is None:
            batch.close("its submission was interrupted, and its jobs were submitted again")
            return False
        batch.note_array(array_id)
        return True

    def _hold(self, batch: Batch) -> None:
        array_id = batch.array_id
        if array_id is None:
            return
        for index, key in enumerate(batch.document.keys):
            self.held[key] = TaskId(array_id, index)
            self.batch_of[key] = batch
