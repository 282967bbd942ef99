"""Whole small studies, run for real as processes."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from reseed.contracts.errors import EngineSilent, UserError
from reseed.contracts.files import write_json_atomically
from reseed.contracts.job import Attempt, Job, JobRecord, JobState
from reseed.contracts.manifest import Resources
from reseed.orchestration.clock import utc_now
from reseed.orchestration.executors.process import ProcessExecutor
from reseed.orchestration.faults import failed_for_good, history
from reseed.orchestration.outcome import Outcome
from reseed.orchestration.plan import Plan, study_plan
from reseed.orchestration.study_file import read_study
from reseed.orchestration.study_folder import AttemptFolder, StudyFolder
from reseed.orchestration.study_run import StudyRun, process_executor

from .conftest import SmallProject


@dataclass
class Diary:
    """A listener that remembers."""

    started_jobs: list[str] = field(default_factory=list)
    endings: dict[str, JobRecord] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    n_at_once: int = 0
    most_at_once: int = 0

    def begun(self, plan: Plan, records: Mapping[str, JobRecord]) -> None:
        """Nothing to remember."""

    def started(self, job: Job, *, adopted: bool) -> None:
        """Count what runs side by side."""
        self.started_jobs.append(job.name)
        self.n_at_once += 1
        self.most_at_once = max(self.most_at_once, self.n_at_once)

    def ended(self, job: Job, record: JobRecord, log_tail: str) -> None:
        """Keep the record."""
        self.n_at_once -= 1
        self.endings[job.name] = record

    def notice(self, line: str) -> None:
        """Keep the line."""
        self.notices.append(line)

    def tick(self) -> None:
        """Nothing to remember."""

    def reason(self, name: str) -> str:
        """Why a job ended as it did."""
        attempt = self.endings[name].last
        return "" if attempt is None else attempt.reason or ""


def study_run(study: Path, out: Path) -> StudyRun:
    """A study as the command line would run it."""
    context = read_study(study)
    own = process_executor(context)
    return StudyRun(
        context=context,
        folder=StudyFolder(out),
        dataset=Path(context.study.dataset),
        executor=own,
        own_executor=own,
    )


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), EngineSilent("the engine does not answer")]
)
def test_what_an_earlier_orchestrator_left_may_stay(project: SmallProject, tmp_path: Path, error: Exception):
    """No room for a log, or no engine: it is said, and the study goes on."""

    class Hindered(ProcessExecutor):
        def release_leftovers(
            self, study: StudyFolder, is_over: Callable[[AttemptFolder], bool], *, dry_run: bool = False
        ) -> int:
            raise error

    plain = study_run(project.study(runs=1, members=1), tmp_path / "out")
    hindered = Hindered(plain.context.project, plain.context.algorithms)
    diary = Diary()

    assert dataclasses.replace(plain, executor=hindered).run(diary, n_jobs=2).is_complete

    expected = f"{error}; containers that an earlier `reseed run` left stay until the next one"
    assert expected in diary.notices


def _run(study: Path, out: Path, **options) -> tuple[Diary, Outcome]:
    diary = Diary()
    return diary, study_run(study, out).run(diary, n_jobs=2, **options)


def test_a_study_leaves_its_results(project: SmallProject, tmp_path: Path):
    """comparisons.json, scores.csv, and for every run its record, model, predictions and metrics."""
    out = tmp_path / "out"

    diary, outcome = _run(project.study(), out)

    assert outcome.is_complete
    assert diary.most_at_once == 2
    comparisons = json.loads((out / "comparisons.json").read_text())
    assert [metric["metric"] for metric in comparisons["metrics"]] == ["auroc", "ap"]
    assert set(comparisons["metrics"][0]["scopes"]) == {"population", "test_set", "trained_models"}
    assert len((out / "scores.csv").read_text().splitlines()) == 1 + 2 * 2 * 40
    for method in ("one", "two"):
        for run in ("0", "1"):
            folder = out / "runs" / method / run
            record = json.loads((folder / "run.json").read_text())
            assert record["settings"]["n_steps"] == 40
            assert [member["seeds"]["weights"] for member in record["members"]] != [0, 0]
            assert (folder / "model/member-1/weights.json").is_file()
            assert (folder / "metrics.json").is_file()
            assert len(json.loads((folder / "predictions/predictions.json").read_text())) == 40


def test_a_finished_study_does_nothing_twice(project: SmallProject, tmp_path: Path):
    """The same command again starts no job and changes no result."""
    study, out = project.study(), tmp_path / "out"
    _run(study, out)
    before = (out / "comparisons.json").read_bytes()

    diary, outcome = _run(study, out)

    assert outcome.is_complete
    assert diary.started_jobs == []
    assert (out / "comparisons.json").read_bytes() == before


def test_the_same_study_elsewhere_gives_the_same_bytes(project: SmallProject, tmp_path: Path):
    """Results depend on the study file, the code and the data; not on the folder or the day."""
    study = project.study()
    _run(study, tmp_path / "here")
    _run(study, tmp_path / "there")

    for name in (
        "comparisons.json",
        "scores.csv",
        "runs/two/1/metrics.json",
        "runs/two/1/model/member-0/weights.json",
    ):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


def test_a_study_that_grows_only_does_what_is_new(project: SmallProject, tmp_path: Path):
    """A third run trains, predicts and scores that run of each method, and compares again."""
    out = tmp_path / "out"
    _run(project.study(), out)

    diary, outcome = _run(project.study(runs=3), out)

    assert outcome.is_complete
    assert len(diary.started_jobs) == 2 * 4 + 1
    assert all("run-2" in name or name == "compare" for name in diary.started_jobs)


def test_a_failing_job_fails_alone(project: SmallProject, tmp_path: Path):
    """Its reason is the failure file's; what does not depend on it goes on; what does is not tried."""
    methods = {
        "bad": {"algorithm": "logistic", "settings": {"crash": "fail"}},
        "good": {"algorithm": "logistic"},
    }
    study, out = project.study(methods=methods, runs=1, members=1), tmp_path / "out"

    diary, outcome = _run(study, out)

    assert not outcome.is_complete
    assert diary.reason("train/bad/run-0/member-0") == "exit code 1: the gradient is not finite"
    assert diary.endings["score/good/run-0"].state is JobState.SUCCEEDED
    assert "predict/bad/run-0" not in diary.started_jobs
    assert (len(outcome.failed), len(outcome.blocked)) == (1, 3)
    assert not (out / "comparisons.json").exists()
    logs = [log.read_text() for log in (out / "jobs").glob("*/attempts/*/log")]
    assert sum("about to fail" in log for log in logs) == 2


