"""Every state of Slurm has one meaning, and what is not known is an error."""

from __future__ import annotations

import pytest

from reseed.contracts.job import JobState
from reseed.orchestration.slurm.states import UnknownState, slurm_state


@pytest.mark.parametrize(
    "name", ["PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"]
)
def test_waiting(name: str):
    """Slurm holds the job and will start it, or somebody must release it: nothing is submitted again."""
    state = slurm_state(name)

    assert state.is_held
    assert not state.is_running


@pytest.mark.parametrize(
    "name",
    ["RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"],
)
def test_running(name: str):
    """A job that is on a node, whatever it does there."""
    assert slurm_state(name).is_running


@pytest.mark.parametrize(
    ("name", "state", "fault"),
    [
        ("NODE_FAIL", JobState.QUEUED, "infrastructure"),
        ("BOOT_FAIL", JobState.QUEUED, "infrastructure"),
        ("LAUNCH_FAILED", JobState.QUEUED, "infrastructure"),
        ("PREEMPTED", JobState.QUEUED, "interruption"),
        ("REVOKED", JobState.QUEUED, "interruption"),
        ("CANCELLED by 1000", JobState.CANCELLED, "interruption"),
        ("TIMEOUT", JobState.FAILED, "job"),
        ("DEADLINE", JobState.FAILED, "job"),
        ("OUT_OF_MEMORY", JobState.FAILED, "job"),
        ("FAILED", JobState.QUEUED, "infrastructure"),
        ("COMPLETED", JobState.QUEUED, "infrastructure"),
    ],
)
def test_ended(name: str, state: JobState, fault: str):
    """What the cluster does to a job is tried again, what the job does is not; COMPLETED is no result."""
    ending = slurm_state(name).ending

    assert ending is not None
    assert (ending.state, ending.fault) == (state, fault)
    assert ending.reason


@pytest.mark.parametrize("name", ["", "HIBERNATING", "DONE"])
def test_unknown(name: str):
    """Never taken for ended, and never for done."""
    with pytest.raises(UnknownState, match="unknown Slurm state"):
        slurm_state(name)
