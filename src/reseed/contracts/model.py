"""What every contract has in common: frozen, and closed to unknown keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Contract(BaseModel):
    """A document or message that crosses a process, container or disk border."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"
METRIC_KEY_PATTERN = r"^[a-z][a-z0-9_]{0,63}$"
SHA256_PATTERN = r"^[0-9a-f]{64}$"
SLUG_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
JOB_PK_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$"

PATTERN_IN_WORDS = {
    NAME_PATTERN: "a name of at most 64 lower case letters, digits, - and _, a letter or digit first",
    METRIC_KEY_PATTERN: "a name of at most 64 lower case letters, digits and _, a letter first",
    SHA256_PATTERN: "a SHA-256 digest (64 hexadecimal digits)",
    SLUG_PATTERN: "a slug (lower case letters and digits, words joined by -)",
    JOB_PK_PATTERN: "an identifier of at most 128 letters, digits, -, _ and .",
}
"""What each pattern asks for, as a person is told who breaks it."""

Name = Annotated[str, Field(pattern=NAME_PATTERN, description=PATTERN_IN_WORDS[NAME_PATTERN])]
"""The name of a study, method, algorithm, task or dataset; safe as a file name."""

MetricKey = Annotated[str, Field(pattern=METRIC_KEY_PATTERN)]
"""A key in metrics.json that a platform can address by a dotted path."""

Sha256 = Annotated[str, Field(pattern=SHA256_PATTERN)]
"""A SHA-256 digest in hexadecimal."""
