"""The commands of Slurm: each asked once for all jobs, never once for each."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from reseed.contracts.errors import InfrastructureError, UserError
from reseed.orchestration.slurm.states import SlurmState, slurm_state

_TIMEOUT_S = 120
_DEFAULT_ARRAY_SIZE = 1001
_FIELDS = "%F|%K|%T|%r|%j"
_KEPT = ("ACCOUNT", "CONSTRAINT", "PARTITION", "QOS", "RESERVATION")
_SECRETS = frozenset({"RESEED_SECRET_KEY", "RESEED_DATABASE_URL", "RESEED_TOKEN", "POSTGRES_PASSWORD"})
_NO_ROOM = re.compile(r"MaxSubmit|job submit limit|temporarily un(able|available)")


class NoRoom(InfrastructureError):
    """Slurm takes no further job now: a limit on submitted jobs, or a busy controller."""


@dataclass(frozen=True, order=True)
class TaskId:
    """One element of a job array, as Slurm writes it: 1234_5."""

    array: int
    index: int

    def __str__(self) -> str:
        return f"{self.array}_{self.index}"


@dataclass(frozen=True)
class Task:
    """What Slurm says of an element."""

    state: SlurmState
    reason: str = ""

    @property
    def waits_for_others(self) -> bool:
        """Whether it is held back by a dependency, and by nothing else."""
        return self.state.is_held and not self.state.is_running and self.reason == "Dependency"


class SlurmClient:
    """
    Asks the cluster that the commands of this machine belong to.

    Raises
    ------
    UserError
        From every method, when this machine has no Slurm commands.
    InfrastructureError
        From every method, when Slurm does not answer or refuses.
    """

    def max_array_size(self) -> int:
        """One more than the largest index of an array."""
        found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _answer("scontrol", "show", "config"), re.MULTILINE)
        return int(found[1]) if found else _DEFAULT_ARRAY_SIZE

    def cluster_name(self) -> str:
        """What the cluster is called."""
        found = re.search(r"^ClusterName\s*=\s*(\S+)", _answer("scontrol", "show", "config"), re.MULTILINE)
        return found[1] if found else "cluster"

    def comments(self) -> dict[int, str]:
        """The comment of every array of this user that waits or runs, by its id."""
        answer = _answer("squeue", "--noheader", f"--user={os.getuid()}", "--format=%F|%k")
        lines = (line.partition("|") for line in answer.splitlines())
        return {int(array): comment for array, _, comment in lines}

    def submit(self, script: Path) -> int:
        """
        Submit a batch script; the id of its array.

        Raises
        ------
        NoRoom
            When a limit on the number of submitted jobs is reached.
        """
        try:
            answer = _answer("sbatch", "--parsable", str(script))
        except InfrastructureError as error:
            if _NO_ROOM.search(str(error)):
                raise NoRoom(str(error)) from None
            raise
        return int(answer.strip().partition(";")[0])

    def tasks(self) -> dict[TaskId, Task]:
        """Every array element of this user that Slurm remembers, in one question."""
        answer = _answer(
            "squeue", "--array", "--noheader", "--states=all", f"--user={os.getuid()}", f"--format={_FIELDS}"
        )  # fmt: skip
        return dict(_tasks(answer))

    def array_named(self, name: str) -> int | None:
        """The id of the array with a job name; None when Slurm has never heard of it."""
        answer = _answer("squeue", "--noheader", "--states=all", f"--name={name}", "--format=%F")
        if not answer.strip() and shutil.which("sacct"):
            answer = _accounting("--name", name, "--format=JobID")
        ids = {int(line.partition("_")[0]) for line in answer.split() if line[0].isdigit()}
        return min(ids, default=None)

    def accounted(self, arrays: Iterable[int]) -> dict[TaskId, Task]:
        """What accounting keeps of elements that squeue has forgotten; nothing where there is none."""
        ids = ",".join(str(number) for number in sorted(set(arrays)))
        if not ids or not shutil.which("sacct"):
            return {}
        answer = _accounting("--array", "--jobs", ids, "--format=JobID,State")
        found = {}
        for line in answer.splitlines():
            name, _, state = line.partition("|")
            if match := re.fullmatch(r"(\d+)_(\d+)", name):
                found[TaskId(int(match[1]), int(match[2]))] = Task(slurm_state(state))
        return found

    def release(self, tasks: Iterable[TaskId]) -> None:
        """Let elements start whatever they still wait for; those that have started are left alone."""
        for job in _ranges(tasks):
            _tried("scontrol", "update", f"jobid={job}", "dependency=")

    def requeue(self, task: TaskId) -> None:
        """Put a running element back into the queue; ends it."""
        _answer("scontrol", "requeue", str(task))

    def shown(self, task: TaskId) -> dict[str, str]:
        """What Slurm shows of one element, by its own names, for the element's own step."""
        answer = _answer("scontrol", "--oneliner", "show", "job", str(task))
        return {name: value for name, _, value in (word.partition("=") for word in answer.split())}

    def cancel(
        self, tasks: Iterable[TaskId], *, signal: str | None = None, waiting_only: bool = False
    ) -> None:
        """Remove elements, or only those that wait; or signal the batch script of those that run."""
        options = ["--batch", f"--signal={signal}"] if signal else []
        options += ["--state=PENDING"] if waiting_only else []
        ranges = _ranges(tasks)
        if ranges:
            _tried("scancel", "--quiet", *options, *ranges)


