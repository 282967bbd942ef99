"""CPU, GPU and memory slots of this machine: how many jobs run side by side."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from reseed.contracts.errors import UserError
from reseed.contracts.job import Job, JobKind
from reseed.contracts.manifest import Resources

NVIDIA_GPUS = Path("/proc/driver/nvidia/gpus")
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
# a machine that is sold with 24 GiB shows 23.6: the rest is the firmware's and the kernel's
_SHOWN_TO_SOLD = 1.1
_OWN_PROGRAMS = (JobKind.SCORE, JobKind.COMPARE)
_GIB = 2**30


@dataclass(frozen=True)
class Slot:
    """What one running job occupies; of its GPUs, a share when it uses one and several jobs may."""

    n_cpus: int
    gpus: tuple[int, ...] = ()
    memory_gib: float = 0.0


@dataclass
class Slots:
    """
    The free part of a machine.

    A job that asks for more cores than there are gets all there are; a job that can use a GPU
    waits for one only where there are GPUs.

    Parameters
    ----------
    n_cpus
        Cores, or jobs of one core side by side.
    gpus
        Numbers of the GPUs.
    memory_gib
        Memory to share out; None for as much as anybody asks.
    runs_per_gpu
        How many jobs that use one GPU share it. A job that uses several has them for itself.
    """

    n_cpus: int
    gpus: tuple[int, ...] = ()
    memory_gib: float | None = None
    runs_per_gpu: int = 1
    _used_cpus: int = field(init=False, default=0)
    _used_memory_gib: float = field(init=False, default=0.0)
    _used_shares: Counter[int] = field(init=False, default_factory=Counter)

    def take(self, resources: Resources) -> Slot | None:
        """A slot for a job, or None while there is no room."""
        n_cpus = min(resources.cpus, self.n_cpus)
        memory_gib = 0.0 if self.memory_gib is None else min(resources.memory_gib, self.memory_gib)
        gpus = self._free_gpus(min(resources.gpus, len(self.gpus)))
        if gpus is None or self._used_cpus + n_cpus > self.n_cpus:
            return None
        if self.memory_gib is not None and self._used_memory_gib + memory_gib > self.memory_gib:
            return None
        slot = Slot(n_cpus, gpus, memory_gib)
        self.occupy(slot)
        return slot

    def recorded(self, resources: Resources, gpus: tuple[int, ...]) -> Slot:
        """The slot of a job that runs already, on GPUs that were given to it then."""
        memory_gib = 0.0 if self.memory_gib is None else min(resources.memory_gib, self.memory_gib)
        return Slot(min(resources.cpus, self.n_cpus), gpus, memory_gib)

    def occupy(self, slot: Slot) -> None:
        """Count a slot, also one of a job that already runs, even beyond what there is."""
        self._used_cpus += slot.n_cpus
        self._used_memory_gib += slot.memory_gib
        for gpu in slot.gpus:
            self._used_shares[gpu] += self._shares(slot)

    def give_back(self, slot: Slot) -> None:
        """Free a slot."""
        self._used_cpus -= slot.n_cpus
        self._used_memory_gib = max(self._used_memory_gib - slot.memory_gib, 0.0)
        for gpu in slot.gpus:
            self._used_shares[gpu] -= self._shares(slot)

    def _free_gpus(self, n_gpus: int) -> tuple[int, ...] | None:
        """The least used GPUs with room for one more job, or those that are free when it takes several."""
        limit = self.runs_per_gpu - 1 if n_gpus == 1 else 0
        free = [gpu for gpu in self.gpus if self._used_shares[gpu] <= limit]
        if len(free) < n_gpus:
            return None
        return tuple(sorted(free, key=lambda gpu: self._used_shares[gpu])[:n_gpus])

    def _shares(self, slot: Slot) -> int:
        return 1 if len(slot.gpus) == 1 else self.runs_per_gpu


def refuse_larger_than_machine(jobs: Iterable[Job], memory_gib: float | None) -> None:
    """
    Check that jobs can ever run here; of our own programs, whose needs are guessed, that is assumed.

    Raises
    ------
    UserError
        Naming the first that needs more memory than there is.
    """
    for job in jobs:
        if memory_gib is None or job.kind in _OWN_PROGRAMS:
            continue
        if job.resources.memory_gib <= memory_gib * _SHOWN_TO_SOLD:
            continue
        raise UserError(
            f"{job.name} needs {job.resources.memory_gib:g} GiB of memory, here are {memory_gib:.1f}: "
            f"lower memory_gib in the manifest of {job.role} or the study, or say with "
            "--memory how much may be used"
        )


def n_usable_cpus() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def n_nvidia_gpus(folder: Path = NVIDIA_GPUS) -> int:
    """The NVIDIA GPUs that the kernel's driver knows; seen from inside a container too."""
    return sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0


def usable_memory_gib() -> float:
    """The memory of this machine, or of the control group that this process is in."""
    limits = [int(psutil.virtual_memory().total)]
    for path in _CGROUP_LIMITS:
        if path.is_file() and (text := path.read_text().strip()).isdigit():
            limits.append(int(text))
    return min(limits) / _GIB
