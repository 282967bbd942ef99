"""Several studies in one file, trainings that serve two algorithms, and weights to start from."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from reseed.contracts.digests import file_digest
from reseed.contracts.errors import InvalidDocument
from reseed.contracts.job import JobKind
from reseed.orchestration.collection import (
    CollectionFolder,
    is_collection,
    provisional_inputs,
    read_collection,
    shared_plan,
)
from reseed.orchestration.plan import study_plan
from reseed.orchestration.state import exclusive
from reseed.orchestration.study_file import read_study
from reseed.orchestration.study_folder import StudyFolder

from .conftest import SmallProject


def _code(role: str) -> str:
    return {"logistic": "a", "twin": "d", "tuned": "e", "evaluation": "b", "comparison": "c"}[role] * 64


def _typed(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reseed", *map(str, words)],
        cwd=cwd, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def _copied_algorithm(project: SmallProject, name: str) -> tuple[Path, dict]:
    """A further algorithm folder, as logistic but for its manifest."""
    folder = project.root / "algorithms" / name
    shutil.copytree(project.root / "algorithms" / "logistic", folder)
    manifest = yaml.safe_load((folder / "manifest.yaml").read_text())
    manifest["algorithm"] = name
    return folder, manifest


@pytest.fixture
def twin(project: SmallProject) -> None:
    """An algorithm that predicts by itself and leaves the training to logistic."""
    folder, manifest = _copied_algorithm(project, "twin")
    manifest["trains_with"] = "logistic"
    manifest["hyperparameters"] = {
        "features": manifest["hyperparameters"]["features"] | {"stages": ["inference"]}
    }
    manifest["profiles"] = {}
    (folder / "manifest.yaml").write_text(yaml.safe_dump(manifest))
    for name in ("train.py", "preprocess.py"):
        (folder / name).unlink()


@pytest.fixture
def tuned(project: SmallProject) -> None:
    """An algorithm that starts from given weights."""
    folder, manifest = _copied_algorithm(project, "tuned")
    manifest["hyperparameters"]["initial_weights"] = {
        "type": "string",
        "default": "",
        "description": "A file.",
    }
    (folder / "manifest.yaml").write_text(yaml.safe_dump(manifest))
    train = (folder / "train.py").read_text()
    train = train.replace(
        "    if checkpoint.is_file():",
        "    if given['initial_weights']:\n"
        "        given_file = PATHS.channel('initial_weights') / given['initial_weights']\n"
        "        state['weights'] = json.loads(given_file.read_text())\n"
        "    if checkpoint.is_file():",
    )
    (folder / "train.py").write_text(train)


def _study(project: SmallProject, name: str, **changes: object) -> dict:
    document: dict = yaml.safe_load(project.study(f"{name}.yaml").read_text())
    methods = {"one": {"algorithm": "logistic", "settings": {"features": 1}}}
    return document | {"study": name, "methods": methods} | changes


def _collection(project: SmallProject, *studies: dict, **changes: object) -> Path:
    path = project.root / "studies" / "both.yaml"
    path.write_text(
        yaml.safe_dump({"collection": "both", "studies": list(studies), **changes}, sort_keys=False)
    )
    return path


@pytest.fixture
def both(project: SmallProject, twin: None) -> Path:
    """Two studies that share their trainings, by a method of the same name."""
    methods = {"one": {"algorithm": "twin", "settings": {"features": 1}}}
    return _collection(
        project, _study(project, "first"), _study(project, "second", methods=methods), title="Both at once"
    )


class TestPlan:
    def test_shared_trainings(self, both: Path):
        """
        Preprocessing and trainings of both are equal to the key; predictions are each one's own.
        """
        context = read_collection(both)
        plan = shared_plan({each.study.study: provisional_inputs(each, _code) for each in context.studies})
        counts = {name: [len(own.of_kind(kind).jobs) for kind in JobKind] for name, own in plan.own.items()}

        assert counts == {"first": [1, 4, 2, 2, 1], "second": [0, 0, 2, 2, 1]}
        assert plan.n_shared("second", JobKind.TRAIN) == 4
        needed = {key for job in plan.own["second"].jobs for key in job.needs}
        assert {job.key for job in plan.own["first"].of_kind(JobKind.TRAIN).jobs} <= needed

    def test_settings_go_to_whoever_knows_them(self, both: Path):
        """
        A setting of the training algorithm is for the training, an own one for the prediction.
        """
        context = read_collection(both)
        jobs = study_plan(provisional_inputs(context.studies[1], _code)).jobs
        by_kind = {job.kind: job for job in jobs}

        assert by_kind[JobKind.TRAIN].role == by_kind[JobKind.PREPROCESS].role == "logistic"
        assert by_kind[JobKind.PREDICT].role == "twin"
        assert by_kind[JobKind.TRAIN].settings["n_steps"] == "40"
        assert by_kind[JobKind.PREDICT].settings == {"features": "1"}

    def test_another_entropy_shares_nothing(self, project: SmallProject, twin: None):
        """
        Trainings under other seeds are other trainings; their preprocessing is the same.
        """
        path = _collection(project, _study(project, "first"), _study(project, "second", entropy=8))
        context = read_collection(path)
        plan = shared_plan({each.study.study: provisional_inputs(each, _code) for each in context.studies})

        assert plan.n_shared("second", JobKind.TRAIN) == 0
        assert plan.n_shared("second", JobKind.PREPROCESS) == 1


class TestReading:
    def test_which_files_are_collections(self, both: Path, project: SmallProject):
        """
        The key `studies` tells.
        """
        assert is_collection(both)
        assert not is_collection(project.study())
        assert not is_collection(project.root / "nowhere.yaml")

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"study": "first"}, "two studies are named 'first'"),
            ({"methods": {"m": {"algorithm": "none"}}}, "study second: .*no algorithm 'none'"),
            ({"task": "none"}, "study second: .*no task 'none'"),
        ],
    )
    def test_mistakes(self, project: SmallProject, changes: dict, words: str):
        """
        A mistake names the study.
        """
        second = _study(project, "second") | changes

        with pytest.raises(InvalidDocument, match=words):
            read_collection(_collection(project, _study(project, "first"), second))

    def test_a_dataset_of_no_study(self, project: SmallProject):
        """
        A description of a dataset that nobody uses is a slip.
        """
        with pytest.raises(InvalidDocument, match=r"datasets\.other is not the dataset of any study"):
            read_collection(_collection(project, _study(project, "first"), datasets={"other": "?"}))


class TestCommands:
    def test_run(self, both: Path, tmp_path: Path):
        """
        Every training is done once, every study has its report, and a second time nothing is done.
        """
        done = _typed("run", both, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        trained = [
            json.loads(path.read_text())["name"]
            for path in (tmp_path / "both" / "jobs").glob("*/state.json")
            if json.loads(path.read_text())["name"].startswith("train/")
        ]

        assert len(trained) == 4
        for name in ("first", "second"):
            folder = tmp_path / "both" / name
            assert (folder / "report.html").is_file()
            assert len(json.loads((folder / "comparisons.json").read_text())["metrics"]) > 0
            assert (folder / "runs/one/1/model/member-1/weights.json").is_file()
        models = [
            tmp_path / "both" / name / "runs/one/0/model/member-0/weights.json"
            for name in ("first", "second")
        ]
        assert file_digest(models[0]) == file_digest(models[1])
        planned = _typed("plan", both, cwd=tmp_path).stdout.splitlines()
        assert planned[1] == "15 jobs, 15 done: 1 preprocess, 4 train, 4 predict, 4 score, 2 compare"
        again = _typed("run", both, cwd=tmp_path)
        assert again.returncode == 0
        assert len(list((tmp_path / "both" / "jobs").iterdir())) == 15

    def test_dry_run_needs_no_data(self, both: Path, tmp_path: Path):
        """
        A plan says how many trainings there are, which are shared, and what has to be brought.
        """
        text = both.read_text()
        document = yaml.safe_load(text)
        for study in document["studies"]:
            study["dataset"] = "secret"
        document["datasets"] = {"secret": "ten patients, not public"}
        both.write_text(yaml.safe_dump(document, sort_keys=False))
        done = _typed("run", both, "--dry-run", cwd=tmp_path)
        lines = done.stdout.splitlines()

        assert done.returncode == 0, done.stderr
        assert lines[0] == "both: Both at once"
        assert lines[2].split(None, 1) == ["first", "2 runs of one, 2 members each: 4 trainings"]
        assert lines[3].endswith("0 trainings, 4 more shared with a study above")
        assert sum("dataset secret (ten patients, not public): make it with" in line for line in lines) == 1
        assert not (tmp_path / "both").exists()
        refused = _typed("run", both, cwd=tmp_path)
        assert refused.returncode == 2
        assert "studies first and second: dataset secret (ten patients, not public)" in refused.stderr
        assert not (tmp_path / "both").exists()

    @pytest.mark.parametrize("words", [["plan"], ["run", "--dry-run"], ["run"]])
    def test_datasets_of_other_tasks(
        self, both: Path, project: SmallProject, words: list[str], tmp_path: Path
    ):
        """
        Every dataset that is not of its study's task is a line, before the first job of any study; where
        jobs are to be run, also every one that is not here.
        """
        other = project.root / "datasets" / "other"
        shutil.copytree(project.dataset, other)
        manifest = json.loads((other / "dataset.json").read_text())
        (other / "dataset.json").write_text(json.dumps(manifest | {"tasks": ["three_features"]}))
        document = yaml.safe_load(both.read_text())
        first, second = document["studies"]
        (project.root / "datasets" / "broken").mkdir()
        (project.root / "datasets" / "broken" / "dataset.json").write_text("{")
        document["studies"] = [
            first,
            second | {"dataset": "other"},
            second | {"study": "third", "dataset": "lidc-nodules"},
            second | {"study": "fourth", "dataset": "broken"},
            second | {"study": "fifth", "dataset": "secret"},
        ]
        both.write_text(yaml.safe_dump(document, sort_keys=False))

        done = _typed(*words, both, cwd=tmp_path)

        assert done.returncode == 2
        lines = done.stderr.splitlines()
        assert lines[:2] == [
            f"reseed: study second: dataset {other}: made for three_features, not for 'two_features'; "
            "`reseed data convert` takes several --task",
            "study third: dataset lidc-nodules: made for nodule_malignancy, not for 'two_features'",
        ]
        assert lines[2].startswith(f"study fourth: {project.root}/datasets/broken/dataset.json:")
        rest = ["study fifth: dataset secret: make it with"] if words == ["run"] else []
        assert [line.partition(" `reseed")[0] for line in lines[3:]] == rest
        assert not (tmp_path / "both").exists()

    def test_place_is_taken(self, both: Path, tmp_path: Path):
        """
        A folder of something else is left alone.
        """
        (tmp_path / "both").mkdir()
        (tmp_path / "both" / "thesis.tex").write_text("years")
        done = _typed("run", both, cwd=tmp_path)

        assert done.returncode == 2
        assert "holds something that is not a collection" in done.stderr
        assert [path.name for path in (tmp_path / "both").iterdir()] == ["thesis.tex"]

    def test_one_failure_does_not_stop_the_next(self, project: SmallProject, tmp_path: Path):
        """
        A study that fails is said to; the others are done all the same.
        """
        bad = {"bad": {"algorithm": "logistic", "settings": {"crash": "fail"}}}
        path = _collection(
            project, _study(project, "first", methods=bad, runs=1, members=1), _study(project, "second")
        )
        done = _typed("run", path, cwd=tmp_path)

        assert done.returncode == 1
        assert "1 of 2 studies are not complete" in done.stdout
        assert (tmp_path / "both" / "second" / "report.html").is_file()

    def test_options_reach_the_studies(self, project: SmallProject, tmp_path: Path):
        """
        --retry-failed tries again what failed by itself, --memory is what all jobs may use; train has both.
        """
        bad = {"bad": {"algorithm": "logistic", "settings": {"crash": "fail"}}}
        path = _collection(project, _study(project, "first", methods=bad, runs=1, members=1))

        for command, options in (("train", ()), ("train", ("--retry-failed",)), ("run", ("--retry-failed",))):
            done = _typed(command, path, *options, cwd=tmp_path)
            assert done.returncode == 1, done.stdout + done.stderr
            assert "not tried again" not in done.stdout
        records = [json.loads(each.read_text()) for each in (tmp_path / "both/jobs").glob("*/state.json")]
        (training,) = [record for record in records if record["name"].startswith("train/")]
        assert [attempt["fault"] for attempt in training["attempts"]] == ["job"] * 6

        for command in ("run", "train"):
            refused = _typed(command, path, "--memory", "0.1", cwd=tmp_path)
            assert refused.returncode == 2
            assert "GiB of memory, here are 0.1" in refused.stderr


class TestSharedJobs:
    @pytest.fixture
    def laid_out(self, both: Path, tmp_path: Path) -> CollectionFolder:
        """The collection's folder as `reseed run` makes it, before any job."""
        folder, context = CollectionFolder(tmp_path / "both"), read_collection(both)
        folder.path.mkdir()
        folder.claim(context)
        for study in context.studies:
            folder.prepared(study)
        return folder

    def test_one_study_at_a_time(self, laid_out: CollectionFolder, both: Path, tmp_path: Path):
        """
        Whoever runs one study has the jobs of all: another study, and the whole, are refused meanwhile.
        """
        second = laid_out.study("second")
        with exclusive(laid_out.study("first")):
            refused = [
                _typed("run", second.study, "--out", second.path, "--project", both.parents[1], cwd=tmp_path),
                _typed("run", both, cwd=tmp_path),
            ]

        for each in refused:
            assert each.returncode == 2, each.stdout + each.stderr
            assert f"{laid_out.path}: another reseed, process {os.getpid()}, is at work" in each.stderr
        assert not any((laid_out.path / "jobs").iterdir())
        with exclusive(second):
            pass

    def test_the_whole_has_its_studies(self, laid_out: CollectionFolder, both: Path, tmp_path: Path):
        """
        Who runs the whole collection may take each study, and nobody else may.
        """
        second = laid_out.study("second")
        with exclusive(laid_out.lock_folder), exclusive(laid_out.study("first")):
            refused = _typed(
                "run", second.study, "--out", second.path, "--project", both.parents[1], cwd=tmp_path
            )

        assert refused.returncode == 2
        assert f"{laid_out.path}: another reseed, process {os.getpid()}, is at work" in refused.stderr

    def test_jobs_on_another_disk(self, laid_out: CollectionFolder, tmp_path: Path):
        """
        The collection's jobs may be a link too; a study that links its own jobs is in no collection.
        """
        (laid_out.path / "jobs").rename(tmp_path / "large")
        (laid_out.path / "jobs").symlink_to(tmp_path / "large")
        alone = StudyFolder(tmp_path / "alone")
        alone.path.mkdir()
        alone.jobs.symlink_to(tmp_path / "large")

        assert laid_out.study("first").collection == laid_out.lock_folder
        assert alone.collection is None


