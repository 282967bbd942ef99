"""How an attempt ended, and whether its output is taken."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from reseed.contracts.errors import JobFailed, UserError
from reseed.contracts.job import Job, JobState
from reseed.orchestration.ending import Ending, ending_of, ending_on_a_full_disk
from reseed.orchestration.executors.executor import ProgramState, ProgramStatus
from reseed.orchestration.executors.host_paths import HostPaths
from reseed.orchestration.state import exclusive, job_record
from reseed.orchestration.study_folder import AttemptFolder, StudyFolder
from reseed.orchestration.workspace import publish, refuse_unsafe_output


def _record(job: Job, state: str) -> str:
    return json.dumps({"key": job.key, "name": job.name, "state": state})


def _exited(code: int, *, out_of_memory: bool = False) -> ProgramStatus:
    return ProgramStatus(ProgramState.EXITED, exit_code=code, out_of_memory=out_of_memory)


JOB = Job(key="1" * 64, name="train/a", kind="train", role="unet", command="train", code="2" * 64, outputs=())


@pytest.mark.parametrize(
    ("status", "cancelled", "state", "fault"),
    [
        (_exited(0), None, JobState.SUCCEEDED, None),
        (_exited(0), "interrupted", JobState.SUCCEEDED, None),
        (_exited(143), "interrupted", JobState.QUEUED, "interruption"),
        (_exited(143), "timed out after 5 s", JobState.FAILED, "job"),
        (_exited(1), None, JobState.FAILED, "job"),
        (_exited(139), None, JobState.FAILED, "job"),
        (_exited(137, out_of_memory=True), None, JobState.FAILED, "job"),
        (_exited(137), None, JobState.QUEUED, "infrastructure"),
        (ProgramStatus(ProgramState.LOST), None, JobState.QUEUED, "infrastructure"),
    ],
)
def test_what_an_end_means(status, cancelled, state, fault, tmp_path: Path):
    """Only exit code 0 is success; what was killed from outside is tried again."""
    ending = ending_of(JOB, status, AttemptFolder(tmp_path), log="", cancelled=cancelled)

    assert (ending.state, ending.fault) == (state, fault)


def test_the_failure_file_is_the_reason(tmp_path: Path):
    """The failure file speaks before the last line of the log does."""
    folder = AttemptFolder(tmp_path)
    assert ending_of(JOB, _exited(1), folder, log="one\ntwo\n\n", cancelled=None).reason == "exit code 1: two"

    folder.scratch.mkdir()
    folder.failure.write_text("out of folds\n")
    assert (
        ending_of(JOB, _exited(139), folder, log="one", cancelled=None).reason
        == "killed by SIGSEGV: out of folds"
    )


def test_too_much_memory_names_the_setting(tmp_path: Path):
    """Trying again would be the same: the limit has to be raised, and the reason says where."""
    status = _exited(137, out_of_memory=True)

    ending = ending_of(JOB, status, AttemptFolder(tmp_path), log="", cancelled=None)

    assert ending.reason == (
        "killed: it used more memory than its limit of 4 GiB; "
        "raise train.memory_gib in the manifest of unet or the study"
    )
    assert not ending.may_be_chance


@pytest.mark.parametrize(
    ("reason", "log", "fault"),
    [
        ("exit code 1: OSError: [Errno 28] No space left on device", "", "disk"),
        ("exit code 1: the run has failed", "…\nwrite: Disk quota exceeded\n", "disk"),
        ("exit code 1: the gradient is not finite", "", "job"),
    ],
)
def test_a_full_disk_is_not_the_jobs_fault(reason: str, log: str, fault: str):
    """Unless the job says something else, or fills the disk itself."""
    ending = Ending(JobState.FAILED, reason, "job", may_be_chance=True)

    innocent, guilty = (
        ending_on_a_full_disk(ending, exit_code=1, log=log, was_exhausted=False, is_its_own_doing=own)
        for own in (False, True)
    )

    assert innocent.fault == fault
    assert innocent.state is (JobState.QUEUED if fault == "disk" else JobState.FAILED)
    assert guilty.fault == "job"
    assert (guilty.reason or "").startswith("it filled the disk: ") is (fault == "disk")


def test_silence_on_an_exhausted_disk_says_nothing():
    """Where not even the reason could be written, the disk is to blame; not for running out of time."""
    silent = Ending(JobState.FAILED, "exit code 1", "job", may_be_chance=True)
    late = Ending(JobState.FAILED, "timed out after 5 s", "job")

    def blamed(ending: Ending, *, was_exhausted: bool) -> Ending:
        return ending_on_a_full_disk(
            ending, exit_code=1, log="", was_exhausted=was_exhausted, is_its_own_doing=False
        )

    assert blamed(silent, was_exhausted=True).fault == "disk"
    assert blamed(silent, was_exhausted=False) == silent
    assert blamed(late, was_exhausted=True) == late


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_an_output_that_is_not_a_file_is_refused(kind: str, tmp_path: Path):
    """A link could lead anywhere, a pipe could wait for ever."""
    place = tmp_path / "model"
    place.mkdir()
    if kind == "link":
        (place / "odd").symlink_to("/etc/passwd")
    else:
        os.mkfifo(place / "odd")

    with pytest.raises(JobFailed, match="output model/odd: only files and folders are taken"):
        refuse_unsafe_output(tmp_path)


def test_publishing_twice_is_publishing_once(tmp_path: Path):
    """A crash between the rename and its record is followed by a second try."""
    folder = StudyFolder(tmp_path).job("0" * 64)
    attempt = folder.attempt(1)
    attempt.output.mkdir(parents=True)
    (attempt.output / "weights").write_text("1")

    publish(folder, attempt)
    publish(folder, attempt)

    assert (folder.output / "weights").read_text() == "1"


def test_an_unknown_state_is_an_error(tmp_path: Path):
    """A state that this version does not know is never taken for done."""
    study = StudyFolder(tmp_path)
    job = Job(
        key="1" * 64, name="train/a", kind="train", role="x", command="train", code="2" * 64, outputs=()
    )
    study.job(job.key).path.mkdir(parents=True)
    study.job(job.key).record.write_text(_record(job, "finished"))

    with pytest.raises(UserError, match="state"):
        job_record(study, job)


def test_a_success_without_its_output_is_done_again(tmp_path: Path):
    """Deleting a job's output makes it a job to do."""
    study = StudyFolder(tmp_path)
    job = Job(
        key="1" * 64, name="train/a", kind="train", role="x", command="train", code="2" * 64, outputs=()
    )
    study.job(job.key).output.mkdir(parents=True)
    study.job(job.key).record.write_text(_record(job, "succeeded"))
    assert job_record(study, job).state is JobState.SUCCEEDED

    study.job(job.key).output.rmdir()

    assert job_record(study, job).state is JobState.QUEUED