def _tasks(answer: str) -> Iterator[tuple[TaskId, Task]]:
    for line in answer.splitlines():
        array, index, state, reason, _name = line.split("|", 4)
        if index.isdigit():  # jobs that are no arrays have none: they are not ours
            yield TaskId(int(array), int(index)), Task(slurm_state(state), reason)


def index_ranges(indices: Iterable[int]) -> str:
    """Indices as Slurm writes them: 0-3,7."""
    parts: list[list[int]] = []
    for index in sorted(set(indices)):
        if parts and index == parts[-1][1] + 1:
            parts[-1][1] = index
        else:
            parts.append([index, index])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def _ranges(tasks: Iterable[TaskId]) -> list[str]:
    by_array: dict[int, list[int]] = {}
    for task in tasks:
        by_array.setdefault(task.array, []).append(task.index)
    return [f"{array}_[{index_ranges(indices)}]" for array, indices in sorted(by_array.items())]


def _accounting(*options: str) -> str:
    """What sacct says; nothing where accounting is switched off."""
    return _tried("sacct", "--allocations", "--noheader", "--parsable2", "--starttime=1970-01-01", *options)


def _tried(*command: str) -> str:
    """As `_answer`, where Slurm may refuse for good reasons: the job has just started, or ended."""
    try:
        return _answer(*command)
    except InfrastructureError:
        return ""


def _answer(*command: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, env=_clean(os.environ)
        )
    except FileNotFoundError:
        raise UserError(f"{command[0]}: no such command; submit from a machine that has Slurm's") from None
    except subprocess.TimeoutExpired:
        raise InfrastructureError(f"{command[0]} has not answered for {_TIMEOUT_S} s") from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()
        words = [line.removeprefix(f"{command[0]}: ").removeprefix("error: ") for line in said]
        raise InfrastructureError(f"{command[0]}: {'; '.join(words)}")
    return done.stdout


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    """
    The environment without what would override a batch script, or stem from a job around us.

    An account, a partition and the like that a person has set in the environment stay.
    """
    kept = {f"SBATCH_{name}" for name in _KEPT} | {"SLURM_CONF", "SLURM_CLUSTERS"}
    # sbatch keeps the environment, and gives it to the job
    environment = {name: value for name, value in environment.items() if name not in _SECRETS}
    overriding = re.compile(r"(SBATCH|SLURM|SQUEUE|SACCT|SCANCEL|SCONTROL)_")
    return {name: value for name, value in environment.items() if name in kept or not overriding.match(name)}
