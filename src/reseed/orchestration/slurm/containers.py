"""The command that starts a job's container on a node, from a template that a site can edit."""

from __future__ import annotations

import hashlib
import os
import shlex
import traceback
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from reseed.contracts.errors import UserError
from reseed.contracts.job import InputFolder, Job, JobKind, OutputFolder
from reseed.contracts.manifest import Resources
from reseed.contracts.slurm import ContainerProgram, SlurmSettings
from reseed.orchestration.executors.container_user import container_user
from reseed.orchestration.slurm.images import ENGINES, PinnedImage
from reseed.orchestration.study_folder import AttemptFolder
from reseed.orchestration.workspace import Launch, Mount, job_environment

TEMPLATES: tuple[ContainerProgram, ...] = ("podman", "docker", "apptainer", "pyxis")
_MIB = 1024


@dataclass(frozen=True)
class GpusOfJob:
    """
    The GPUs that Slurm has given a job.

    `ids` are the node's own numbers, for an engine outside of the job's control group; `visible`
    is CUDA_VISIBLE_DEVICES, which counts from 0 where Slurm confines devices.
    """

    ids: tuple[str, ...] = ()
    visible: str = ""


def packaged_template(program: ContainerProgram) -> str:
    """The template that comes with Reseed."""
    return (resources.files(__package__) / "templates" / f"{program}.sh.j2").read_text(encoding="utf-8")


def checked_template(settings: SlurmSettings, *, folder: Path) -> str:
    """
    The template of a site, or ours; empty for plain processes. Tried out on a sample job.

    Raises
    ------
    UserError
        When the file is not there, is no template, or uses a name that there is none of.
    """
    if settings.container == "none":
        return ""
    if settings.template is None:
        return packaged_template(settings.container)
    path = folder / settings.template
    if not path.is_file():
        raise UserError(f"slurm.template: {path}: no such file; `reseed cluster template` writes one to edit")
    text = path.read_text(encoding="utf-8")
    image = PinnedImage(reference="image", digest="0" * 64, archive="image.tar", user="1000:1000")
    try:
        start_script(
            text, _sample_launch(), settings, image=image, gpus=GpusOfJob(("0",), "0"), slurm_job="1_0"
        )
    except jinja2.TemplateError as error:
        raise UserError(f"{path}:{_line(error)}: {error}") from None
    return text


def start_script(
    template: str,
    launch: Launch,
    settings: SlurmSettings,
    *,
    image: PinnedImage,
    gpus: GpusOfJob,
    slurm_job: str,
) -> str:
    """
    The shell script that runs a job's container and exits with the program's exit code.

    Parameters
    ----------
    template
        Jinja2, strict: an undefined name is an error. `quote` is the shell's.
    launch
        The prepared attempt.
    settings
        Of the site.
    image
        The image of the job's role.
    gpus
        What Slurm has given the job.
    slurm_job
        Its id in Slurm.

    Raises
    ------
    jinja2.TemplateError
        When the template is wrong.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 (a shell script; values go through `quote`)
    )  # fmt: skip
    environment.filters["quote"] = lambda value: shlex.quote(str(value))
    body = environment.from_string(template).render(
        _variables(launch, settings, image=image, gpus=gpus, slurm_job=slurm_job)
    )
    return f"#!/bin/bash\n{body}"


def container_name(attempt: AttemptFolder) -> str:
    """A name that only this job in this study folder has: a second start finds what the first has left."""
    place = str(attempt.path.parent.resolve())
    return f"reseed-{hashlib.sha256(place.encode()).hexdigest()[:32]}"


def out_of_memory_mark(attempt: AttemptFolder) -> Path:
    """The file by which a script says that the container was killed for its memory."""
    return attempt.path / "out_of_memory"


def _variables(
    launch: Launch, settings: SlurmSettings, *, image: PinnedImage, gpus: GpusOfJob, slurm_job: str
) -> dict[str, Any]:
    memory_mib = round(launch.job.resources.memory_gib * _MIB)
    return {
        "name": container_name(launch.folder),
        "job": launch.job,
        "image": image.reference,
        "archive": image.archive,
        "user": container_user_of(image) if settings.container in ENGINES else "",
        "is_root": os.getuid() == 0,
        "environment": job_environment(launch),
        "mounts": [Mount(mount.source.resolve(), mount.target, mount.writable) for mount in launch.mounts],
        "cpus": launch.job.resources.cpus,
        "memory_mib": memory_mib,
        "shm_mib": memory_mib // 2,
        "gpus": len(gpus.ids),
        "gpu_ids": gpus.ids,
        "visible_gpus": gpus.visible,
        "options": settings.container_options,
        "slurm_job": slurm_job,
        "out_of_memory": out_of_memory_mark(launch.folder),
    }


def container_user_of(image: PinnedImage) -> str:
    """
    The user that an engine's container runs as: whoever submitted the job, or the image's for root.

    Raises
    ------
    UserError
        When that would be root, or when root submits an image whose user is not known.
    """
    if image.user is None and os.getuid() != 0:
        return f"{os.getuid()}:{os.getgid()}"
    return container_user({"User": image.user}, image=image.reference)


def _sample_launch() -> Launch:
    attempt = AttemptFolder(Path("/study/jobs/0/attempts/1"))
    job = Job(
        key="0" * 64,
        name="train/sample/run-0/member-0",
        kind=JobKind.TRAIN,
        role="sample",
        command="train",
        code="0" * 64,
        inputs=(InputFolder(target="/opt/ml/input/data/preprocessed"),),
        outputs=(OutputFolder(target="/opt/ml/model", name="model"),),
        resources=Resources(gpus=1),
    )
    mounts = (
        Mount(attempt.config, "/opt/ml/input/config"),
        Mount(attempt.output, "/opt/ml/model", writable=True),
    )
    return Launch(job, 1, attempt, mounts, (0,))


def _line(error: jinja2.TemplateError) -> int:
    """The line of a template at which it went wrong."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return error.lineno
    lines = [
        frame.lineno or 1
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == "<template>"
    ]
    return lines[-1] if lines else 1
