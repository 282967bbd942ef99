"""Settings of the service, read from the environment by entry points only."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from reseed.contracts.errors import UserError
from reseed.contracts.model import Contract
from reseed.documents.reading import validation_lines

PREFIX = "RESEED_"
MINIMUM_SECRET_CHARACTERS = 32
_GIB = 1 << 30
# As examples, tutorials and this project's own documentation write them.
_KNOWN_SECRETS = ("changeme", "change-me", "secret", "default", "example", "password", "insecure", "reseed")


class InvalidSettings(UserError):
    """An environment variable of the service is missing or breaks its rule."""


class ServiceSettings(Contract):
    """
    Everything about one installation; field `x_y` is the variable `RESEED_X_Y`.

    Web and worker processes of one installation share all of them.
    """

    secret_key: str = Field(repr=False, description="Signs cookies; at least 32 characters, random.")
    data_dir: Path = Field(description="Folder of uploads, images, models and results.")
    database_url: str = Field(
        default="", repr=False, description="Empty for SQLite in the data folder, or postgresql+psycopg://…"
    )
    base_url: str = Field(
        default="http://localhost:8000", pattern=r"^https?://[^/\s]+$", description="As browsers see it."
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(), description="Addresses or networks whose X-Forwarded-… headers are believed."
    )
    max_body_bytes: int = Field(default=2 << 20, ge=1024, description="Of a request that is not an upload.")
    max_image_bytes: int = Field(default=10 * _GIB, ge=1)
    max_model_bytes: int = Field(default=10 * _GIB, ge=1)
    max_unpacked_bytes: int = Field(default=40 * _GIB, ge=1, description="Of an image or a model, unpacked.")
    quota_bytes: int = Field(default=200 * _GIB, ge=1, description="What one user may keep.")
    upload_expiry_hours: int = Field(default=48, ge=1, description="After which an unfinished upload goes.")
    retention_days: int = Field(
        default=365, ge=0, description="For outputs and logs of ended submissions; 0 keeps them."
    )
    session_hours: int = Field(default=12, ge=1)
    requests_per_minute: int = Field(default=600, ge=1, description="Of one user or one address.")
    writes_per_minute: int = Field(default=60, ge=1, description="Of one user: requests that change things.")
    logins_per_quarter_hour: int = Field(default=10, ge=1, description="Failed ones, of one user name.")
    lease_s: int = Field(default=60, ge=5, description="Without a heartbeat this long, a job is taken back.")

    @field_validator("secret_key")
    @classmethod
    def _secret_is_secret(cls, value: str) -> str:
        if len(value) < MINIMUM_SECRET_CHARACTERS:
            raise ValueError(f"must have at least {MINIMUM_SECRET_CHARACTERS} characters, got {len(value)}")
        distinct = len(set(value))
        if distinct < 10 or any(value.lower().startswith(known) for known in _KNOWN_SECRETS):
            raise ValueError("is a default or easily guessed; make one with `openssl rand -hex 32`")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies_are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ipaddress.ip_network(network, strict=False)
        return value

    @field_validator("database_url")
    @classmethod
    def _database_is_known(cls, value: str, info: ValidationInfo) -> str:
        if not value:
            folder = info.data.get("data_dir")
            return f"sqlite:///{folder}/reseed.sqlite3"
        scheme, separator, rest = value.partition("://")
        if scheme in {"postgresql", "postgres"}:
            scheme = "postgresql+psycopg"
        if not separator or scheme not in {"sqlite", "postgresql+psycopg"}:
            raise ValueError("must begin with sqlite:/// or postgresql://")
        return f"{scheme}://{rest}"

    @property
    def is_https(self) -> bool:
        """Whether browsers reach the service by https, so that cookies may be Secure."""
        return self.base_url.startswith("https://")


Variable = Annotated[str, "The name of an environment variable."]


def settings_from(environment: Mapping[str, str]) -> ServiceSettings:
    """
    The settings that an environment holds.

    Raises
    ------
    InvalidSettings
        One line per mistake, with the name of the variable. The value of a secret is never in it.
    """
    document: dict[str, object] = {}
    for name in ServiceSettings.model_fields:
        value = environment.get(variable_of(name))
        if value:
            document[name] = value.replace(",", " ").split() if name == "trusted_proxies" else value
    for name in ("secret_key", "data_dir"):
        if name not in document:
            raise InvalidSettings(f"{variable_of(name)} is not set: {_WHY[name]}")
    document.setdefault("database_url", "")
    try:
        return ServiceSettings.model_validate(document)
    except ValidationError as error:
        raise InvalidSettings("\n".join(_lines(error))) from None


_WHY = {
    "secret_key": "it signs the cookies; make one with `openssl rand -hex 32` and keep it",
    "data_dir": "it names the folder in which uploads and results are kept",
}


def variable_of(name: str) -> Variable:
    """The environment variable of a field."""
    return PREFIX + name.upper()


def _lines(error: ValidationError) -> list[str]:
    lines = []
    for detail in error.errors(include_url=False, include_input=False):
        name = variable_of(str(detail["loc"][0]))
        if detail["type"] == "value_error":
            reason = str(detail["ctx"]["error"]) if "ctx" in detail else detail["msg"]
            lines.append(f"{name}: {reason}")
        else:
            lines.append(f"{name}: {detail['msg'][:1].lower()}{detail['msg'][1:]}")
    return lines or validation_lines("settings", error)
