"""Routes of algorithms, and of the records of their images and models."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from reseed.service.api.asking import AskerHere, InstallationHere
from reseed.service.api.found import found_algorithm, found_row
from reseed.service.api.pagination import Page, PagingHere
from reseed.service.api.problem import Conflict, problems
from reseed.service.api.shapes import AlgorithmReference, Person, status_words
from reseed.service.api.text import Line, Prose, Slug, SlugInPath
from reseed.service.database.models import Algorithm, AlgorithmImage, AlgorithmModel, User
from reseed.service.database.transitions import record_event
from reseed.service.domain.permissions import Action
from reseed.service.security.authorisation import Asker, logged_in, require

router = APIRouter(tags=["algorithms"])

Archive = TypeVar("Archive", AlgorithmImage, AlgorithmModel)


class NewAlgorithm(BaseModel):
    """What an algorithm is called."""

    slug: Slug
    title: Line
    description: Prose = ""


class AlgorithmShape(BaseModel):
    """An algorithm."""

    api_url: str
    pk: UUID
    slug: str
    title: str
    description: str
    owner: Person
    created: datetime

    @classmethod
    def of(cls, algorithm: Algorithm, base_url: str) -> AlgorithmShape:
        """The JSON shape of a row."""
        return cls(
            api_url=f"{base_url}/api/v1/algorithms/{algorithm.slug}/",
            pk=algorithm.pk,
            slug=algorithm.slug,
            title=algorithm.title,
            description=algorithm.description,
            owner=Person.of(algorithm.owner),
            created=algorithm.created,
        )


class ArchiveShape(BaseModel):
    """The tarball of an image or a model."""

    pk: UUID
    api_url: str
    algorithm: AlgorithmReference
    creator: Person
    created: datetime
    comment: str
    import_status: str
    reason: str = Field(description="Why it is where it is; the rule that it broke.")
    sha256: str | None = Field(description="Of the tarball.")
    size_bytes: int | None
    upload: UUID | None = Field(description="That it was made of.")


class AlgorithmImageShape(ArchiveShape):
    """A container image of an algorithm."""

    digest: str | None = Field(description="By which the image is run.")
    labels: dict[str, str]
    has_training: bool = Field(description="Whether the service can retrain it.")

    @classmethod
    def of(cls, image: AlgorithmImage, base_url: str) -> AlgorithmImageShape:
        """The JSON shape of a row."""
        return cls(
            **_archive(image, f"{base_url}/api/v1/algorithms/images/{image.pk}/"),
            digest=image.digest,
            labels={str(key): str(value) for key, value in image.labels.items()},
            has_training=image.has_training,
        )


class AlgorithmModelShape(ArchiveShape):
    """A trained model of an algorithm."""

    @classmethod
    def of(cls, model: AlgorithmModel, base_url: str) -> AlgorithmModelShape:
        """The JSON shape of a row."""
        return cls(**_archive(model, f"{base_url}/api/v1/algorithms/models/{model.pk}/"))


def _archive(row: AlgorithmImage | AlgorithmModel, api_url: str) -> dict[str, object]:
    return {
        "pk": row.pk,
        "api_url": api_url,
        "algorithm": AlgorithmReference.of(row.algorithm),
        "creator": Person.of(row.creator),
        "created": row.created,
        "comment": row.comment,
        "import_status": status_words(row.state),
        "reason": row.reason,
        "sha256": row.sha256,
        "size_bytes": row.size_bytes,
        "upload": row.upload_pk,
    }


@router.get("/algorithms/", responses=problems(), operation_id="list_algorithms")
def algorithms(installation: InstallationHere, asker: AskerHere, paging: PagingHere) -> Page[AlgorithmShape]:
    """Your algorithms."""
    logged_in(asker)
    base_url = installation.settings.base_url
    with installation.database.read() as session:
        require(session, asker, Action.VIEW_ALGORITHM, owners=_self(asker))
        statement = select(Algorithm).where(_mine(asker)).order_by(Algorithm.created.desc())
        return paging.page(session, statement, lambda row: AlgorithmShape.of(row, base_url))


@router.post("/algorithms/", status_code=201, responses=problems(409), operation_id="create_algorithm")
def new_algorithm(wanted: NewAlgorithm, installation: InstallationHere, asker: AskerHere) -> AlgorithmShape:
    """Make an algorithm, to which images and models can then be uploaded."""
    logged_in(asker)
    with installation.database.write() as session:
        require(session, asker, Action.CREATE_ALGORITHM)
        if session.scalar(select(Algorithm.pk).where(Algorithm.slug == wanted.slug)) is not None:
            raise Conflict(f"the name {wanted.slug!r} is taken")
        algorithm = Algorithm(owner=session.get_one(User, asker.pk), **wanted.model_dump())
        session.add(algorithm)
        session.flush()
        record_event(session, algorithm, "created", actor=asker.pk)
        return AlgorithmShape.of(algorithm, installation.settings.base_url)


@router.get("/algorithms/images/", responses=problems(), operation_id="list_algorithm_images")
def images(
    installation: InstallationHere,
    asker: AskerHere,
    paging: PagingHere,
    algorithm: SlugInPath | None = None,
) -> Page[AlgorithmImageShape]:
    """The images of your algorithms, newest first."""
    base_url = installation.settings.base_url
    with installation.database.read() as session:
        statement = _own_archives(session, asker, AlgorithmImage, algorithm)
        return paging.page(session, statement, lambda row: AlgorithmImageShape.of(row, base_url))


@router.get("/algorithms/images/{pk}/", responses=problems(), operation_id="get_algorithm_image")
def image(pk: UUID, installation: InstallationHere, asker: AskerHere) -> AlgorithmImageShape:
    """One image of yours."""
    logged_in(asker)
    with installation.database.read() as session:
        found = found_row(session, AlgorithmImage, pk, "image")
        _require_own(session, asker, found, f"there is no image {pk}")
        return AlgorithmImageShape.of(found, installation.settings.base_url)


@router.get("/algorithms/models/", responses=problems(), operation_id="list_algorithm_models")
def models(
    installation: InstallationHere,
    asker: AskerHere,
    paging: PagingHere,
    algorithm: SlugInPath | None = None,
) -> Page[AlgorithmModelShape]:
    """The models of your algorithms, newest first."""
    base_url = installation.settings.base_url
    with installation.database.read() as session:
        statement = _own_archives(session, asker, AlgorithmModel, algorithm)
        return paging.page(session, statement, lambda row: AlgorithmModelShape.of(row, base_url))


@router.get("/algorithms/models/{pk}/", responses=problems(), operation_id="get_algorithm_model")
def model(pk: UUID, installation: InstallationHere, asker: AskerHere) -> AlgorithmModelShape:
    """One model of yours."""
    logged_in(asker)
    with installation.database.read() as session:
        found = found_row(session, AlgorithmModel, pk, "model")
        _require_own(session, asker, found, f"there is no model {pk}")
        return AlgorithmModelShape.of(found, installation.settings.base_url)


def _own_archives(
    session: Session, asker: Asker, table: type[Archive], algorithm: str | None
) -> Select[Archive]:
    """Images or models of the person's algorithms, or of one of them; newest first."""
    logged_in(asker)
    require(session, asker, Action.VIEW_ALGORITHM, owners=_self(asker))
    statement = select(table).join(table.algorithm).where(_mine(asker)).order_by(table.created.desc())
    return statement if algorithm is None else statement.where(Algorithm.slug == algorithm)


# After the routes above, which `{slug}` would take for algorithms of the names images and models.
@router.get("/algorithms/{slug}/", responses=problems(), operation_id="get_algorithm")
def algorithm(slug: SlugInPath, installation: InstallationHere, asker: AskerHere) -> AlgorithmShape:
    """One algorithm of yours."""
    with installation.database.read() as session:
        found = found_algorithm(session, asker, slug, Action.VIEW_ALGORITHM)
        return AlgorithmShape.of(found, installation.settings.base_url)


def _self(asker: Asker) -> list[UUID]:
    return [] if asker.pk is None else [asker.pk]


def _mine(asker: Asker) -> ColumnElement[bool]:
    return Algorithm.pk.is_not(None) if asker.is_administrator else Algorithm.owner_pk == asker.pk


def _require_own(session: Session, asker: Asker, row: AlgorithmImage | AlgorithmModel, missing: str) -> None:
    owners = [row.algorithm.owner_pk]
    require(session, asker, Action.VIEW_ALGORITHM, owners=owners, hidden=missing)
