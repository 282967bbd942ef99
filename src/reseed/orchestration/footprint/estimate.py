"""What a plan will take: from jobs of the same kind that were measured, else from declared hours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reseed.contracts.errors import UserError
from reseed.contracts.footprint import ExpectedUse, Footprint, Grounds, JobUse, Use
from reseed.contracts.job import Job, JobKind
from reseed.contracts.manifest import Stage
from reseed.documents.reading import read_json
from reseed.orchestration.footprint.rates import Site
from reseed.orchestration.footprint.recorder import job_use
from reseed.orchestration.footprint.totals import Part, footprint_of, parts_of
from reseed.orchestration.plan import Plan
from reseed.orchestration.study_folder import StudyFolder

STAGES: dict[JobKind, Stage] = {
    JobKind.PREPROCESS: "preprocess",
    JobKind.TRAIN: "train",
    JobKind.PREDICT: "inference",
}

Declared = Mapping[tuple[str, Stage], ExpectedUse]
"""Hours that a study file or a manifest declares, by method and entry point."""

_ENOUGH = 20
"""Finished jobs of a kind and method whose mean an estimate takes."""


@dataclass(frozen=True)
class Estimate:
    """
    What the jobs of a plan will take together.

    Attributes
    ----------
    footprint
        Of the jobs of which something is known.
    n_jobs, n_unknown
        Jobs in all, and those of which nothing is known, by kind.
    n_measured, n_declared
        How many of the known ones rest on a measured job, and on declared hours.
    """

    footprint: Footprint
    n_jobs: Counter[JobKind]
    n_unknown: Counter[JobKind]
    n_measured: int
    n_declared: int


def estimate(plan: Plan, study: StudyFolder, site: Site, declared: Declared) -> Estimate:
    """
    What it takes to do every job of a plan once.

    Parameters
    ----------
    plan
        All jobs, done or not: what a reproduction would cost.
    study
        Where finished jobs have written down what they used.
    site
        Prices, powers and grid.
    declared
        Hours of one job, where nothing was measured.
    """
    known = _measured(plan, study)
    if any((job.kind, job.method) not in known for job in plan.jobs):
        known = _measured_before(plan, study) | known
    parts: list[Part] = []
    counts: Counter[str] = Counter()
    unknown: Counter[JobKind] = Counter()
    for job in plan.jobs:
        measured = known.get((job.kind, job.method))
        if measured is not None:
            counts["measured"] += 1
            parts.append(measured)
            continue
        expected = declared.get((job.method or "", STAGES[job.kind])) if job.kind in STAGES else None
        if expected is not None:
            counts["declared"] += 1
            parts.append(_declared(job, expected, site))
        else:
            unknown[job.kind] += 1
    return Estimate(
        footprint=footprint_of(site, parts),
        n_jobs=Counter(job.kind for job in plan.jobs),
        n_unknown=unknown,
        n_measured=counts["measured"],
        n_declared=counts["declared"],
    )


def summed(site: Site, found: Sequence[Estimate]) -> Estimate:
    """Several estimates as one; the grounds are the weakest of theirs."""
    order = list(Grounds)
    total = footprint_of(site, ())
    use, kwh, co2_kg, cost, grounds = total.use, 0.0, 0.0, 0.0, Grounds.MEASURED
    n_jobs: Counter[JobKind] = Counter()
    n_unknown: Counter[JobKind] = Counter()
    for each in found:
        part = each.footprint
        use, kwh, co2_kg, cost = use.plus(part.use), kwh + part.kwh, co2_kg + part.co2_kg, cost + part.cost
        grounds = max(grounds, part.grounds, key=order.index)
        n_jobs += each.n_jobs
        n_unknown += each.n_unknown
    fields = {"use": use, "kwh": kwh, "co2_kg": co2_kg, "cost": cost, "grounds": grounds}
    return Estimate(
        footprint=total.model_copy(update=fields),
        n_jobs=n_jobs,
        n_unknown=n_unknown,
        n_measured=sum(each.n_measured for each in found),
        n_declared=sum(each.n_declared for each in found),
    )


def _measured(plan: Plan, study: StudyFolder) -> dict[tuple[JobKind, str | None], Part]:
    """The mean use of the finished jobs of a kind and method, their last attempts alone."""
    found: dict[tuple[JobKind, str | None], list[JobUse]] = {}
    if not study.jobs.is_dir():
        return {}
    for job in plan.jobs:
        if len(found.get((job.kind, job.method), ())) >= _ENOUGH:
            continue
        folder = study.job(job.key)
        use = job_use(folder) if folder.output.is_dir() else None
        if use is not None and use.attempts:
            found.setdefault((job.kind, job.method), []).append(use)
    return {key: _mean(uses) for key, uses in found.items()}


def _measured_before(plan: Plan, study: StudyFolder) -> dict[tuple[JobKind, str | None], Part]:
    """As `_measured`, of jobs with the same settings that another program, or other data, had."""
    wanted = {(job.kind, job.method): job.settings for job in plan.jobs}
    found: dict[tuple[JobKind, str | None], list[JobUse]] = {}
    for path in sorted(study.jobs.glob("*/footprint.json")):
        folder = study.job(path.parent.name)
        try:
            job = read_json(folder.specification, Job)
        except UserError:
            continue  # of another version, or half written: it tells nothing
        key, use = (job.kind, job.method), job_use(folder)
        if wanted.get(key) == job.settings and use is not None and use.attempts and folder.output.is_dir():
            found.setdefault(key, []).append(use)
    return {key: _mean(uses[-_ENOUGH:]) for key, uses in found.items()}


def _mean(uses: list[JobUse]) -> Part:
    last = [list(parts_of(use))[-1] for use in uses]
    busy = [part.use.cpu_busy_hours for part in last]
    fields = ("wall_hours", "cpu_hours", "gpu_hours", "cpu_kwh", "gpu_kwh", "ram_kwh")
    mean = {name: sum(getattr(part.use, name) for part in last) / len(last) for name in fields}
    known = [hours for hours in busy if hours is not None]
    use = Use(**mean, cpu_busy_hours=sum(known) / len(known) if len(known) == len(busy) else None)
    order = list(Grounds)
    return Part(use, last[-1].gpu, max((part.grounds for part in last), key=order.index))


def _declared(job: Job, expected: ExpectedUse, site: Site) -> Part:
    use = site.modelled(
        wall_hours=expected.hours,
        n_cpus=job.resources.cpus,
        n_gpus=expected.n_gpus if expected.gpu else 0,
        gpu=expected.gpu,
    )
    return Part(use, expected.gpu, Grounds.MODELLED)
