"""Where in Slurm a step runs: what the environment of a batch script says."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass

from reseed.contracts.errors import UserError
from reseed.orchestration.slurm.client import TaskId
from reseed.orchestration.slurm.containers import GpusOfJob

_REQUIRED = ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID")


@dataclass(frozen=True)
class Place:
    """
    A start of a task of Slurm on its node.

    `job_id` and `n_restarts` tell it from other starts; `started_at` is on the monotonic clock.
    """

    task: TaskId
    node: str
    partition: str
    gpus: GpusOfJob
    started_at: float
    job_id: str = ""
    n_restarts: int = 0

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Place:
        """
        Read it from a batch script's environment.

        Raises
        ------
        UserError
            When this is no element of a job array.
        """
        missing = [name for name in _REQUIRED if not environment.get(name, "").isdigit()]
        if missing:
            raise UserError(f"to be started by Slurm, as an element of a job array: no {missing[0]}")
        visible = environment.get("CUDA_VISIBLE_DEVICES", "")
        ids = environment.get("SLURM_JOB_GPUS") or visible
        return cls(
            task=TaskId(int(environment["SLURM_ARRAY_JOB_ID"]), int(environment["SLURM_ARRAY_TASK_ID"])),
            node=environment.get("SLURMD_NODENAME") or os.uname().nodename,
            partition=environment.get("SLURM_JOB_PARTITION", ""),
            gpus=GpusOfJob(tuple(part for part in ids.split(",") if part), visible),
            started_at=time.monotonic(),
            job_id=environment.get("SLURM_JOB_ID", ""),
            n_restarts=int(environment.get("SLURM_RESTART_COUNT") or 0),
        )

    def is_start(self, shown: Mapping[str, str]) -> bool:
        """Whether what `scontrol show job` says of the task now is about this very start."""
        return (shown.get("JobId"), shown.get("Restarts")) == (self.job_id, str(self.n_restarts))
