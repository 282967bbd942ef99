"""A footprint in words: one line that says how much, and on what grounds."""

from __future__ import annotations

from reseed.orchestration.footprint.estimate import Estimate
from reseed.orchestration.footprint.rates import Site


def reproduction_line(found: Estimate) -> str:
    """What a reproduction would cost, before it is run."""
    if found.n_measured + found.n_declared == 0:
        return (
            "a reproduction would cost: not known; no job of it was measured and no hours are declared "
            "(`expected` in a manifest or a study file)"
        )
    grounds = []
    if found.n_measured:
        grounds.append("measured jobs of the same method")
    if found.n_declared:
        grounds.append("declared hours and rated power")
    missing = ", ".join(f"{count} {kind.value}" for kind, count in found.n_unknown.items() if count)
    without = f", without {missing}" if missing else ""
    return f"a reproduction would cost {found.footprint.words} (from {' and '.join(grounds)}{without})"


def site_lines(site: Site) -> list[str]:
    """By which prices and which electricity."""
    rates = site.rates
    return [
        f"prices: {rates.title}, {rates.date} ({rates.source})",
        f"electricity: {site.grid.g_per_kwh:g} g CO2 a kWh ({site.grid.source})",
    ]
