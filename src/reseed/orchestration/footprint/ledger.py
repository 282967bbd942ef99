"""
Whose energy is it? The energy of a machine shared out among jobs that run side by side.

Between two readings a job is given the part of the processor's and the memory's energy that its CPU time has
of all CPU time of the machine; what other programs used is theirs, and what nobody used is nobody's. A GPU's
energy goes to the jobs that have it, in equal parts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from reseed.contracts.footprint import Grounds, Use
from reseed.orchestration.footprint.meter import Energy


@dataclass
class Account:
    """What one attempt has used so far."""

    n_cpus: int
    gpus: tuple[int, ...] = ()
    cpu_s: float | None = 0.0
    cpu_kwh: float = 0.0
    ram_kwh: float = 0.0
    gpu_kwh: float = 0.0
    wall_s: float = 0.0
    gpu_s: float = 0.0
    measured_wall_s: float = 0.0

    def use(self) -> tuple[Use, Grounds]:
        """
        The use in all, the part that was not measured as the part that was.

        MODELLED says that there is no energy here: nothing of the attempt was measured.
        """
        grounds, factor = Grounds.MEASURED, 1.0
        if self.measured_wall_s <= 0 and self.wall_s > 0:
            grounds = Grounds.MODELLED
        elif self.measured_wall_s < 0.99 * self.wall_s:
            grounds, factor = Grounds.EXTRAPOLATED, self.wall_s / self.measured_wall_s
        return Use(
            wall_hours=self.wall_s / 3600,
            cpu_hours=self.wall_s * self.n_cpus / 3600,
            gpu_hours=self.gpu_s / 3600,
            cpu_busy_hours=None if self.cpu_s is None else self.cpu_s / 3600,
            cpu_kwh=self.cpu_kwh * factor,
            gpu_kwh=self.gpu_kwh * factor,
            ram_kwh=self.ram_kwh * factor,
        ), grounds


@dataclass
class Ledger:
    """The accounts of the attempts that run, by job key."""

    accounts: dict[str, Account] = field(default_factory=dict)

    def book(
        self,
        *,
        seconds: float,
        cpu_s: Mapping[str, float | None],
        machine_cpu_s: float,
        energy: Energy | None,
    ) -> None:
        """
        Book what was used since the last booking.

        Parameters
        ----------
        seconds
            Since then.
        cpu_s
            CPU time of each attempt since it began, by job key; None where nobody can see it: such a
            job is taken to keep its cores busy.
        machine_cpu_s
            CPU time of all programs of the machine since the last booking.
        energy
            Of the machine since then; None where it was not measured.
        """
        used = {}
        for key, account in self.accounts.items():
            now = cpu_s.get(key)
            if now is None or account.cpu_s is None:
                used[key], account.cpu_s = seconds * account.n_cpus, None
            else:
                used[key] = max(now - account.cpu_s, 0.0)
                account.cpu_s = max(now, account.cpu_s)
        everybody = max(machine_cpu_s, sum(used.values()))
        on_gpu = Counter(gpu for account in self.accounts.values() for gpu in account.gpus)
        for key, account in self.accounts.items():
            account.wall_s += seconds
            account.gpu_s += sum(seconds / on_gpu[gpu] for gpu in account.gpus)
            if energy is None:
                continue
            # the first reading covers less than the jobs have run: the tracker was still starting
            account.measured_wall_s += min(seconds, energy.seconds)
            share = used[key] / everybody if everybody > 0 else 0.0
            account.cpu_kwh += share * energy.cpu_kwh
            account.ram_kwh += share * energy.ram_kwh
            account.gpu_kwh += sum(
                energy.gpu_kwh[gpu] / on_gpu[gpu] for gpu in account.gpus if gpu < len(energy.gpu_kwh)
            )
