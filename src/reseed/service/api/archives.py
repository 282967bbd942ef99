"""Routes that make an algorithm's image or model of a finished upload, and that remove one."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from reseed.service.api.algorithms import AlgorithmImageShape, AlgorithmModelShape, Archive
from reseed.service.api.asking import AskerHere, InstallationHere
from reseed.service.api.found import found_algorithm, found_row
from reseed.service.api.problem import Conflict, problems
from reseed.service.api.text import Prose, Slug
from reseed.service.database.jobs import enqueue
from reseed.service.database.models import AlgorithmImage, AlgorithmModel, Job, Upload
from reseed.service.database.transitions import enter, transition
from reseed.service.domain.permissions import Action
from reseed.service.domain.states import ArchiveState, UploadState
from reseed.service.images.keeping import needed_by
from reseed.service.security.authorisation import Asker, logged_in, require
from reseed.service.settings import ServiceSettings
from reseed.service.uploads.refusals import TooLarge
from reseed.service.worker.checking import CHECK_IMAGE, CHECK_MODEL

router = APIRouter(prefix="/algorithms", tags=["algorithms"])

# Before jobs that run containers: a check is short, and submissions wait for it.
_PRIORITY = 50


class NewArchive(BaseModel):
    """Which upload becomes an image or a model, and of which algorithm."""

    algorithm: Slug
    upload: UUID = Field(description="A finished upload of yours; it can be used once.")
    comment: Prose = ""


@router.post("/images/", status_code=201, responses=problems(409, 413), operation_id="create_algorithm_image")
def create_image(wanted: NewArchive, installation: InstallationHere, asker: AskerHere) -> AlgorithmImageShape:
    """Make an image of an upload; it is checked next, and ready or refused with the reasons after that."""
    logged_in(asker)
    with installation.database.write() as session:
        image = new_image(session, asker, wanted, installation.settings)
        return AlgorithmImageShape.of(image, installation.settings.base_url)


@router.post("/models/", status_code=201, responses=problems(409, 413), operation_id="create_algorithm_model")
def create_model(wanted: NewArchive, installation: InstallationHere, asker: AskerHere) -> AlgorithmModelShape:
    """Make a model of an upload; it is checked next, and ready or refused with the reasons after that."""
    logged_in(asker)
    with installation.database.write() as session:
        model = new_model(session, asker, wanted, installation.settings)
        return AlgorithmModelShape.of(model, installation.settings.base_url)


@router.delete(
    "/images/{pk}/", status_code=204, responses=problems(409), operation_id="remove_algorithm_image"
)
def remove_image(pk: UUID, installation: InstallationHere, asker: AskerHere) -> None:
    """Remove an image of yours that no submission needs: none is under way or was evaluated with it."""
    logged_in(asker)
    with installation.database.write() as session:
        remove_archive(session, asker, AlgorithmImage, pk)


@router.delete(
    "/models/{pk}/", status_code=204, responses=problems(409), operation_id="remove_algorithm_model"
)
def remove_model(pk: UUID, installation: InstallationHere, asker: AskerHere) -> None:
    """Remove a model of yours that no submission needs: none is under way or was evaluated with it."""
    logged_in(asker)
    with installation.database.write() as session:
        remove_archive(session, asker, AlgorithmModel, pk)


def remove_archive(
    session: Session, asker: Asker, table: type[AlgorithmImage | AlgorithmModel], pk: UUID
) -> None:
    """
    Give up an image or a model; a worker removes its bytes.

    Raises
    ------
    NotThere, NotAllowed
    Conflict
        When it is being checked or removed already, or a submission needs it.
    """
    noun = _noun(table)
    # a submission that is being made with it waits, and sees that it is gone
    session.execute(select(table.pk).where(table.pk == pk).with_for_update())
    archive = found_row(session, table, pk, noun)
    owners = [archive.algorithm.owner_pk]
    require(session, asker, Action.EDIT_ALGORITHM, owners=owners, hidden=f"there is no {noun} {pk}")
    if not archive.state.may_become(ArchiveState.REMOVED):
        raise Conflict(f"{noun} {pk} cannot be removed, it is {archive.state}")
    submission = needed_by(session, archive)
    if submission is not None:
        raise Conflict(f"{noun} {pk} cannot be removed: submission {submission} needs it")
    reason = f"removed by {logged_in(asker).username}"
    transition(session, archive, ArchiveState.REMOVED, reason=reason, actor=asker.pk)


def new_image(
    session: Session, asker: Asker, wanted: NewArchive, settings: ServiceSettings
) -> AlgorithmImage:
    """
    The image of a finished upload, with the job that checks it.

    Raises
    ------
    NotThere, NotAllowed, NotLoggedIn
    Conflict
        When the upload is not finished, or used, or the algorithm has this tarball already.
    TooLarge
        When it is larger than an image may be.
    """
    image = _new_archive(session, asker, wanted, AlgorithmImage, settings.max_image_bytes)
    enqueue(session, Job(kind=CHECK_IMAGE, algorithm_image_pk=image.pk, priority=_PRIORITY))
    return image


def new_model(
    session: Session, asker: Asker, wanted: NewArchive, settings: ServiceSettings
) -> AlgorithmModel:
    """The model of a finished upload, with the job that checks it; raises as `new_image`."""
    model = _new_archive(session, asker, wanted, AlgorithmModel, settings.max_model_bytes)
    enqueue(session, Job(kind=CHECK_MODEL, algorithm_model_pk=model.pk, priority=_PRIORITY))
    return model


def _new_archive(
    session: Session, asker: Asker, wanted: NewArchive, table: type[Archive], largest: int
) -> Archive:
    algorithm = found_algorithm(session, asker, wanted.algorithm, Action.EDIT_ALGORITHM)
    noun = _noun(table)
    upload = _taken_upload(
        session, asker, wanted.upload, largest, f"{'an' if noun == 'image' else 'a'} {noun}"
    )
    known = session.scalar(
        select(table.pk).where(
            table.algorithm_pk == algorithm.pk,
            table.state == ArchiveState.READY,
            table.sha256 == upload.sha256,
        )
    )
    if known is not None:
        raise Conflict(f"the algorithm has this {noun} already: {known}; submit that one")
    archive = table(
        algorithm=algorithm,
        creator=upload.creator,
        upload_pk=upload.pk,
        comment=wanted.comment,
        size_bytes=upload.size_bytes,
    )
    enter(session, archive, actor=asker.pk)
    return archive


def _noun(table: type[AlgorithmImage | AlgorithmModel]) -> str:
    return "image" if table is AlgorithmImage else "model"


def _taken_upload(session: Session, asker: Asker, pk: UUID, largest: int, noun: str) -> Upload:
    """The upload, which from now on belongs to what is made of it."""
    missing = f"there is no upload {pk}"
    upload = found_row(session, Upload, pk, "upload")
    require(session, asker, Action.VIEW_UPLOAD, owners=[upload.creator_pk], hidden=missing)
    if upload.state is not UploadState.FINISHED:
        there = f": {upload.offset} of {upload.size_bytes} bytes" if upload.state is UploadState.OPEN else ""
        raise Conflict(f"upload {pk} must be finished, is {upload.state}{there}")
    if upload.size_bytes > largest:
        raise TooLarge(f"the {noun} may have at most {largest} bytes, the upload has {upload.size_bytes}")
    transition(session, upload, UploadState.USED, actor=asker.pk)
    return upload
