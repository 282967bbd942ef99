"""Jobs `check_image` and `check_model`: an uploaded tarball becomes ready, or is refused with its reasons."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from reseed.orchestration.packaging.archives import InvalidPackage
from reseed.service.database.engine import Database
from reseed.service.database.jobs import Lease, finish, held_job
from reseed.service.database.models import Algorithm, AlgorithmImage, AlgorithmModel, Upload
from reseed.service.database.transitions import record_event, transition
from reseed.service.domain.states import ArchiveState
from reseed.service.folders import DataFolder
from reseed.service.images.keeping import Archive, archive_path, take_over
from reseed.service.images.rules import check_stored_model, stored_image
from reseed.service.settings import ServiceSettings

CHECK_IMAGE = "check_image"
CHECK_MODEL = "check_model"

Row = TypeVar("Row", AlgorithmImage, AlgorithmModel)


class Checker(Protocol):
    """What of a worker the checks need: no engine, so that nothing of an image is run."""

    @property
    def settings(self) -> ServiceSettings:
        """With the caps of size."""

    @property
    def database(self) -> Database:
        """Of the installation."""

    @property
    def folders(self) -> DataFolder:
        """Of the installation."""


def check_image(worker: Checker, lease: Lease) -> None:
    """
    Check the image of a job against the platform's rules, and end the job.

    Raises
    ------
    InfrastructureError
        When the tarball is not there.
    LeaseLost
        When the job is another worker's; nothing is written then.
    """
    image, upload = _begun(worker, lease, AlgorithmImage, lease.algorithm_image_pk)
    if upload is None:
        return
    path = take_over(worker.folders, image)
    try:
        facts = stored_image(path, upload.filename, worker.settings)
    except InvalidPackage as error:
        _refuse(worker, lease, image, "\n".join(error.lines))
        return
    twin_of = AlgorithmImage.digest == facts.digest
    values = {"digest": facts.digest, "labels": dict(facts.labels), "has_training": facts.has_training}
    _accept(worker, lease, image, twin_of, {**values, "sha256": upload.sha256})


def check_model(worker: Checker, lease: Lease) -> None:
    """Check the model of a job against the platform's rules, and end the job; raises as `check_image`."""
    model, upload = _begun(worker, lease, AlgorithmModel, lease.algorithm_model_pk)
    if upload is None:
        return
    path = take_over(worker.folders, model)
    try:
        check_stored_model(path, upload.filename, worker.settings)
    except InvalidPackage as error:
        _refuse(worker, lease, model, "\n".join(error.lines))
        return
    _accept(worker, lease, model, AlgorithmModel.sha256 == upload.sha256, {"sha256": upload.sha256})


def _begun(worker: Checker, lease: Lease, table: type[Row], pk: Any) -> tuple[Row, Upload | None]:
    """The image or model, and its upload; None, and the job ended, when there is nothing left to check."""
    with worker.database.write() as session:
        held_job(session, lease)
        archive = session.get_one(table, pk)
        if archive.state is ArchiveState.RECEIVED:
            transition(session, archive, ArchiveState.CHECKING)
        if archive.state is not ArchiveState.CHECKING:
            finish(session, lease, reason=f"is {archive.state} already")
            return archive, None
        return archive, session.get_one(Upload, archive.upload_pk)


def _refuse(worker: Checker, lease: Lease, archive: Archive, reason: str) -> None:
    with worker.database.write() as session:
        _refuse_within(session, lease, archive, reason)
    archive_path(worker.folders, archive).unlink(missing_ok=True)


def _refuse_within(session: Session, lease: Lease, archive: Archive, reason: str) -> None:
    held_job(session, lease)
    transition(session, archive, ArchiveState.REJECTED, reason=reason)
    finish(session, lease, reason="refused")


def _accept(worker: Checker, lease: Lease, archive: Row, twin_of: Any, values: dict[str, Any]) -> None:
    table = type(archive)
    with worker.database.write() as session:
        held_job(session, lease)
        # two equal ones checked at once: the second sees the first
        session.execute(select(Algorithm.pk).where(Algorithm.pk == archive.algorithm_pk).with_for_update())
        twin = session.scalar(
            select(table).where(table.algorithm_pk == archive.algorithm_pk, twin_of).limit(1)
        )
        if twin is not None and twin.state is ArchiveState.REMOVED:
            _give_up_digest(session, twin, archive)
            twin = None
        if twin is None:
            transition(session, archive, ArchiveState.READY, **values)
            finish(session, lease)
            return
        noun = "image" if table is AlgorithmImage else "model"
        reason = f"the algorithm has this {noun} already: {twin.pk}; submit that one"
        _refuse_within(session, lease, archive, reason)
    archive_path(worker.folders, archive).unlink(missing_ok=True)


def _give_up_digest(session: Session, removed: Archive, again: Archive) -> None:
    """Let the same image or model be there again; an algorithm has each once, and the audit trail all."""
    column = "digest" if isinstance(removed, AlgorithmImage) else "sha256"
    details = {column: getattr(removed, column), "again": str(again.pk)}
    record_event(session, removed, "uploaded again", details=details)
    setattr(removed, column, None)
    session.flush()
