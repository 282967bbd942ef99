"""What every contract has in common: frozen, and closed to unknown keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Contract(BaseModel):
    """A document or message that crosses a process, container or disk border."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Name = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$",
        description="Lower case letters, digits, - and _; starts with a letter or digit; at most 64.",
    ),
]
"""The name of a study, method, algorithm, task or dataset; safe as a file name."""

MetricKey = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""A key in metrics.json that a platform can address by a dotted path."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 digest in hexadecimal."""
