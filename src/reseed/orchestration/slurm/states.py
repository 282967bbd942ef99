"""What each state of Slurm means for a job of a study."""

from __future__ import annotations

from dataclasses import dataclass

from reseed.contracts.errors import InfrastructureError
from reseed.contracts.job import JobState
from reseed.orchestration.ending import Ending

# From the JOB STATE CODES of squeue(1) and sacct(1), Slurm 20.11 to 25.05.
_WAITING = frozenset({"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"})
_RUNNING = frozenset(
    {
        "COMPLETING", "CONFIGURING", "EXPEDITING", "POWER_UP_NODE", "RESIZING", "RUNNING", "SIGNALING",
        "STAGE_OUT", "STOPPED", "SUSPENDED", "UPDATE_DB",
    }
)  # fmt: skip
_ENDINGS = {
    "BOOT_FAIL": Ending(JobState.QUEUED, "Slurm: the node did not boot", "infrastructure"),
    "CANCELLED": Ending(JobState.CANCELLED, "cancelled in Slurm", "interruption"),
    "COMPLETED": Ending(JobState.QUEUED, "Slurm: the job has completed but left no result", "infrastructure"),
    "DEADLINE": Ending(JobState.FAILED, "Slurm: its deadline has passed", "job"),
    "FAILED": Ending(JobState.QUEUED, "Slurm: the batch script ended without a word", "infrastructure"),
    "LAUNCH_FAILED": Ending(
        JobState.QUEUED, "Slurm: the job could not be launched on its node", "infrastructure"
    ),
    "NODE_FAIL": Ending(JobState.QUEUED, "Slurm: the node has failed", "infrastructure"),
    "OUT_OF_MEMORY": Ending(JobState.FAILED, "killed: it used more memory than its limit", "job"),
    "PREEMPTED": Ending(JobState.QUEUED, "Slurm: preempted by another job", "interruption"),
    "RECONFIG_FAIL": Ending(JobState.QUEUED, "Slurm: the node could not be reconfigured", "infrastructure"),
    "REVOKED": Ending(JobState.QUEUED, "Slurm: another cluster took the job over", "interruption"),
    "TIMEOUT": Ending(JobState.FAILED, "timed out: Slurm's time limit ended it", "job"),
}

FORGOTTEN = Ending(
    JobState.QUEUED, "Slurm knows it no more and it left no exit code: killed from outside", "infrastructure"
)
"""For a job that neither squeue nor sacct can say anything about."""


class UnknownState(InfrastructureError):
    """Slurm reports a state that this version does not know."""


@dataclass(frozen=True)
class SlurmState:
    """A state in Slurm's own word, and how a job in it has ended; None while Slurm holds it."""

    name: str
    is_running: bool = False
    ending: Ending | None = None

    @property
    def is_held(self) -> bool:
        """Whether the job still waits or runs in Slurm."""
        return self.ending is None


def slurm_state(text: str) -> SlurmState:
    """
    The meaning of a state as squeue, sacct or scontrol print it.

    Raises
    ------
    UnknownState
        When the state is not known: it is never taken for ended, and never for done.
    """
    name = text.strip().partition(" ")[0].rstrip("+")  # sacct: "CANCELLED by 1000"
    if name in _WAITING:
        return SlurmState(name)
    if name in _RUNNING:
        return SlurmState(name, is_running=True)
    if name in _ENDINGS:
        return SlurmState(name, ending=_ENDINGS[name])
    raise UnknownState(f"unknown Slurm state: {text!r}")
