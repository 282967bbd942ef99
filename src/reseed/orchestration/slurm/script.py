"""The batch script of an array, as sbatch takes it."""

from __future__ import annotations

import math
import shlex
import sys
from pathlib import Path

from reseed.contracts.slurm import SlurmSettings
from reseed.orchestration.slurm.arrays import JobArray
from reseed.orchestration.slurm.batch import Batch

STEP_MODULE = "reseed.orchestration.slurm.step"

_OWN_MEMORY_MIB = 512
"""For what runs beside the program: our step on the node, and the container's own processes."""

_MARGIN_S = 300
"""For what is done before and after the program: images loaded, outputs checked and moved."""


def job_time_s(array: JobArray, settings: SlurmSettings) -> int:
    """The time limit of one Slurm job of an array: the manifest's with a margin, or the site's."""
    own = array.resources.timeout_s + _MARGIN_S + (settings.checkpoint_s if array.has_checkpoints else 0)
    return own if settings.time_h is None else min(own, round(settings.time_h * 3600))


def batch_script(array: JobArray, settings: SlurmSettings, *, batch: Batch, after: list[int]) -> str:
    """
    A batch script.

    Parameters
    ----------
    array
        Its jobs and what they need.
    settings
        Of the site.
    batch
        Where the node finds everything else.
    after
        Ids of the arrays that must have ended.
    """
    options = [*_array_options(array, settings, batch, after), *_resource_options(array, settings)]
    for name in ("partition", "account", "qos"):
        if (value := getattr(settings, name)) is not None:
            options.append(f"--{name}={value}")
    options += settings.sbatch
    python = settings.python or sys.executable
    command = shlex.join([python, "-m", STEP_MODULE, str(batch.path)])
    return "\n".join(
        [
            "#!/bin/bash",
            *(f"#SBATCH {option}" for option in options),
            "",
            *settings.setup,
            f"exec {command}",
            "",
        ]
    )


def _array_options(array: JobArray, settings: SlurmSettings, batch: Batch, after: list[int]) -> list[str]:
    throttle = f"%{array.throttle}" if array.throttle is not None else ""
    options = [
        f"--job-name={batch.name}",
        f"--array=0-{len(array.jobs) - 1}{throttle}",
        f"--output={_option(batch.path)}/%a.log",
        "--open-mode=append",
        "--requeue",
    ]
    if array.has_checkpoints:
        options.append(f"--signal=B:TERM@{settings.checkpoint_s}")
    if after:
        options.append(f"--dependency=afterany:{':'.join(str(number) for number in after)}")
    return options


def _resource_options(array: JobArray, settings: SlurmSettings) -> list[str]:
    resources = array.resources
    options = [
        "--nodes=1",
        "--ntasks=1",
        f"--cpus-per-task={resources.cpus}",
        f"--mem={math.ceil(resources.memory_gib * 1024) + _OWN_MEMORY_MIB}M",
        f"--time={math.ceil(job_time_s(array, settings) / 60)}",
    ]
    if resources.gpus and settings.gres is not None:
        options.append(f"--gres={settings.gres}:{resources.gpus}")
    return options


def _option(path: Path) -> str:
    """A path inside an option: % begins a replacement there."""
    text = str(path).replace("%", "%%")
    return f'"{text}"' if " " in text else text