def test_a_failed_job_is_not_tried_for_ever(project: SmallProject, tmp_path: Path):
    """
    Once more in case it was chance, and not again.

    Not by the next command either, which says so, unless it is told to or the manifest gives the
    job other resources.
    """
    methods = {"bad": {"algorithm": "logistic", "settings": {"crash": "fail"}}}
    study, out = project.study(methods=methods, runs=1, members=1), tmp_path / "out"
    name = "train/bad/run-0/member-0"

    diary, _ = _run(study, out)
    record = diary.endings[name]
    assert [attempt.fault for attempt in record.attempts] == ["job", "job"]
    assert history(record) == "twice the same way"

    diary, outcome = _run(study, out)
    assert diary.started_jobs == []
    assert len(outcome.failed) == 1
    assert diary.notices == [
        f"{name}: failed before and is not tried again: exit code 1: the gradient is not finite"
    ]

    diary, _ = _run(study, out, retry_failed=True)
    assert [attempt.number for attempt in diary.endings[name].attempts] == [1, 2, 3, 4]


def test_other_resources_are_another_chance(project: SmallProject, tmp_path: Path):
    """What ran out of time is tried again once it has more, although its key is the same."""
    methods = {"slow": {"algorithm": "logistic", "settings": {"step_s": 30.0}}}
    study, out = project.study(methods=methods, runs=1, members=1), tmp_path / "out"
    name = "train/slow/run-0/member-0"
    jobs = {job.name: job for job in study_plan(study_run(study, out).inputs).jobs}
    record = JobRecord(
        key=jobs[name].key,
        name=name,
        state=JobState.FAILED,
        attempts=(
            Attempt(
                number=1, executor="process", handle={}, started=utc_now(), reason="timed out", fault="job"
            ),
        ),
    )
    folder = StudyFolder(out).job(jobs[name].key).specification

    same = failed_for_good(record, jobs[name], _written(folder, jobs[name]))
    less = jobs[name].model_copy(update={"resources": Resources(timeout_s=1)})

    assert same
    assert not failed_for_good(record, jobs[name], _written(folder, less))


def _written(path: Path, job: Job) -> Path:
    write_json_atomically(path, job)
    return path


def test_a_job_killed_from_outside_is_tried_again_a_few_times(project: SmallProject, tmp_path: Path):
    """SIGKILL is the machine's doing until it has happened three times."""
    methods = {"bad": {"algorithm": "logistic", "settings": {"crash": "kill"}}}

    diary, outcome = _run(project.study(methods=methods, runs=1, members=1), tmp_path / "out")

    assert len(outcome.failed) == 1
    record = diary.endings["train/bad/run-0/member-0"]
    assert [attempt.fault for attempt in record.attempts] == ["infrastructure"] * 3


def test_a_link_in_the_output_is_a_failure(project: SmallProject, tmp_path: Path):
    """What a program leaves behind is checked before anyone follows it."""
    methods = {"bad": {"algorithm": "logistic", "settings": {"crash": "link"}}}

    diary, _ = _run(project.study(methods=methods, runs=1, members=1), tmp_path / "out")

    assert "model/escape: only files and folders are taken" in diary.reason("train/bad/run-0/member-0")


