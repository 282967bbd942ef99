"""Tables of algorithms: their images and models, and the uploads they come by."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, declared_attr, mapped_column, relationship

from reseed.service.database.columns import Base, Noun, Stateful, owned_by, refers_to, state_column
from reseed.service.database.people import User
from reseed.service.domain.states import ArchiveState, UploadState


class Algorithm(Noun, Base):
    """What a participant develops: one image after another, each with its models."""

    __tablename__ = "algorithms"

    owner_pk: Mapped[UUID] = refers_to("users")
    slug: Mapped[str] = mapped_column(String(64), unique=True)
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(default="")

    owner: Mapped[User] = relationship(lazy="joined", innerjoin=True)


class Upload(Noun, Stateful, Base):
    """Bytes that arrive in parts; `offset` of `size_bytes` are there."""

    __tablename__ = "uploads"

    creator_pk: Mapped[UUID] = refers_to("users")
    filename: Mapped[str] = mapped_column(default="")
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    size_bytes: Mapped[int]
    offset: Mapped[int] = mapped_column(default=0)
    sha256: Mapped[str | None] = mapped_column(String(64))
    state: Mapped[UploadState] = mapped_column(state_column(UploadState), default=UploadState.OPEN)

    creator: Mapped[User] = relationship(lazy="joined", innerjoin=True)


class Archive(Noun, Stateful):
    """
    A tarball of an algorithm, made of an upload.

    `sha256` is of the tarball; it is there once the archive is ready.
    """

    algorithm_pk: Mapped[UUID] = owned_by("algorithms")
    creator_pk: Mapped[UUID] = refers_to("users")
    upload_pk: Mapped[UUID | None] = refers_to("uploads", nullable=True)
    comment: Mapped[str] = mapped_column(default="")
    state: Mapped[ArchiveState] = mapped_column(state_column(ArchiveState), default=ArchiveState.RECEIVED)
    sha256: Mapped[str | None] = mapped_column(String(64))
    size_bytes: Mapped[int | None]

    @declared_attr
    def algorithm(cls) -> Mapped[Algorithm]:  # noqa: N805  (SQLAlchemy calls it with the class)
        """That it is of."""
        return relationship(lazy="joined", innerjoin=True)

    @declared_attr
    def creator(cls) -> Mapped[User]:  # noqa: N805
        """Who uploaded it."""
        return relationship(lazy="joined", innerjoin=True)


class AlgorithmImage(Archive, Base):
    """
    A container image as `docker save` writes it.

    `digest` is of the image in it (sha256:…), by which it is always run; it is there once the archive
    is ready. An algorithm has each image once.
    """

    __tablename__ = "algorithm_images"
    __table_args__ = (UniqueConstraint("algorithm_pk", "digest"),)

    digest: Mapped[str | None] = mapped_column(String(71))
    labels: Mapped[dict[str, Any]] = mapped_column(default=dict)
    has_training: Mapped[bool] = mapped_column(default=False)


class AlgorithmModel(Archive, Base):
    """A tarball that is unpacked to /opt/ml/model: what one retraining gave."""

    __tablename__ = "algorithm_models"
    __table_args__ = (UniqueConstraint("algorithm_pk", "sha256"),)

    removed_at: Mapped[datetime | None]
