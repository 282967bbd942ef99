"""What a container's state means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reseed.contracts.errors import InfrastructureError
from reseed.orchestration.executors.executor import ProgramState, ProgramStatus

_ENGINE_LOST_TRACK = 255


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
