"""Prices, powers and the CO2 of electricity."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from reseed.contracts.footprint import Footprint, GpuRate, Grid, Grounds, Rates, Use
from reseed.documents.reading import read_yaml
from reseed.orchestration.footprint.grids import grid

EXAMPLE_RATES = Path(__file__).with_name("rates.yaml")


@dataclass(frozen=True)
class Site:
    """
    Where a study runs: what energy and hours cost there.

    Parameters
    ----------
    rates
        The price table.
    grid
        The electricity.
    """

    rates: Rates
    grid: Grid

    @property
    def rates_name(self) -> str:
        """Title and date of the price table."""
        return f"{self.rates.title}, {self.rates.date}"

    def footprint(self, use: Use, *, gpu: str | None, grounds: Grounds) -> Footprint:
        """
        A use with its CO2 and cost.

        Hours are paid for, not energy: a price per hour holds the electricity.
        """
        kwh = use.kwh * self.rates.pue
        price = self.rates.per_core_hour * use.cpu_hours
        if use.gpu_hours:
            price += gpu_rate(self.rates, gpu).per_hour * use.gpu_hours
        return Footprint(
            use=use,
            kwh=kwh,
            co2_kg=kwh * self.grid.g_per_kwh / 1000,
            cost=price,
            currency=self.rates.currency,
            grounds=grounds,
            g_per_kwh=self.grid.g_per_kwh,
            rates=self.rates_name,
        )

    def modelled(self, *, wall_hours: float, n_cpus: float, n_gpus: float, gpu: str | None) -> Use:
        """What slots use by their rated power: every core and GPU busy all the time."""
        return Use(
            wall_hours=wall_hours,
            cpu_hours=wall_hours * n_cpus,
            gpu_hours=wall_hours * n_gpus,
            cpu_busy_hours=None,
            cpu_kwh=wall_hours * n_cpus * self.rates.core_power_w / 1000,
            gpu_kwh=wall_hours * n_gpus * gpu_rate(self.rates, gpu).power_w / 1000 if n_gpus else 0.0,
        )


def site(*, rates: Path | None = None, country: str | None = None) -> Site:
    """
    The site that a command was told of.

    Parameters
    ----------
    rates
        A price table; the example rates of Reseed when not given.
    country
        ISO 3166-1, three letters. Without it the site's own grid of the price table counts, else the
        world's average.

    Raises
    ------
    UserError
        When the table breaks its contract, or the country is not known.
    """
    table = read_yaml(rates or EXAMPLE_RATES, Rates)
    return Site(table, grid(table, country))


def gpu_rate(rates: Rates, gpu: str | None) -> GpuRate:
    """
    The rate of a GPU by the name that its driver gives.

    The rate whose words are all in the name, the one with most letters first; else that of other GPUs.
    """
    words = _words(gpu or "")
    fitting = [rate for rate in rates.gpus if _words(rate.name) <= words]
    return max(fitting, key=lambda rate: len(rate.name), default=rates.other_gpu)


def _words(name: str) -> set[str]:
    return set(re.findall(r"[A-Z]+\d+[A-Z]*|\d+|[A-Z]+", name.upper()))
