"""CO2 of electricity by country, from the table that codecarbon carries."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from reseed.contracts.errors import UserError
from reseed.contracts.footprint import Grid, Rates
from reseed.documents.reading import json_document

TOOL = "codecarbon"


@dataclass(frozen=True)
class _Tables:
    by_country: dict[str, dict[str, float | int | str]]
    world_g_per_kwh: float
    source: str


def grid(rates: Rates, country: str | None) -> Grid:
    """
    The electricity of a country, else of the price table, else of the world.

    Parameters
    ----------
    rates
        May name the CO2 of a site's own electricity.
    country
        ISO 3166-1, three letters.

    Raises
    ------
    UserError
        When the table has no such country.
    """
    if country is None and rates.grid_g_per_kwh is not None:
        return Grid(
            country=None, g_per_kwh=rates.grid_g_per_kwh, source=rates.grid_source or f"rates: {rates.title}"
        )
    tables = _tables()
    if country is None:
        source = f"world average (IEA 2019) as in {tables.source}"
        return Grid(country=None, g_per_kwh=tables.world_g_per_kwh, source=source)
    found = tables.by_country.get(country.upper())
    if found is None:
        raise UserError(
            f"the country must be one of {len(tables.by_country)} ISO 3166-1 codes of three letters such as "
            f"NLD, got {country!r}"
        )
    mix = f"{found['country_name']}, mix of {found['year']}"
    return Grid(
        country=country.upper(),
        g_per_kwh=float(found["carbon_intensity"]),
        source=f"{mix} (Our World in Data) as in {tables.source}",
    )


@functools.cache
def _tables() -> _Tables:
    # found and not imported: a plan need not wait for a tracker that it does not start
    found = importlib.util.find_spec(TOOL)
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(f"No module named {TOOL!r}", name=TOOL)
    folder = Path(found.submodule_search_locations[0]) / "data/private_infra"
    return _Tables(
        by_country=json_document(folder / "global_energy_mix.json"),
        world_g_per_kwh=float(json_document(folder / "carbon_intensity_per_source.json")["world_average"]),
        source=f"{TOOL} {importlib.metadata.version(TOOL)}",
    )
