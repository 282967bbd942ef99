"""Claims that outlive what Slurm knows of their job: whether their holder lives is told by looking on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from reseed.contracts.job import Job, JobRecord
from reseed.orchestration.slurm.claim import LEASE_S, Claim, Claims, Holder
from reseed.orchestration.study_folder import StudyFolder

_N_LEASES = 3
_N_LOOKS = 6
"""In one lease."""


@dataclass
class PendingClaims:
    """
    The claims on jobs that have left Slurm and are recorded as running.

    Looking costs Slurm nothing, and has to go on however seldom Slurm may be asked.

    Parameters
    ----------
    study
        Whose jobs.
    tell
        Is told, once, what is waited for and how long.
    lease_s
        How long a holder on another node must be silent before its job is taken over.
    """

    study: StudyFolder
    tell: Callable[[str], None]
    lease_s: float = LEASE_S
    _claims: dict[str, Claims] = field(default_factory=dict)
    _waited_for: dict[str, Job] = field(default_factory=dict)
    _looked_at: float = 0.0
    _give_up_at: float | None = None
    _has_told: bool = False

    def take(self, job: Job, record: JobRecord) -> Claim | None:
        """The claim on a job whose holder has let go, is dead or was silent long enough; else wait for it."""
        claims = self._claims.setdefault(job.key, Claims(self.study.job(job.key).claims, self.lease_s))
        number = record.last.number + 1 if record.last else 1
        after = claims.free_after()
        self._looked_at = time.monotonic()
        if after is not None:
            claim = claims.take(Holder.here("reseed run"), after=after, at_least=number)
            if claim is not None:
                return claim
        self._waited_for[job.key] = job
        if self._give_up_at is None:
            self._give_up_at = time.monotonic() + _N_LEASES * self.lease_s
        return None

    def forget(self) -> None:
        """Wait for none, until `take` fails again; what was seen so far is remembered."""
        self._waited_for.clear()

    def one_is_free(self) -> bool:
        """Look again where it is time to; whether a job that is waited for can be had now."""
        now = time.monotonic()
        if not self._waited_for or now - self._looked_at < self.lease_s / _N_LOOKS:
            return False
        self._looked_at = now
        looks = [self._claims[key].free_after() for key in self._waited_for]  # at all of them
        return any(after is not None for after in looks)

    def is_undecided(self) -> bool:
        """
        Whether the holder of a job that is waited for was neither heard nor silent long enough; says so once.

        A command that leaves before it is decided never decides it: the next one begins to look anew. After
        three leases, in which the file system must have hung, it is left to the next all the same.
        """
        if self._give_up_at is None or time.monotonic() > self._give_up_at:
            return False
        jobs = [job for key, job in self._waited_for.items() if not self._claims[key].is_heard]
        if jobs and not self._has_told:
            more = f" and {len(jobs) - 1} more" if len(jobs) > 1 else ""
            self.tell(
                f"{jobs[0].name}{more}: left Slurm without a word, and may still run on a node that is cut "
                f"off; stays {self.lease_s:.0f} s to hear of it, before it is submitted again"
            )
            self._has_told = True
        return bool(jobs)