def test_a_second_orchestrator_is_refused(tmp_path: Path):
    """The refusal names the process that is at work; afterwards the study is free."""
    study = StudyFolder(tmp_path / "study")
    with (
        exclusive(study),
        pytest.raises(UserError, match=f"process {os.getpid()}, runs this study"),
        exclusive(study),
    ):
        pass

    with exclusive(study):
        pass


class TestHostPaths:
    def test_on_the_host_a_path_is_what_it_is(self, tmp_path: Path):
        """Without mounts nothing is translated."""
        assert HostPaths([]).on_host(tmp_path) == tmp_path.resolve()

    def test_the_longest_mount_counts(self):
        """A mount inside a mount hides what is below it."""
        paths = HostPaths(
            [(Path("/workspace"), Path("/home/ada/reseed")), (Path("/workspace/data"), Path("/mnt/data"))]
        )

        assert paths.on_host(Path("/workspace/studies/a.yaml")) == Path("/home/ada/reseed/studies/a.yaml")
        assert paths.on_host(Path("/workspace/data/x")) == Path("/mnt/data/x")

    def test_a_path_that_the_host_cannot_see_is_refused(self):
        """A folder of the container's own cannot be mounted into another."""
        with pytest.raises(UserError, match="inside the orchestrator's container only"):
            HostPaths([(Path("/workspace"), Path("/home"))]).on_host(Path("/elsewhere"))
