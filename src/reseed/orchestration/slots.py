"""CPU and GPU slots of this machine: how many jobs run side by side."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from reseed.contracts.manifest import Resources

NVIDIA_GPUS = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class Slot:
    """What one running job occupies."""

    n_cpus: int
    gpus: tuple[int, ...] = ()


@dataclass
class Slots:
    """
    The free part of a machine.

    A job that asks for more than there is gets all there is; a job that can use a GPU waits for
    one only where there are GPUs.
    """

    n_cpus: int
    gpus: tuple[int, ...] = ()
    _free_cpus: int = field(init=False)
    _free_gpus: list[int] = field(init=False)

    def __post_init__(self) -> None:
        """Everything is free at first."""
        self._free_cpus = self.n_cpus
        self._free_gpus = list(self.gpus)

    def take(self, resources: Resources) -> Slot | None:
        """A slot for a job, or None while there is no room."""
        n_cpus = min(resources.cpus, self.n_cpus)
        n_gpus = min(resources.gpus, len(self.gpus))
        if n_cpus > self._free_cpus or n_gpus > len(self._free_gpus):
            return None
        self._free_cpus -= n_cpus
        gpus = tuple(self._free_gpus[:n_gpus])
        del self._free_gpus[:n_gpus]
        return Slot(n_cpus, gpus)

    def occupy(self, slot: Slot) -> None:
        """Count the slot of a job that already runs, even beyond what there is."""
        self._free_cpus -= slot.n_cpus
        self._free_gpus = [gpu for gpu in self._free_gpus if gpu not in slot.gpus]

    def give_back(self, slot: Slot) -> None:
        """Free a slot."""
        self._free_cpus += slot.n_cpus
        self._free_gpus = sorted({*self._free_gpus, *slot.gpus} & set(self.gpus))


def n_usable_cpus() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def n_nvidia_gpus(folder: Path = NVIDIA_GPUS) -> int:
    """The NVIDIA GPUs that the kernel's driver knows; seen from inside a container too."""
    return sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0
