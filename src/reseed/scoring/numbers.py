"""Numbers that a submission gives for its cases."""

from __future__ import annotations

import math
from typing import Any, Protocol

from reseed.contracts.containers import SubmissionPaths
from reseed.contracts.errors import InvalidPrediction, UserError
from reseed.contracts.predictions import PredictionJob
from reseed.contracts.sockets import Socket
from reseed.documents.mistakes import shown_value
from reseed.documents.reading import json_document
from reseed.scoring.submission import one_of_socket, output_file

MAX_BYTES = 65_536
"""A file that should hold one number, and is larger, holds something else."""


class Limits(Protocol):
    """What a task says a number must be between; None is no limit."""

    @property
    def minimum(self) -> float | None:
        """The smallest number allowed."""

    @property
    def maximum(self) -> float | None:
        """The largest number allowed."""


def predicted_number(
    submission: SubmissionPaths,
    job: PredictionJob,
    socket: Socket,
    rule: Limits,
    *,
    case_id: str,
) -> float:
    """
    The number that a job wrote to an output socket.

    Raises
    ------
    InvalidPrediction
        When the socket or its file is missing, the file is not JSON, or what it holds is not a
        finite number within the limits of the task.
    """
    value = predicted_value(submission, job, socket, case_id=case_id, expected="one number")
    return checked_number(value, socket.slug, rule, case_id=case_id)


def predicted_value(
    submission: SubmissionPaths, job: PredictionJob, socket: Socket, *, case_id: str, expected: str
) -> Any:
    """
    The parsed JSON that a job wrote to an output socket.

    Raises
    ------
    InvalidPrediction
        When the socket or its file is missing, the file is too large for what is expected, or not
        JSON.
    """
    try:
        one_of_socket(job.outputs, socket.slug, place="output")
    except UserError as error:
        raise InvalidPrediction(f"{error} (job {job.pk!r})", case_id=case_id) from None
    path = output_file(submission, job, socket.relative_path, case_id=case_id)
    if path.stat().st_size > MAX_BYTES:
        raise InvalidPrediction(
            f"{socket.slug} must be {expected}, got a file of {path.stat().st_size} bytes", case_id=case_id
        )
    try:
        return json_document(path)
    except UserError as error:
        raise InvalidPrediction(
            f"{socket.slug}: {str(error).removeprefix(f'{path}: ')}", case_id=case_id
        ) from None


def checked_number(value: object, name: str, rule: Limits, *, case_id: str) -> float:
    """
    A finite number within the limits of a task.

    Raises
    ------
    InvalidPrediction
        When it is something else, in a line about `name`.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidPrediction(f"{name} must be a number, got {shown_value(value)}", case_id=case_id)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidPrediction(f"{name} must be a finite number", case_id=case_id)
    if rule.minimum is not None and number < rule.minimum:
        raise InvalidPrediction(f"{name} must be at least {rule.minimum:g}, got {number!r}", case_id=case_id)
    if rule.maximum is not None and number > rule.maximum:
        raise InvalidPrediction(f"{name} must be at most {rule.maximum:g}, got {number!r}", case_id=case_id)
    return number
