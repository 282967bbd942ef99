"""What the jobs of a study used, added up: by kind, by method, by run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from reseed.contracts.footprint import Footprint, Grounds, JobUse, Measuring, StudyFootprint, Use
from reseed.contracts.job import Job
from reseed.orchestration.footprint.rates import Site
from reseed.orchestration.footprint.recorder import job_use
from reseed.orchestration.plan import Plan
from reseed.orchestration.study_folder import StudyFolder


@dataclass(frozen=True)
class Part:
    """A use on one model of GPU."""

    use: Use
    gpu: str | None
    grounds: Grounds


def parts_of(found: JobUse) -> Iterator[Part]:
    """The attempts of a job."""
    for attempt in found.attempts:
        yield Part(attempt.use, attempt.gpu, attempt.grounds)


def footprint_of(site: Site, parts: Iterable[Part]) -> Footprint:
    """
    The footprint of several uses, each at the rate of its GPU.

    Its grounds are the weakest of those that energy rests on: one modelled job makes the sum modelled.
    """
    total, kwh, co2_kg, cost = Use(), 0.0, 0.0, 0.0
    grounds = Grounds.MEASURED
    order = list(Grounds)
    for part in parts:
        single = site.footprint(part.use, gpu=part.gpu, grounds=part.grounds)
        total = total.plus(part.use)
        kwh, co2_kg, cost = kwh + single.kwh, co2_kg + single.co2_kg, cost + single.cost
        grounds = max(grounds, part.grounds, key=order.index)
    return Footprint(
        use=total,
        kwh=kwh,
        co2_kg=co2_kg,
        cost=cost,
        currency=site.rates.currency,
        grounds=grounds,
        g_per_kwh=site.grid.g_per_kwh,
        rates=site.rates_name,
    )


def run_footprint(study: StudyFolder, jobs: Iterable[Job], site: Site) -> Footprint | None:
    """What the jobs of one run used; None when nothing of it was recorded."""
    found = [use for job in jobs if (use := job_use(study.job(job.key))) is not None]
    return footprint_of(site, (part for use in found for part in parts_of(use))) if found else None


def study_footprint(
    name: str,
    plan: Plan,
    study: StudyFolder,
    site: Site,
    *,
    measuring: Measuring | None,
    reproduction: str,
) -> StudyFootprint:
    """
    What the recorded jobs of a plan used.

    Parameters
    ----------
    name
        Of the study.
    plan, study
        The jobs, and where their uses are written down.
    site
        Prices and grid.
    measuring
        How energy was measured.
    reproduction
        What it takes to do it once more, in words.
    """
    parts: dict[str, list[Part]] = {}
    for job in plan.jobs:
        found = job_use(study.job(job.key))
        if found is not None:
            parts[job.key] = list(parts_of(found))
    recorded = [job for job in plan.jobs if job.key in parts]

    def grouped(label: Callable[[Job], str]) -> dict[str, Footprint]:
        names = dict.fromkeys(label(job) for job in recorded)
        return {
            one: footprint_of(
                site, (part for job in recorded if label(job) == one for part in parts[job.key])
            )
            for one in names
        }

    return StudyFootprint(
        study=name,
        grid=site.grid,
        rates=site.rates,
        measuring=measuring,
        n_jobs=len(plan.jobs),
        n_recorded=len(recorded),
        by_kind=grouped(lambda job: job.kind.value),
        by_method=grouped(lambda job: job.method or "comparison"),
        reproduction=reproduction,
        total=footprint_of(site, (part for of_job in parts.values() for part in of_job)),
    )
