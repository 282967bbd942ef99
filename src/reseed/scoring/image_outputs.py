"""The image that a job wrote to one of its output sockets."""

from __future__ import annotations

from pathlib import Path

from reseed.contracts.containers import SubmissionPaths
from reseed.contracts.errors import InvalidPrediction, UserError
from reseed.contracts.evaluation import GridTolerance
from reseed.contracts.predictions import PredictionJob
from reseed.contracts.sockets import Socket
from reseed.imaging.grids import Grid
from reseed.imaging.metaimage import UnusableImage
from reseed.scoring.images import Image, image_suffix, read_image
from reseed.scoring.submission import one_of_socket, output_file

_MAX_FILES = 1000


def predicted_image_file(
    submission: SubmissionPaths, job: PredictionJob, socket: Socket, *, case_id: str
) -> Path:
    """
    The one image in the folder of an output socket.

    Raises
    ------
    InvalidPrediction
        When the socket or its folder is missing or may not be entered, there is no image in it or more
        than one, or a link leads out of the submission.
    """
    try:
        one_of_socket(job.outputs, socket.slug, place="output")
    except UserError as error:
        raise InvalidPrediction(f"{error} (job {job.pk!r})", case_id=case_id) from None
    names = _names_of(submission.output_of(job.pk, socket.relative_path), job, socket, case_id=case_id)
    images = [name for name in names if image_suffix(Path(name)) is not None]
    if len(images) != 1:
        found = f"{len(images)} images" if images else f"{', '.join(names[:3]) or 'nothing'}"
        raise InvalidPrediction(
            f"output folder {socket.relative_path!r} must hold exactly one image, got {found} "
            f"(job {job.pk!r})",
            case_id=case_id,
        )
    return output_file(submission, job, f"{socket.relative_path}/{images[0]}", case_id=case_id)


def _names_of(folder: Path, job: PredictionJob, socket: Socket, *, case_id: str) -> list[str]:
    """What lies in a socket's folder, sorted; hidden files and more than anybody needs left out."""
    try:
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        raise InvalidPrediction(
            f"output folder {socket.relative_path!r} is missing (job {job.pk!r})", case_id=case_id
        ) from None
    except OSError as error:  # this folder, or one on the way, may not be entered
        raise InvalidPrediction(
            f"output folder {socket.relative_path!r} cannot be read: {error.strerror}", case_id=case_id
        ) from None
    return names[:_MAX_FILES]


def predicted_image(
    path: Path, socket: Socket, *, reference: Grid, tolerance: GridTolerance, case_id: str
) -> Image:
    """
    A predicted image on the grid of its reference.

    Raises
    ------
    InvalidPrediction
        As `read_image` does, naming the case.
    """
    try:
        return read_image(path, reference=reference, tolerance=tolerance)
    except UnusableImage as error:
        raise InvalidPrediction(f"{socket.slug} {error}", case_id=case_id) from None
