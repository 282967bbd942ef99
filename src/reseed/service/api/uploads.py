"""Routes of uploads: tus 1.0, so that any of its clients can send an image and go on after a cut."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from reseed.contracts.model import SHA256_PATTERN
from reseed.service.api.asking import AskerHere, InstallationHere
from reseed.service.api.found import found_row
from reseed.service.api.pagination import Page, PagingHere
from reseed.service.api.problem import problems
from reseed.service.api.shapes import status_words
from reseed.service.api.tus import TusRoute, offset_headers
from reseed.service.api.upload_body import length_of_body, received_upload
from reseed.service.database.models import Upload, User
from reseed.service.domain.permissions import Action
from reseed.service.domain.states import UploadState
from reseed.service.installation import Installation
from reseed.service.security.authorisation import Asker, logged_in, require
from reseed.service.uploads.admission import largest_upload, new_upload
from reseed.service.uploads.headers import (
    CHECKSUM_ALGORITHMS,
    EXTENSIONS,
    PART,
    VERSION,
    check_version,
    checksum_of,
    length_of,
    metadata_header,
    metadata_of,
)
from reseed.service.uploads.reception import is_gone, terminate
from reseed.service.uploads.refusals import InvalidHeader, UnknownContent, UploadGone

router = APIRouter(prefix="/uploads", tags=["uploads"], route_class=TusRoute)

Version = Annotated[str | None, Header(alias="Tus-Resumable", description=f"Must be {VERSION}.")]
ChecksumHere = Annotated[
    str | None, Header(alias="Upload-Checksum", description=f"{', '.join(CHECKSUM_ALGORITHMS)}; in Base64.")
]
ContentType = Annotated[str | None, Header(alias="Content-Type")]
_BODY: dict[str, Any] = {
    "requestBody": {"content": {PART: {"schema": {"type": "string", "format": "binary"}}}, "required": False}
}


@dataclass(frozen=True)
class PartHeaders:
    """What a request says of the bytes it brings."""

    version: str | None
    start: str | None
    checksum: str | None
    content_type: str | None


def _part_headers(
    version: Version = None,
    start: Annotated[str | None, Header(alias="Upload-Offset")] = None,
    checksum: ChecksumHere = None,
    content_type: ContentType = None,
) -> PartHeaders:
    return PartHeaders(version, start, checksum, content_type)


PartHeadersHere = Annotated[PartHeaders, Depends(_part_headers)]


class UploadShape(BaseModel):
    """An upload, and how far it is."""

    pk: UUID
    api_url: str
    created: datetime
    filename: str
    status: str
    size_bytes: int
    offset: int = Field(description="So many bytes are on the service's disk.")
    sha256: str | None = Field(description="Of all of it, once it is finished.")
    expires: datetime | None
    metadata: dict[str, str]

    @classmethod
    def of(cls, upload: Upload, base_url: str) -> UploadShape:
        """The JSON shape of a row."""
        return cls(
            pk=upload.pk,
            api_url=f"{base_url}{location_of(upload)}",
            created=upload.created,
            filename=upload.filename,
            status=status_words(upload.state),
            size_bytes=upload.size_bytes,
            offset=upload.offset,
            sha256=upload.sha256,
            expires=upload.deadline,
            metadata={str(key): str(text) for key, text in upload.details.items()},
        )


def location_of(upload: Upload) -> str:
    """The path of an upload; without the host, which a proxy may have changed."""
    return f"/api/v1/uploads/{upload.pk}/"


def _found(session: Session, asker: Asker, pk: UUID) -> Upload:
    logged_in(asker)
    upload = found_row(session, Upload, pk, "upload")
    require(
        session,
        asker,
        Action.VIEW_UPLOAD,
        owners=[upload.creator_pk],
        hidden=f"there is no upload {pk}",
    )
    return upload


def _own_upload(installation: Installation, asker: Asker, pk: UUID) -> Upload:
    with installation.database.read() as session:
        return _found(session, asker, pk)


@router.options("/", status_code=204, responses=problems(), operation_id="describe_uploads")
def describe(installation: InstallationHere, asker: AskerHere) -> Response:
    """What of the protocol the service speaks."""
    logged_in(asker)
    with installation.database.read() as session:
        require(session, asker, Action.UPLOAD)
    headers = {
        "Tus-Version": VERSION,
        "Tus-Extension": ",".join(EXTENSIONS),
        "Tus-Max-Size": str(largest_upload(installation.settings)),
        "Tus-Checksum-Algorithm": ",".join(CHECKSUM_ALGORITHMS),
    }
    return Response(status_code=204, headers=headers)


@router.get("/", responses=problems(), operation_id="list_uploads")
def uploads(
    installation: InstallationHere,
    asker: AskerHere,
    paging: PagingHere,
    status: Annotated[UploadState | None, Query()] = None,
    sha256: Annotated[
        str | None,
        Query(pattern=SHA256_PATTERN, description="That the client announced in the metadata, as `sha256`."),
    ] = None,
) -> Page[UploadShape]:
    """Your uploads, newest first."""
    user = logged_in(asker)
    base_url = installation.settings.base_url
    with installation.database.read() as session:
        require(session, asker, Action.VIEW_UPLOAD, owners=[user.pk])
        statement = select(Upload).where(Upload.creator_pk == user.pk).order_by(Upload.created.desc())
        if status is not None:
            statement = statement.where(Upload.state == status)
        if sha256 is not None:
            statement = statement.where(Upload.details["sha256"].as_string() == sha256)
        return paging.page(session, statement, lambda row: UploadShape.of(row, base_url))


@router.post(
    "/",
    status_code=201,
    responses=problems(412, 413, 415, 460, 507),
    operation_id="create_upload",
    openapi_extra=_BODY,
)
async def create(
    request: Request,
    installation: InstallationHere,
    asker: AskerHere,
    version: Version = None,
    length: Annotated[str | None, Header(alias="Upload-Length")] = None,
    metadata: Annotated[str | None, Header(alias="Upload-Metadata")] = None,
    checksum: ChecksumHere = None,
    content_type: ContentType = None,
) -> Response:
    """Begin an upload; the body may bring its first bytes."""
    upload = await to_thread.run_sync(_begun, installation, asker, version, length, metadata)
    if content_type == PART and length_of_body(request) != 0:
        announced = checksum_of(checksum)
        upload = await received_upload(request, installation, upload.pk, offset=0, checksum=announced)
    headers = {"Location": location_of(upload), **offset_headers(upload)}
    return Response(status_code=201, headers=headers)


def _begun(
    installation: Installation, asker: Asker, version: str | None, length: str | None, metadata: str | None
) -> Upload:
    user = logged_in(asker)
    with installation.database.write() as session:
        require(session, asker, Action.UPLOAD)
        check_version(version)
        return new_upload(
            session,
            session.get_one(User, user.pk),
            size_bytes=length_of("Upload-Length", length),
            metadata=metadata_of(metadata),
            settings=installation.settings,
            folder=installation.folder,
        )


@router.get("/{pk}/", responses=problems(), operation_id="get_upload")
def upload(pk: UUID, installation: InstallationHere, asker: AskerHere) -> UploadShape:
    """One upload of yours."""
    return UploadShape.of(_own_upload(installation, asker, pk), installation.settings.base_url)


@router.head("/{pk}/", responses=problems(410, 412), operation_id="get_upload_offset")
def upload_offset(
    pk: UUID, installation: InstallationHere, asker: AskerHere, version: Version = None
) -> Response:
    """How many bytes are there: where to go on."""
    found = _own_upload(installation, asker, pk)
    check_version(version)
    if is_gone(found):
        raise UploadGone("the upload has ended or expired; begin a new one")
    headers = {
        **offset_headers(found),
        "Upload-Length": str(found.size_bytes),
        "Cache-Control": "no-store",
    }
    if found.details:
        headers["Upload-Metadata"] = metadata_header(found.details)
    return Response(status_code=200, headers=headers)


@router.patch(
    "/{pk}/",
    status_code=204,
    responses=problems(408, 409, 410, 412, 413, 415, 423, 460, 507),
    operation_id="continue_upload",
    openapi_extra=_BODY,
)
async def part(
    pk: UUID,
    request: Request,
    installation: InstallationHere,
    asker: AskerHere,
    headers: PartHeadersHere,
) -> Response:
    """Send the next bytes; what arrives before a cut is kept, unless it has a checksum."""
    await to_thread.run_sync(_own_upload, installation, asker, pk)
    check_version(headers.version)
    if headers.content_type != PART:
        raise UnknownContent(f"Content-Type must be {PART}, is {headers.content_type or 'missing'}")
    offset = length_of("Upload-Offset", headers.start)
    checksum = checksum_of(headers.checksum)
    found = await received_upload(request, installation, pk, offset=offset, checksum=checksum)
    return Response(status_code=204, headers=offset_headers(found))


@router.delete("/{pk}/", status_code=204, responses=problems(410, 412, 423), operation_id="terminate_upload")
def end(pk: UUID, installation: InstallationHere, asker: AskerHere, version: Version = None) -> Response:
    """End an upload and remove what has arrived."""
    _own_upload(installation, asker, pk)
    check_version(version)
    terminate(installation.database, installation.folder, pk, actor=asker.pk)
    return Response(status_code=204)


@router.post("/{pk}/", include_in_schema=False)
async def overridden(
    pk: UUID,
    request: Request,
    installation: InstallationHere,
    asker: AskerHere,
    headers: PartHeadersHere,
    method: Annotated[str | None, Header(alias="X-HTTP-Method-Override")] = None,
) -> Response:
    """PATCH, HEAD or DELETE for clients behind a firewall that knows only POST."""
    await to_thread.run_sync(_own_upload, installation, asker, pk)
    check_version(headers.version)
    if method == "PATCH":
        return await part(pk, request, installation, asker, headers)
    if method == "HEAD":
        return await to_thread.run_sync(upload_offset, pk, installation, asker, headers.version)
    if method == "DELETE":
        return await to_thread.run_sync(end, pk, installation, asker, headers.version)
    raise InvalidHeader("X-HTTP-Method-Override must be PATCH, HEAD or DELETE for a POST to an upload")
