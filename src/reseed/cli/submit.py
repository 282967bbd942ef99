"""`reseed submit`: send an image and its models to a phase of a service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from reseed.cli.remote.logins import login_for
from reseed.cli.remote.submissions import awaited_submission, check_evaluated, handed_in, submission_lines
from reseed.contracts.errors import UserError

if TYPE_CHECKING:
    from reseed.cli.remote.service import Service

_USABLE = ("Ready", "Checking", "Received")


def submit(
    phase: Annotated[
        str, typer.Argument(metavar="PHASE", help="CHALLENGE/PHASE, or its address as the browser shows it.")
    ],
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="What `docker save` wrote, gzip or not.")],
    algorithm: Annotated[
        str, typer.Option(metavar="NAME", help="Of your algorithm; made when there is none.")
    ],
    model: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A model's .tar.gz; again for each retraining, in their order."),
    ] = None,
    comment: Annotated[str, typer.Option(help="Shown to you and the organisers.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Until it is evaluated, or has failed.")] = False,
) -> None:
    """
    Submit an image, with a model for each retraining where the phase does not train.

    What the service has already is not sent again. After a cut, the same command goes on, also when it
    is not known whether the submission was made: there will be one.

    For instance:

        reseed submit nodules/final net.tar.gz --algorithm net --model run-1.tar.gz --model run-2.tar.gz
    """
    from reseed.cli.remote.service import Service  # noqa: PLC0415  (so that --help does not wait)

    challenge, slug = phase_names(phase)
    models = list(model or ())
    for path in (image, *models):
        if not path.is_file():
            raise UserError(f"{path}: no such file")
    with Service(login_for(phase if "://" in phase else None)) as service:
        phase_pk = service.get(f"challenges/{challenge}/phases/{slug}/")["pk"]
        _ensure_algorithm(service, algorithm)
        image_pk = archive_of(service, "images", algorithm, image)
        wanted = {
            "phase": phase_pk,
            "algorithm_image": image_pk,
            "algorithm_models": [archive_of(service, "models", algorithm, path) for path in models],
            "comment": comment,
        }
        document = handed_in(service, wanted)
        typer.echo("\n".join(submission_lines(document)))
        if wait:
            document = awaited_submission(service, document["pk"], typer.echo)
    check_evaluated(document)


def phase_names(text: str) -> tuple[str, str]:
    """
    Challenge and phase in `CHALLENGE/PHASE` or in `https://…/challenges/CHALLENGE/phases/PHASE/…`.

    Raises
    ------
    UserError
    """
    names = [name for name in urlsplit(text).path.split("/") if name]
    if "://" in text:
        if len(names) >= 4 and names[0] == "challenges" and names[2] == "phases":
            return names[1], names[3]
    elif len(names) == 2:
        return names[0], names[1]
    raise UserError(f"{text}: must be CHALLENGE/PHASE, or https://…/challenges/CHALLENGE/phases/PHASE/")


def _ensure_algorithm(service: Service, slug: str) -> None:
    if any(each["slug"] == slug for each in service.every("algorithms/")):
        return
    service.post("algorithms/", {"slug": slug, "title": slug})
    typer.echo(f"made algorithm {slug}")


def archive_of(service: Service, kind: str, algorithm: str, path: Path) -> str:
    """
    The identifier of the image or model that a file is, on the service; sent when it is not there.

    Parameters
    ----------
    service
        Where it is to be.
    kind
        images or models.
    algorithm
        Which it belongs to.
    path
        The file.
    """
    from reseed.cli.remote.uploading import local_file, sent_upload  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(f"reading {path.name}", total=path.stat().st_size if path.is_file() else None)
        file = local_file(path, lambda done: progress.update(bar, completed=done))
        used = {upload["pk"] for upload in service.every("uploads/", sha256=file.sha256, status="used")}
        found = _known(service, kind, algorithm, file.sha256, used)
        if found is not None:
            progress.update(bar, description=f"{path.name} is there")
            return found
        progress.update(bar, description=f"sending {path.name}", completed=0)
        upload = sent_upload(service, file, lambda done: progress.update(bar, completed=done))
    made: dict[str, Any] = service.post(
        f"algorithms/{kind}/", {"algorithm": algorithm, "upload": upload["pk"]}
    )
    return str(made["pk"])


def _known(service: Service, kind: str, algorithm: str, sha256: str, used: set[str]) -> str | None:
    """An image or model of these bytes that is ready, or is being checked."""
    for each in service.every(f"algorithms/{kind}/", algorithm=algorithm):
        is_same = each["sha256"] == sha256 or each["upload"] in used
        if is_same and each["import_status"] in _USABLE:
            return str(each["pk"])
    return None
