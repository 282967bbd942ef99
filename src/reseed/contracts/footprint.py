"""What a study costs: time, energy, CO2 and money, of a job, a run and a study; and the rates behind it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from reseed.contracts.model import Contract

Amount = Annotated[float, Field(ge=0)]
CountryCode = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
"""ISO 3166-1, three letters."""


class Grounds(StrEnum):
    """What a number of energy rests on, the firmest first."""

    MEASURED = "measured"
    EXTRAPOLATED = "extrapolated"
    MODELLED = "modelled"


GROUNDS_WORDS = {
    Grounds.MEASURED: "measured",
    Grounds.EXTRAPOLATED: "measured in part",
    Grounds.MODELLED: "by rated power in part or whole",
}


class Use(Contract):
    """What was used. Hours are of slots: cores and GPUs that were taken, whether busy or not."""

    wall_hours: Amount = 0.0
    cpu_hours: Amount = Field(default=0.0, description="Cores taken × hours.")
    gpu_hours: Amount = Field(default=0.0, description="GPUs taken × hours; of a shared GPU a share.")
    cpu_busy_hours: Amount | None = Field(default=0.0, description="CPU time; null where nobody saw it.")
    cpu_kwh: Amount = 0.0
    gpu_kwh: Amount = 0.0
    ram_kwh: Amount = 0.0

    @property
    def kwh(self) -> float:
        """Energy in all."""
        return self.cpu_kwh + self.gpu_kwh + self.ram_kwh

    def plus(self, other: Use) -> Use:
        """The sum of two."""
        busy = None
        if self.cpu_busy_hours is not None and other.cpu_busy_hours is not None:
            busy = self.cpu_busy_hours + other.cpu_busy_hours
        return Use(
            wall_hours=self.wall_hours + other.wall_hours,
            cpu_hours=self.cpu_hours + other.cpu_hours,
            gpu_hours=self.gpu_hours + other.gpu_hours,
            cpu_busy_hours=busy,
            cpu_kwh=self.cpu_kwh + other.cpu_kwh,
            gpu_kwh=self.gpu_kwh + other.gpu_kwh,
            ram_kwh=self.ram_kwh + other.ram_kwh,
        )

    def times(self, number: float) -> Use:
        """As often as that."""
        fields = self.model_dump()
        return Use(**{name: None if value is None else value * number for name, value in fields.items()})


class AttemptUse(Contract):
    """What one attempt of a job used."""

    number: int = Field(ge=1)
    grounds: Grounds
    gpu: str | None = Field(default=None, description="Model of the GPU that it had.")
    use: Use


class JobUse(Contract):
    """footprint.json of a job: every attempt, those that were interrupted too."""

    schema_version: Literal["1.0"] = "1.0"
    attempts: tuple[AttemptUse, ...] = ()

    @property
    def total(self) -> Use:
        """Of all attempts."""
        total = Use()
        for attempt in self.attempts:
            total = total.plus(attempt.use)
        return total


class GpuRate(Contract):
    """What an hour of a GPU costs, and what it draws."""

    name: str = Field(min_length=1, description="Part of the name that the driver gives, for instance A100.")
    per_hour: Amount
    power_w: Amount = Field(description="Board power of the data sheet, for estimates.")


class Rates(Contract):
    """A price table."""

    title: str = Field(min_length=1)
    date: str = Field(pattern=r"^\d{4}-\d{2}(-\d{2})?$")
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    source: str = Field(min_length=1, description="Where prices are from, or `assumption`.")
    per_core_hour: Amount
    core_power_w: Amount = Field(description="Power of one busy core with its memory, for estimates.")
    gpus: tuple[GpuRate, ...] = Field(min_length=1)
    other_gpu: GpuRate = Field(description="Of a GPU that the table does not name.")
    grid_g_per_kwh: Amount | None = Field(default=None, description="CO2 of the site's own electricity.")
    grid_source: str | None = None
    pue: float = Field(default=1.0, ge=1, description="Power of the whole site over that of its machines.")


class Grid(Contract):
    """CO2 equivalents of a kilowatt hour."""

    country: CountryCode | None
    g_per_kwh: Amount
    source: str


class Footprint(Contract):
    """A use with what it costs; `grounds` is the weakest that a part of its energy rests on."""

    use: Use
    kwh: Amount = Field(description="With the site's overhead (PUE).")
    co2_kg: Amount
    cost: Amount
    currency: str
    grounds: Grounds
    g_per_kwh: Amount = Field(description="CO2 of the electricity, by which it was reckoned.")
    rates: str = Field(description="Title and date of the price table.")

    @property
    def words(self) -> str:
        """GPU hours, CPU hours, energy, CO2 and cost in one line."""
        parts = [f"{amount_text(self.use.gpu_hours)} GPU hours"] if self.use.gpu_hours else []
        parts += [
            f"{amount_text(self.use.cpu_hours)} CPU hours",
            f"{amount_text(self.kwh)} kWh",
            f"{amount_text(self.co2_kg)} kg CO2",
            f"{amount_text(self.cost)} {self.currency}",
        ]
        return ", ".join(parts)


class Measuring(Contract):
    """How energy was measured."""

    tool: str
    cpu: str
    gpu: str
    ram: str


class StudyFootprint(Contract):
    """footprint.json of a study: what its jobs used, as far as they have been done."""

    schema_version: Literal["1.0"] = "1.0"
    study: str
    grid: Grid
    rates: Rates
    measuring: Measuring | None = Field(description="Of the last command; null where nothing was measured.")
    n_jobs: int
    n_recorded: int = Field(description="Jobs that are done and whose use was recorded.")
    by_kind: dict[str, Footprint]
    by_method: dict[str, Footprint]
    total: Footprint
    reproduction: str = Field(description="What it takes to do every job once more, in words.")

    @property
    def words(self) -> str:
        """What has been used so far, and on what grounds, in one line."""
        missing = self.n_jobs - self.n_recorded
        without = f", {missing} of {self.n_jobs} jobs not recorded" if missing else ""
        return f"{self.total.words} (energy {GROUNDS_WORDS[self.total.grounds]}{without})"


class ExpectedUse(Contract):
    """What one job of an entry point is known to take: for plans, before anything was measured."""

    hours: float = Field(gt=0, description="Wall clock, of one job.")
    gpu: str | None = Field(default=None, description="On which GPU, for instance A100; none without.")
    n_gpus: int = Field(default=1, ge=1)
    source: str | None = Field(default=None, description="Where the number is from.")


def amount_text(value: float) -> str:
    """Two digits that count, more for large numbers; a small one is never 0."""
    if value == 0:
        return "0"
    if value >= 100:
        return f"{value:.0f}"
    if value >= 1:
        return f"{value:.1f}"
    return f"{value:.2g}" if value >= 0.001 else f"{value:.1e}"
