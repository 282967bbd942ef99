"""What a worker and a node tell each other about a submission's program, in the folder of its attempt."""

from __future__ import annotations

import os

from reseed.contracts.errors import InfrastructureError
from reseed.contracts.job import Job
from reseed.contracts.model import Contract
from reseed.contracts.slurm import SlurmSettings
from reseed.documents.reading import read_json
from reseed.orchestration.study_folder import AttemptFolder


class NodeMount(Contract):
    """A folder that the node and the worker share."""

    source: str
    target: str
    writable: bool


class NodeLaunch(Contract):
    """launch.json: all that a node needs to start a program."""

    job: Job
    number: int
    mounts: tuple[NodeMount, ...]
    digest: str
    tarball: str | None
    settings: SlurmSettings
    template: str
    timeout_s: int


class NodeEnd(Contract):
    """end.json: how a program ended on its node; without an exit code, why there is none."""

    exit_code: int | None = None
    ran_s: float = 0.0
    out_of_memory: bool = False
    timed_out: bool = False
    why: str | None = None


class NodeFiles:
    """What worker and node tell each other in the folder of an attempt."""

    def __init__(self, attempt: AttemptFolder) -> None:
        self.launch = attempt.path / "launch.json"
        self.script = attempt.path / "submit.sh"
        self.array = attempt.path / "array"
        self.claimed = attempt.path / "claimed"
        self.force = attempt.path / "force"
        self.errors = attempt.path / "errors"
        self.end = attempt.path / "end.json"
        self.log = attempt.log

    def claim(self) -> bool:
        """Make the attempt this process's, or find that another has it: one of the two ever succeeds."""
        try:
            os.close(os.open(self.claimed, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except (FileExistsError, FileNotFoundError):
            return False
        return True


def node_launch(attempt: AttemptFolder) -> NodeLaunch:
    """
    What a node is to start.

    Raises
    ------
    InfrastructureError
        When it is not there any more.
    """
    path = NodeFiles(attempt).launch
    if not path.is_file():
        raise InfrastructureError(f"{path}: is not there any more")
    return read_json(path, NodeLaunch)
