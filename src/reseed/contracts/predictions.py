"""predictions.json: the jobs of one submission, as the platform hands them to the evaluation container."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from reseed.contracts.model import JOB_PK_PATTERN
from reseed.contracts.sockets import SocketValue


class PredictionJob(BaseModel):
    """One case of one submission: what went in, what came out, and whether it went well."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    pk: str = Field(pattern=JOB_PK_PATTERN)
    inputs: tuple[SocketValue, ...]
    outputs: tuple[SocketValue, ...]
    status: str = "Succeeded"


_JOBS = TypeAdapter(list[PredictionJob])


def prediction_jobs(document: Any) -> list[PredictionJob]:
    """
    The jobs in a parsed predictions.json, in no particular order.

    Raises
    ------
    pydantic.ValidationError
        When the document is not a list of jobs.
    """
    return _JOBS.validate_python(document)
