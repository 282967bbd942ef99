"""Why an upload, or a part of one, is not taken."""

from __future__ import annotations

from reseed.contracts.errors import InfrastructureError, UserError


class UploadRefused(UserError):
    """A request about an upload breaks a rule."""


class InvalidHeader(UploadRefused):
    """A header of the protocol is missing or cannot be read."""


class UnknownProtocol(UploadRefused):
    """The request is of another version of the protocol."""


class TooLarge(UploadRefused):
    """More bytes than one upload, or one user, may have."""


class OffsetConflict(UploadRefused):
    """The bytes do not begin where those on the disk end."""


class UploadBusy(UploadRefused):
    """Another request is writing this upload."""


class UploadGone(UploadRefused):
    """The upload was ended or has expired."""


class ChecksumMismatch(UploadRefused):
    """What arrived is not what was sent."""


class UnknownContent(UploadRefused):
    """The bytes are not declared as a part of an upload."""


class TooSlow(UploadRefused):
    """No byte came for a long time; what had come is kept."""


class DiskFull(InfrastructureError):
    """The service's disk cannot take the bytes."""