@pytest.mark.parametrize(
    ("left", "reason"),
    [
        (
            """(PATHS.model / "run.json").write_text('{"loss": NaN}')""",
            "/opt/ml/model/run.json: not valid JSON: NaN is not a JSON number",
        ),
        (
            """(PATHS.model / "run.json").write_text('{"loss": 1e999}')""",
            "/opt/ml/model/run.json: Out of range float values are not JSON compliant",
        ),
        ("""(PATHS.model / "run.json").write_bytes(b"\\xff")""", "/opt/ml/model/run.json: cannot be read"),
        (
            """(PATHS.model / "run.json").write_text('{"a":' + "[" * 300 + "]" * 300 + "}")""",
            "/opt/ml/model/run.json: nested more than 100 deep",
        ),
        (
            'open(os.fsencode(PATHS.model) + b"/\\xff.bin", "w").close(); '
            'write_json_atomically(PATHS.model / "run.json", {})',
            "output model/\\xff.bin: only names in UTF-8 are taken",
        ),
    ],
)
def test_a_training_that_cannot_be_recorded_fails(
    project: SmallProject, tmp_path: Path, left: str, reason: str
):
    """By itself and at once: the record of its run repeats what it reports and names what it leaves."""
    program = project.root / "algorithms/logistic/train.py"
    text = program.read_text()
    written = 'write_json_atomically(PATHS.model / "run.json", {"settings": given})'
    assert written in text
    program.write_text(text.replace(written, left))

    diary, outcome = _run(project.study(runs=1, members=1), tmp_path / "out")

    assert len(outcome.failed) == 2
    assert reason in diary.reason("train/one/run-0/member-0")


def test_a_job_that_takes_too_long_is_ended(project: SmallProject, tmp_path: Path):
    """The manifest's time limit ends a training, in words."""
    manifest = project.root / "algorithms/logistic/manifest.yaml"
    manifest.write_text(manifest.read_text().replace("timeout_s: 60", "timeout_s: 1"))
    methods = {"slow": {"algorithm": "logistic", "settings": {"step_s": 30.0}}}

    diary, outcome = _run(project.study(methods=methods, runs=1, members=1), tmp_path / "out")

    assert len(outcome.failed) == 1
    assert diary.reason("train/slow/run-0/member-0") == "timed out after 1 s"


def test_only_the_trainings(project: SmallProject, tmp_path: Path):
    """`reseed train` stops after the trainings; `reseed run` goes on from there."""
    study, out = project.study(), tmp_path / "out"

    diary, outcome = _run(study, out, part=Plan.trainings)
    assert outcome.is_complete
    assert {name.split("/")[0] for name in diary.started_jobs} == {"preprocess", "train"}

    diary, outcome = _run(study, out)
    assert outcome.is_complete
    assert {name.split("/")[0] for name in diary.started_jobs} == {"predict", "score", "compare"}


def test_a_polite_stop_checkpoints_and_the_next_command_goes_on(project: SmallProject, tmp_path: Path):
    """SIGTERM ends the running trainings at a checkpoint; the next command resumes them there."""
    methods = {"slow": {"algorithm": "logistic", "settings": {"step_s": 0.2, "n_steps": 40}}}
    study, out = project.study(methods=methods, runs=1, members=2), tmp_path / "out"
    threading.Thread(target=_stop_once_trained_a_little, args=(out,), daemon=True).start()

    diary, outcome = _run(study, out)
    assert outcome.interrupted
    assert {diary.endings[f"train/slow/run-0/member-{member}"].state for member in (0, 1)} == {
        JobState.QUEUED
    }

    _, outcome = _run(study, out)
    assert outcome.is_complete
    logs = [log.read_text() for log in (out / "jobs").glob("*/attempts/2/log")]
    assert sum("resumed at step" in log for log in logs) == 2


def _stop_once_trained_a_little(out: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if len(list((out / "jobs").glob("*/checkpoints/state.json"))) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
            return
        time.sleep(0.02)


def test_a_foreign_folder_is_refused(project: SmallProject, tmp_path: Path):
    """Results are never written among somebody else's files."""
    (tmp_path / "thesis.docx").write_text("do not touch")

    with pytest.raises(UserError, match="holds something that is not a study"):
        _run(project.study(), tmp_path)


def test_a_dataset_of_another_task_is_refused(project: SmallProject, tmp_path: Path):
    """The dataset says which tasks its cases are for."""
    manifest = project.dataset / "dataset.json"
    manifest.write_text(manifest.read_text().replace('"two_features"', '"other_task"'))

    with pytest.raises(UserError, match="made for other_task, not for 'two_features'"):
        study_run(project.study(), tmp_path / "out")


def test_no_process_outlives_a_finished_study(project: SmallProject, tmp_path: Path):
    """Every process that a study started has been waited for."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}

    _run(project.study(), tmp_path / "out")

    assert {child.pid for child in psutil.Process().children(recursive=True)} - before == set()
