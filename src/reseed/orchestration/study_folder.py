"""Where everything of a study is on disk: the one place that knows the file names."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

COLLECTION_FILE = "collection.yaml"


@dataclass(frozen=True)
class JobFolder:
    """jobs/<key>/."""

    path: Path

    @property
    def record(self) -> Path:
        """state.json."""
        return self.path / "state.json"

    @property
    def specification(self) -> Path:
        """job.json: what was asked for."""
        return self.path / "job.json"

    @property
    def footprint(self) -> Path:
        """footprint.json: what its attempts used."""
        return self.path / "footprint.json"

    @property
    def output(self) -> Path:
        """The result, there as a whole once the job has succeeded."""
        return self.path / "output"

    @property
    def checkpoints(self) -> Path:
        """Shared by all attempts, so that the next goes on where the last stopped."""
        return self.path / "checkpoints"

    @property
    def claims(self) -> Path:
        """Who works on the job, where several machines could."""
        return self.path / "claims"

    @property
    def blocked(self) -> Path:
        """There while a cluster has not started the job because one that it needs has no result."""
        return self.path / "blocked"

    def attempt(self, number: int) -> AttemptFolder:
        """The folder of one start."""
        return AttemptFolder(self.path / "attempts" / str(number))


@dataclass(frozen=True)
class AttemptFolder:
    """jobs/<key>/attempts/<n>/."""

    path: Path

    @property
    def output(self) -> Path:
        """What the attempt writes; renamed to the job's output when it is whole."""
        return self.path / "output"

    @property
    def config(self) -> Path:
        """hyperparameters.json and its neighbours."""
        return self.path / "config"

    @property
    def scratch(self) -> Path:
        """Everything else under /opt/ml/output: the failure file."""
        return self.path / "scratch"

    @property
    def failure(self) -> Path:
        """The job's last words."""
        return self.scratch / "failure"

    @property
    def log(self) -> Path:
        """Standard output and error."""
        return self.path / "log"

    @property
    def exit_code(self) -> Path:
        """The exit code in decimal, and the machine's uptime then; absent while the attempt runs."""
        return self.path / "exit_code"

    @property
    def exit_code_of_container(self) -> Path:
        """The same, where a container can write."""
        return self.scratch / "exit_code"

    @property
    def root(self) -> Path:
        """The root prefix of a plain process."""
        return self.path / "root"


@dataclass(frozen=True)
class StudyFolder:
    """STUDY_DIR."""

    path: Path

    @property
    def study(self) -> Path:
        """A copy of the study file."""
        return self.path / "study.yaml"

    @property
    def plan(self) -> Path:
        """plan.json."""
        return self.path / "plan.json"

    @property
    def comparisons(self) -> Path:
        """comparisons.json."""
        return self.path / "comparisons.json"

    @property
    def report(self) -> Path:
        """report.html."""
        return self.path / "report.html"

    @property
    def footprint(self) -> Path:
        """footprint.json: what the study used."""
        return self.path / "footprint.json"

    @property
    def lock(self) -> Path:
        """Held by the one orchestrator at work."""
        return self.path / ".lock"

    @property
    def jobs(self) -> Path:
        """One folder per job key."""
        return self.path / "jobs"

    @property
    def collection(self) -> StudyFolder | None:
        """The collection's folder, as a study folder, when jobs/ is a link to its; None when it is not."""
        if not self.jobs.is_symlink():
            return None
        # of the link itself: the collection's jobs/ may be a link in turn, to a larger disk
        folder = (self.path / self.jobs.readlink()).parent.resolve()
        return StudyFolder(folder) if (folder / COLLECTION_FILE).is_file() else None

    def given_file(self, sha256: str) -> Path:
        """files/<digest>/: the folder of one file that a person gave, kept so that the study is whole."""
        return self.path / "files" / sha256

    @functools.cached_property
    def _jobs_text(self) -> str:
        return str(self.jobs)

    def job(self, key: str) -> JobFolder:
        """The folder of a job."""
        return JobFolder(self.jobs / key)

    def record_and_output(self, key: str) -> tuple[str, str]:
        """state.json and output/ of a job as plain text: paths are slow where there are ten thousand."""
        folder = f"{self._jobs_text}/{key}"
        return f"{folder}/state.json", f"{folder}/output"

    def run(self, method: str, run: int) -> Path:
        """runs/<method>/<run>/."""
        return self.path / "runs" / method / str(run)
