"""Checkpoints: whole or absent, and only ever taken up by the training that left them."""

from __future__ import annotations

from pathlib import Path

from algorithms.common.arrays import ArrayFile, array_file_bytes, read_array_file
from algorithms.common.log import log_warning
from reseed.contracts.errors import InvalidDocument, UserError
from reseed.contracts.files import write_bytes_atomically

_FILE = "checkpoint.npz"
_IDENTITY = "identity"


class Checkpoint:
    """
    The checkpoint of one training.

    Parameters
    ----------
    folder
        /opt/ml/checkpoints.
    identity
        Digest of all that decides the weights. A checkpoint with another one is refused.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self._path = folder / _FILE
        self._identity = identity

    def save(self, content: ArrayFile) -> None:
        """Replace the checkpoint; a crash leaves the old one or the new one."""
        document = {**content.document, _IDENTITY: self._identity}
        write_bytes_atomically(self._path, array_file_bytes(ArrayFile(content.arrays, document)))

    def load(self) -> ArrayFile | None:
        """
        What was saved last; None when there is nothing, or nothing readable.

        Raises
        ------
        UserError
            When it was left by another training.
        """
        if not self._path.exists():
            return None
        try:
            content = read_array_file(self._path)
        except InvalidDocument as error:
            log_warning("checkpoint_ignored", reason=str(error))
            return None
        if content.document.get(_IDENTITY) != self._identity:
            raise UserError(
                f"{self._path}: was left by a training with other settings, seeds, data or versions; "
                "empty the folder to start anew"
            )
        return content
