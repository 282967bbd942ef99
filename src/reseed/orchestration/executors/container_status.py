"""What a container's state means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reseed.contracts.errors import InfrastructureError
from reseed.orchestration.executors.executor import ProgramState, ProgramStatus

_KILLED_ABOVE = 128
_NEVER = "0001-01-01"


def program_status(state: Mapping[str, Any]) -> ProgramStatus:
    """
    Map `docker inspect`'s State; an unknown status is an error, not "done".

    255 is what the engine says of a container that has ended while it was not there to see it.

    Raises
    ------
    InfrastructureError
        When the engine reports a status that is not known.
    """
    match state:
        case {"Status": "created" | "running" | "paused" | "restarting" | "removing"}:
            return ProgramStatus(ProgramState.RUNNING)
        case {"Status": "exited" | "dead", "ExitCode": 255}:
            return ProgramStatus(ProgramState.LOST, why="vanished while the engine was down")
        case {"Status": "exited" | "dead", "ExitCode": int(code)}:
            return ProgramStatus(
                ProgramState.EXITED, exit_code=code, out_of_memory=bool(state.get("OOMKilled"))
            )
    raise InfrastructureError(f"unknown docker state: {dict(state)}")


def has_never_run(state: Mapping[str, Any]) -> bool:
    """Whether a container was made and not started: by now it may be dead, half removed."""
    never = str(state.get("StartedAt", "")).startswith(_NEVER)
    return state["Status"] == "created" or (state["Status"] == "dead" and never)


def told_by_the_engine_alone(status: ProgramStatus, was_unnoted: bool) -> ProgramStatus:
    """
    What an exit code means that nobody but the engine tells of.

    The shell in front of a program notes how that ended. When it has not, the container ended before
    its program could: an engine that is stopped while it starts a container leaves one with exit code
    2, which no program has given. A kill needs no note: its exit code says that it came from outside.
    """
    code = status.exit_code
    if not was_unnoted or status.out_of_memory or code is None or code > _KILLED_ABOVE:
        return status
    why = f"the container ended (exit code {code}) before its program did"
    return ProgramStatus(ProgramState.LOST, why=why)
