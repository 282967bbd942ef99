"""What a person asks `reseed data convert` for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reseed.contracts.errors import UserError
from reseed.contracts.task import Task


@dataclass(frozen=True)
class ConversionRequest:
    """
    What a person asks for.

    Parameters
    ----------
    source
        A folder (Decathlon, nnU-Net, images/ and labels/, DICOM) or a .npz file.
    out
        The dataset folder to make; its name is the dataset's.
    task
        Whose sockets the cases fill, and whose label values train.
    further
        Tasks of the same inputs, whose references are written too.
    channels
        By the slug of an input socket: the number of a channel, or for DICOM the pattern of a series.
        Empty: the one image input of the task, or its inputs in their order.
    labels
        New value of a label by the old one.
    task_labels
        The same for one task, by its name; what it says of a value goes before `labels`.
    label_folder
        For DICOM: the folder of label maps.
    nodules
        For scans with nodules: the table of them.
    spacing_xyz_mm, hounsfield
        Nominal, for a .npz file: the distance of voxels, and what 0 and 255 stand for.
    patients
        A table of whose each case is.
    split
        A table of which case or patient trains or tests; None to draw one.
    test_fraction, seed
        Part of the patients that a drawn split holds out, and its seed.
    skip
        Cases to leave out.
    skip_unpaired
        Leave out images without label map and label maps without image, instead of refusing.
    title, version, licence, citation
        For the manifest.
    """

    source: Path
    out: Path
    task: Task
    further: tuple[Task, ...] = ()
    channels: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[int, int] = field(default_factory=dict)
    task_labels: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    label_folder: Path | None = None
    nodules: Path | None = None
    spacing_xyz_mm: tuple[float, float, float] | None = None
    hounsfield: tuple[float, float] = (-1000.0, 400.0)
    patients: Path | None = None
    split: Path | None = None
    test_fraction: float = 0.3
    seed: int = 0
    skip: tuple[str, ...] = ()
    skip_unpaired: bool = False
    title: str = ""
    version: str = "1.0"
    licence: str = "as its source's"
    citation: str = "as its source's"

    @property
    def tasks(self) -> tuple[Task, ...]:
        """All of them, the one that trains first."""
        return (self.task, *self.further)

    def labels_of(self, task: Task) -> dict[int, int]:
        """New value of a label by the old one, for one of the tasks."""
        return {**self.labels, **self.task_labels.get(task.task, {})}

    def refuse_unasked_tasks(self) -> None:
        """
        Refuse labels of a task that is not asked for.

        Raises
        ------
        UserError
            When there are any.
        """
        known = [task.task for task in self.tasks]
        for name in self.task_labels:
            if name not in known:
                raise UserError(f"--label {name}:…: must name a task of --task, which are {', '.join(known)}")
