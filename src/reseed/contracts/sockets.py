"""Sockets and their values: what goes into and comes out of an algorithm, in the platform's own shape."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from reseed.contracts.model import SLUG_PATTERN, Contract

SuperKind = Literal["Image", "Value", "File"]


class Socket(Contract):
    """One input or output of an algorithm (older platforms call it interface)."""

    slug: str = Field(pattern=SLUG_PATTERN)
    title: str = ""
    kind: str = Field(description="The platform's kind, for instance Image, Segmentation, Float, Anything.")
    super_kind: SuperKind
    relative_path: str = Field(description="Below /input or /output: images/<dir>, or <name>.json.")

    @field_validator("relative_path")
    @classmethod
    def _stays_inside(cls, value: str) -> str:
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"must be a path below /input or /output, got {value!r}")
        return value

    @model_validator(mode="after")
    def _path_fits_kind(self) -> Self:
        parts = PurePosixPath(self.relative_path).parts
        if self.super_kind == "Image" and (parts[0] != "images" or len(parts) != 2):
            raise ValueError(f"relative_path of an Image must be images/<folder>, got {self.relative_path!r}")
        if self.super_kind == "Value" and not self.relative_path.endswith(".json"):
            raise ValueError(f"relative_path of a Value must end in .json, got {self.relative_path!r}")
        return self


class _PlatformModel(BaseModel):
    """What a platform writes: it may carry keys we do not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class SocketImage(_PlatformModel):
    """The image behind a socket value: only its name tells which case it is."""

    pk: int | str | None = None
    name: str


class PlatformSocket(_PlatformModel):
    """A socket as a platform writes it."""

    slug: str
    title: str = ""
    kind: str = ""
    super_kind: str = ""
    relative_path: str


class SocketValue(_PlatformModel):
    """
    One element of inputs.json, or of the inputs and outputs of a prediction.

    Newer platforms write `socket`, older ones `interface`; the object is the same.
    """

    pk: int | str | None = None
    value: Any = None
    file: str | None = None
    image: SocketImage | None = None
    socket: PlatformSocket | None = None
    interface: PlatformSocket | None = None

    @model_validator(mode="after")
    def _has_a_socket(self) -> Self:
        if self.socket is None and self.interface is None:
            raise ValueError("has neither 'socket' nor 'interface'")
        return self

    @property
    def described_by(self) -> PlatformSocket:
        """The socket of this value, under whichever key it came."""
        described = self.socket or self.interface
        if described is None:  # the validator refuses it before anyone can ask
            raise ValueError("has neither 'socket' nor 'interface'")
        return described

    @classmethod
    def of(cls, socket: Socket, *, value: Any = None, image_name: str | None = None) -> Self:
        """A value of a socket, written under both keys so that old and new readers find it."""
        described = PlatformSocket(**socket.model_dump())
        image = None if image_name is None else SocketImage(pk=image_name.split(".")[0], name=image_name)
        return cls(value=value, image=image, socket=described, interface=described)
