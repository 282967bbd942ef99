"""Why a job will run: what has changed since a job of that name was last done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from reseed.contracts.errors import UserError
from reseed.contracts.job import Job, JobRecord, JobState
from reseed.documents.reading import read_json
from reseed.orchestration.faults import failed_for_good
from reseed.orchestration.plan import Plan
from reseed.orchestration.state import job_record
from reseed.orchestration.study_folder import StudyFolder


def named_job(plan: Plan, name: str) -> Job:
    """
    The job of a plan with that name, or whose key starts so.

    Raises
    ------
    UserError
        When there is none, or several.
    """
    found = [job for job in plan.jobs if job.name == name or (len(name) >= 6 and job.key.startswith(name))]
    if len(found) != 1:
        what = "several jobs match" if found else "no job of this study is named"
        raise UserError(f"{what} {name!r}; `reseed plan STUDY.yaml` lists them")
    return found[0]


def explanation(job: Job, plan: Plan, study: StudyFolder) -> list[str]:
    """
    Why a job will run, or why not, one reason a line.

    A job runs when no job with its key has succeeded. The key is compared, part by part, with the
    latest earlier job of the same name; a need that has changed is followed to what changed there.
    """
    record = job_record(study, job)
    if record.state is JobState.SUCCEEDED:
        return [f"{job.name} is done and will not run: its result is in {study.job(job.key).output}"]
    if failed_for_good(record, job, study.job(job.key).specification):
        first = f"{job.name} has failed and will not run again by itself; --retry-failed tries it again"
    else:
        first = f"{job.name} will run"
    lines = [first, *_own_history(record)]
    earlier = _earlier_jobs(study)
    if job.name not in earlier:
        return [*lines, "no job of that name has been done in this study folder"]
    return lines + [f"changed: {reason}" for reason in _changes(job, plan.by_key(), earlier)]


def _own_history(record: JobRecord) -> Iterator[str]:
    for attempt in record.attempts:
        if attempt.ended is not None:
            yield f"attempt {attempt.number} ended without a result: {attempt.reason}"
    if record.state is JobState.RUNNING:
        yield "an earlier command has started it: it is taken over, or tried again when it has ended"


def _earlier_jobs(study: StudyFolder) -> dict[str, Job]:
    """By name, the job that was last started."""
    latest: dict[str, tuple[float, Job]] = {}
    for path in study.jobs.glob("*/job.json"):
        try:
            job = read_json(path, Job)
        except (UserError, ValidationError):
            continue  # written by another version: it explains nothing
        started = path.stat().st_mtime
        if job.name not in latest or started > latest[job.name][0]:
            latest[job.name] = (started, job)
    return {name: job for name, (_, job) in latest.items()}


def _changes(job: Job, jobs: Mapping[str, Job], earlier: Mapping[str, Job]) -> list[str]:
    before = earlier.get(job.name)
    if before is None:
        return [f"{job.name} is new"]
    if before.key == job.key:
        return []
    reasons = []
    if before.code != job.code:
        reasons.append(f"the program of {job.role}: {before.code[:12]} is now {job.code[:12]}")
    if before.data != job.data:
        reasons.append(f"the data that {job.name} reads")
    for what, old, new in (
        ("setting", before.settings, job.settings),
        ("variable", before.environment, job.environment),
        ("config file", before.config, job.config),
    ):
        reasons += _differences(what, old, new)
    for key in job.needs:
        reasons += _changes(jobs[key], jobs, earlier)
    removed = len(before.needs) - len(job.needs)
    if not reasons and removed > 0:
        reasons.append(f"{removed} of its inputs are gone")
    return list(dict.fromkeys(reasons))


def _differences(what: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if what == "config file":
            yield f"{what} {key}"
        else:
            yield f"{what} {key}: {_value_text(before)} is now {_value_text(after)}"


def _value_text(value: str | None) -> str:
    """A value as it is told; an empty one is there all the same."""
    return "absent" if value is None else value or "''"
