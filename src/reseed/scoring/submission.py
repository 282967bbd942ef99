"""The jobs of one submission: read from predictions.json, and matched to the cases of the reference."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from reseed.contracts.containers import SubmissionPaths
from reseed.contracts.errors import InvalidDocument, InvalidPrediction
from reseed.contracts.predictions import PredictionJob, prediction_jobs
from reseed.contracts.sockets import SocketValue
from reseed.contracts.task import CaseMatch
from reseed.documents.reading import json_document, validation_lines

SUCCEEDED = "Succeeded"
IMAGE_SUFFIXES = (".nii.gz", ".nii", ".mha", ".mhd", ".tiff", ".tif", ".png")


def submitted_jobs(submission: SubmissionPaths) -> list[PredictionJob]:
    """
    The jobs in predictions.json, in the order of the file, which means nothing.

    Raises
    ------
    UserError
        When the file cannot be read, or is not a list of jobs.
    """
    document = json_document(submission.predictions)
    try:
        jobs = prediction_jobs(document)
    except ValidationError as error:
        raise InvalidDocument(*validation_lines(str(submission.predictions), error, document)) from None
    seen: set[str] = set()
    for job in jobs:
        if job.pk in seen:
            raise InvalidDocument(f"{submission.predictions}: job {job.pk!r} is given twice")
        seen.add(job.pk)
    return jobs


def job_by_case(
    jobs: Iterable[PredictionJob], match: CaseMatch | Mapping[str, CaseMatch], case_ids: Sequence[str]
) -> dict[str, PredictionJob]:
    """
    The one job of every case, in the order of `case_ids`.

    `match` says how a job tells its case: one rule for all, or one for each job by its pk.

    Raises
    ------
    InvalidPrediction
        When a job is of no case of the reference, a case has two jobs or none, or a job did not
        succeed.
    InvalidDocument
        When a job does not say which case it is.
    """
    known = set(case_ids)
    found: dict[str, PredictionJob] = {}
    for job in sorted(jobs, key=lambda job: job.pk):
        case = case_of(job, match if isinstance(match, CaseMatch) else match[job.pk])
        if case not in known:
            raise InvalidPrediction(_unknown_case(job, case, case_ids), case_id=case)
        if case in found:
            raise InvalidPrediction(
                f"predicted twice, by the jobs {found[case].pk!r} and {job.pk!r}", case_id=case
            )
        found[case] = job
    missing = [case for case in case_ids if case not in found]
    if missing:
        more = f"; it is one of {len(missing)} such cases" if len(missing) > 1 else ""
        raise InvalidPrediction(f"has no prediction{more}", case_id=missing[0])
    for case in case_ids:
        if found[case].status != SUCCEEDED:
            raise InvalidPrediction(
                f"job {found[case].pk!r} has status {found[case].status!r}, not {SUCCEEDED!r}", case_id=case
            )
    return {case: found[case] for case in case_ids}


def case_of(job: PredictionJob, match: CaseMatch) -> str:
    """
    The id of a job's case: the name of an input image without its suffix, or an input's value.

    Raises
    ------
    InvalidDocument
        When the input is not there, is there twice, or holds no id.
    """
    value = one_of_socket(job.inputs, match.socket, place=f"job {job.pk!r}: input")
    if match.by == "image_name":
        if value.image is None:
            raise InvalidDocument(
                f"job {job.pk!r}: input {match.socket!r} has no image, whose name would tell the case"
            )
        name = value.image.name.rsplit("/", maxsplit=1)[-1]
        suffix = next((suffix for suffix in IMAGE_SUFFIXES if name.lower().endswith(suffix)), "")
        stem = name[: len(name) - len(suffix)]
        if not stem.endswith(match.ending):
            raise InvalidDocument(
                f"job {job.pk!r}: the image of input {match.socket!r} must be named <case>{match.ending}, "
                f"got {name!r}"
            )
        return stem.removesuffix(match.ending)
    if isinstance(value.value, bool) or not isinstance(value.value, str | int):
        raise InvalidDocument(
            f"job {job.pk!r}: input {match.socket!r} must hold the case id as text, got {value.value!r}"
        )
    return str(value.value)


def one_of_socket(values: Iterable[SocketValue], slug: str, *, place: str) -> SocketValue:
    """
    The value of a socket, which must be there exactly once.

    Raises
    ------
    InvalidDocument
        When it is not, in a line that begins with `place`.
    """
    given = list(values)
    found = [value for value in given if value.described_by.slug == slug]
    if len(found) == 1:
        return found[0]
    if found:
        raise InvalidDocument(f"{place} {slug!r} is given {len(found)} times")
    slugs = ", ".join(value.described_by.slug for value in given) or "none"
    raise InvalidDocument(f"{place} {slug!r} is missing; given: {slugs}")


def _unknown_case(job: PredictionJob, case: str, case_ids: Sequence[str]) -> str:
    near = difflib.get_close_matches(case, case_ids, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"not a case of the reference standard (job {job.pk!r}){hint}"


def output_file(submission: SubmissionPaths, job: PredictionJob, relative_path: str, *, case_id: str) -> Path:
    """
    The path of one output of one job, which must be an ordinary file inside the submission.

    Raises
    ------
    InvalidPrediction
        When it is not there, is something else, or leads outside.
    """
    path = submission.output_of(job.pk, relative_path)
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(submission.folder)):
        raise InvalidPrediction(f"output {relative_path!r} is a link out of the submission", case_id=case_id)
    try:
        is_file = path.is_file()
    except OSError as error:  # a folder on the way that may not be entered
        raise InvalidPrediction(
            f"output {relative_path!r} cannot be read: {error.strerror}", case_id=case_id
        ) from None
    if is_file:
        return path
    if path.is_symlink():
        raise InvalidPrediction(f"output {relative_path!r} is a link to no file", case_id=case_id)
    if path.exists():
        raise InvalidPrediction(f"output {relative_path!r} is not an ordinary file", case_id=case_id)
    raise InvalidPrediction(f"output file {relative_path!r} is missing (job {job.pk!r})", case_id=case_id)