class TestInitialWeights:
    def _methods(self, algorithm: str, weights: str = "base.json") -> dict:
        return {
            "random": {"algorithm": algorithm},
            "tuned": {"algorithm": algorithm, "initial_weights": weights},
        }

    def test_part_of_the_key(self, project: SmallProject, tuned: None):
        """
        Trainings that start from a file depend on its bytes and its name, and others not on it at all.
        """
        file = project.root / "studies" / "base.json"
        file.parent.mkdir(exist_ok=True)
        path = project.study(methods=self._methods("tuned"))
        keys = []
        for text in ("[0, 0, 0]", "[1, 0, 0]"):
            file.write_text(text)
            jobs = study_plan(provisional_inputs(read_study(path), _code)).jobs
            keys.append({job.name: job.key for job in jobs if job.kind is JobKind.TRAIN})
        changed = {name for name in keys[0] if keys[0][name] != keys[1][name]}

        assert changed == {name for name in keys[0] if "/tuned/" in name}
        inputs = provisional_inputs(read_study(path), _code)
        assert study_plan(replace(inputs, initial_weights={})).jobs != study_plan(inputs).jobs

    def test_run(self, project: SmallProject, tuned: None, tmp_path: Path):
        """
        The file reaches the training and stays with the study; run.json says what was started from.
        """
        (project.root / "studies").mkdir(exist_ok=True)
        file = project.root / "studies" / "base.json"
        file.write_text("[0.5, -3, 7]")
        still = {"algorithm": "tuned", "initial_weights": "base.json", "settings": {"learning_rate": 0}}
        path = project.study(
            methods={"tuned": still},
            runs=2,
            members=1,
        )
        done = _typed("run", path, cwd=tmp_path)

        assert done.returncode == 0, done.stdout + done.stderr
        run = tmp_path / "small/runs/tuned/1"
        assert json.loads((run / "model/member-0/weights.json").read_text()) == [0.5, -3, 7]
        assert json.loads((run / "run.json").read_text())["settings"]["initial_weights"] == "base.json"
        assert (tmp_path / "small/files" / file_digest(file) / "base.json").read_text() == "[0.5, -3, 7]"

    @pytest.mark.parametrize(
        ("algorithm", "words"),
        [
            ("tuned", r"methods\.tuned\.initial_weights: no file .*studies/base\.json"),
            ("logistic", "logistic has no setting 'initial_weights': it always starts at random"),
        ],
    )
    def test_mistakes(self, project: SmallProject, tuned: None, algorithm: str, words: str):
        """
        A file that is not there, or an algorithm that takes none, is named with its place.
        """
        with pytest.raises(InvalidDocument, match=words):
            read_study(project.study(methods=self._methods(algorithm)))


def test_folder_names():
    """A collection's studies are below it."""
    assert CollectionFolder(Path("/x")).study("a").jobs == Path("/x/a/jobs")
