"""The plan: a pure function, asserted whole."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reseed.contracts.digests import document_digest
from reseed.contracts.job import Job, JobKind
from reseed.contracts.study import Study
from reseed.orchestration.plan import Plan, PlanInputs, study_plan
from reseed.orchestration.study_file import read_study

from .conftest import SmallProject


def _inputs(path: Path) -> PlanInputs:
    context = read_study(path)
    return PlanInputs(
        study=context.study,
        task=context.task,
        manifests={name: found.manifest for name, found in context.algorithms.items()},
        algorithm_of=context.algorithm_of,
        dataset_digest=lambda folder: f"digest of {folder}",
        code_digest=lambda role: {"logistic": "a", "evaluation": "b", "comparison": "c"}[role] * 64,
    )


def _needs(plan: Plan) -> dict[str, list[str]]:
    names = {job.key: job.name for job in plan.jobs}
    return {job.name: [names[key] for key in job.needs] for job in plan.jobs}


def _keys(plan: Plan) -> dict[str, str]:
    return {job.name: job.key for job in plan.jobs}


def _changed(before: Plan, after: Plan) -> set[str]:
    old, new = _keys(before), _keys(after)
    return {name for name in new if old.get(name) != new[name]}


def test_the_whole_plan(project: SmallProject):
    """Every run is trained member by member, predicted and scored; then all runs are compared."""
    needs = _needs(study_plan(_inputs(project.study())))

    expected: dict[str, list[str]] = {}
    for method in ("one", "two"):
        expected[f"preprocess/{method}"] = []
        for run in (0, 1):
            members = [f"train/{method}/run-{run}/member-{member}" for member in (0, 1)]
            expected |= {member: [f"preprocess/{method}"] for member in members}
            expected[f"predict/{method}/run-{run}"] = members
            expected[f"score/{method}/run-{run}"] = [f"predict/{method}/run-{run}"]
    expected["compare"] = [f"score/{method}/run-{run}" for method in ("one", "two") for run in (0, 1)]
    assert needs == expected
    assert list(needs) == list(expected)


RECORDED_KEYS = {
    "preprocess/one": "f46ba02f5d37af8245c9710f7857f4aac58ae5c904a16716375dc201d96f41ab",
    "train/one/run-0/member-0": "dce924543e17e61c64a340c1167779543a12b1db8ca00f65359d9550461e312e",
    "train/two/run-1/member-1": "c5ad30917f9ada8c94a9e2878374f3e002737e20938c079e289ee8319156e083",
    "predict/two/run-1": "12bc2c9b2649fa7fe0f2140c0847d4130a42d660c5e81ebfd114b407ac73fbd9",
    "score/two/run-1": "536ab93539c23f49fbeea02aa4ce8b09a1cd54177d515071db7d8797a9c2224e",
    "compare": "1e1db55639c0156a10f3a129dac9b8ebfc74e56488f764f8e00f92c7300ecdba",
}


def test_keys_are_recorded_numbers(project: SmallProject):
    """The same study, data and code have the keys they had: otherwise finished studies would be redone."""
    keys = _keys(study_plan(_inputs(project.study())))

    assert {name: keys[name] for name in RECORDED_KEYS} == RECORDED_KEYS


def test_repetitions_are_jobs_of_their_own(project: SmallProject):
    """Equal seeds, other keys; the first repetition is the run without any."""
    levels = {"weights": 2, "nondeterminism": 2}
    study = project.study(runs=4, members=1, design={"kind": "crossed", "levels": levels})
    plan = study_plan(_inputs(study))
    of_one = [job for job in plan.of_kind(JobKind.TRAIN).jobs if job.method == "one"]

    assert [job.environment.get("RESEED_REPETITION") for job in of_one] == [None, None, "1", "1"]
    assert [job.environment["RESEED_SEED_WEIGHTS"] for job in of_one[:2]] == [
        job.environment["RESEED_SEED_WEIGHTS"] for job in of_one[2:]
    ]
    assert len({job.key for job in of_one}) == 4


def test_methods_that_preprocess_alike_share_the_preprocessing(project: SmallProject):
    """A setting that only training reads does not make a second preprocessing."""
    methods = {
        "fast": {"algorithm": "logistic", "settings": {"learning_rate": 0.9}},
        "slow": {"algorithm": "logistic", "settings": {"learning_rate": 0.1}},
    }

    plan = study_plan(_inputs(project.study(methods=methods)))

    assert [job.name for job in plan.of_kind(JobKind.PREPROCESS).jobs] == ["preprocess/fast"]


def test_one_setting_redoes_what_depends_on_it_and_nothing_else(project: SmallProject):
    """A changed training setting of one method leaves the other method and the preprocessing alone."""
    before = study_plan(_inputs(project.study()))
    methods = {
        "one": {"algorithm": "logistic", "settings": {"features": 1}},
        "two": {"algorithm": "logistic", "settings": {"features": 2, "n_steps": 41}},
    }

    changed = _changed(before, study_plan(_inputs(project.study(methods=methods))))

    assert changed == {
        "compare",
        *(f"train/two/run-{run}/member-{member}" for run in (0, 1) for member in (0, 1)),
        *(f"{kind}/two/run-{run}" for kind in ("predict", "score") for run in (0, 1)),
    }


def test_a_default_written_out_changes_nothing(project: SmallProject):
    """What decides a key is the value of a setting, not whether the study file says it."""
    before = study_plan(_inputs(project.study()))
    methods = {
        "one": {"algorithm": "logistic", "settings": {"features": 1, "n_steps": 40}},
        "two": {"algorithm": "logistic"},
    }

    assert _changed(before, study_plan(_inputs(project.study(methods=methods)))) == set()


def test_a_study_that_grows_keeps_its_runs(project: SmallProject):
    """A third run adds the jobs of that run, and a new comparison."""
    before = study_plan(_inputs(project.study()))

    changed = _changed(before, study_plan(_inputs(project.study(runs=3))))

    assert {name for name in changed if "run-2" not in name} == {"compare"}
    assert len(changed) == 1 + 2 * 4


@pytest.mark.parametrize(
    ("role", "kinds"),
    [
        ("logistic", {"preprocess", "train", "predict", "score", "compare"}),
        ("evaluation", {"score", "compare"}),
        ("comparison", {"compare"}),
    ],
)
def test_other_code_redoes_what_it_made(project: SmallProject, role: str, kinds: set[str]):
    """A new image or program redoes its own jobs and what follows from them."""
    inputs = _inputs(project.study())
    before = study_plan(inputs)
    changed_code = replace(
        inputs, code_digest=lambda asked: "d" * 64 if asked == role else inputs.code_digest(asked)
    )

    assert {name.split("/")[0] for name in _changed(before, study_plan(changed_code))} == kinds


def test_test_labels_do_not_retrain(project: SmallProject):
    """Corrected test labels redo scores and comparison, no training."""
    inputs = _inputs(project.study())
    before = study_plan(inputs)
    corrected = replace(
        inputs, dataset_digest=lambda folder: "new" if folder == "test/reference" else f"digest of {folder}"
    )

    changed = {name.split("/")[0] for name in _changed(before, study_plan(corrected))}

    assert changed == {"score", "compare"}


def test_every_training_has_its_own_seeds_in_its_environment(project: SmallProject):
    """No two trainings share the seeds that the study varies; the held split is shared by all."""
    plan = study_plan(_inputs(project.study()))
    environments = [job.environment for job in plan.of_kind(JobKind.TRAIN).jobs]

    assert len({environment["RESEED_SEED_WEIGHTS"] for environment in environments}) == 8
    assert len({environment["RESEED_SEED_SPLIT"] for environment in environments}) == 1
    assert [environment["RESEED_MEMBER"] for environment in environments[:2]] == ["0", "1"]
    assert {environment["RESEED_MEMBERS"] for environment in environments} == {"2"}


def test_settings_reach_a_job_as_strings(project: SmallProject):
    """hyperparameters.json holds strings only, every default written out."""
    plan = study_plan(_inputs(project.study()))
    training = plan.of_kind(JobKind.TRAIN).jobs[0]

    assert training.settings == {
        "crash": "none", "features": "1", "learning_rate": "0.5", "n_steps": "40", "step_s": "0.0",
        "unlucky_run": "-1",
    }  # fmt: skip


def test_a_part_of_a_plan_holds_what_it_needs(project: SmallProject):
    """The way to one score is its run and the preprocessing, and no other run."""
    plan = study_plan(_inputs(project.study()))
    score = _keys(plan)["score/two/run-1"]

    assert [job.name for job in plan.leading_to([score]).jobs] == [
        "preprocess/two",
        "train/two/run-1/member-0",
        "train/two/run-1/member-1",
        "predict/two/run-1",
        "score/two/run-1",
    ]


KEY_FIELDS = {
    "kind", "role", "command", "code", "settings", "environment", "config", "data", "inputs", "outputs",
}  # fmt: skip


def test_a_key_is_the_digest_of_what_decides_the_result(project: SmallProject):
    """Recorded studies keep their keys: the digest is of these fields of the job, as JSON, and no others."""
    for job in study_plan(_inputs(project.study())).jobs:
        deciding = job.model_dump(mode="json", include=KEY_FIELDS)
        for folder in deciding["inputs"]:
            assert folder.pop("file") is None  # nothing is given to these trainings
        assert job.key == document_digest(deciding)


def test_a_plan_as_json_is_the_plan(project: SmallProject):
    """Every job comes back from plan.json as it was."""
    plan = study_plan(_inputs(project.study()))

    assert tuple(Job.model_validate(job) for job in json.loads(plan.as_json())) == plan.jobs


def test_a_large_plan(project: SmallProject):
    """A study of a hundred methods and a hundred runs is a plan like any other: no job twice."""
    methods = {
        f"m{number}": {"algorithm": "logistic", "settings": {"learning_rate": number / 100}}
        for number in range(10)
    }
    inputs = _inputs(project.study(methods=methods))
    large = Study.model_validate({**inputs.study.model_dump(), "runs": 20})

    plan = study_plan(replace(inputs, study=large))

    assert len(plan.jobs) == 1 + 10 * 20 * 4 + 1
    assert len({job.key for job in plan.jobs}) == len(plan.jobs)


def test_resources_of_a_method(project: SmallProject):
    """What a method says of its jobs' resources takes the manifest's place, and changes no key."""
    methods: dict[str, dict[str, Any]] = {
        "one": {"algorithm": "logistic"},
        "two": {"algorithm": "logistic", "settings": {"features": 2}},
    }
    plain = study_plan(_inputs(project.study(methods=methods)))
    methods["one"]["resources"] = {"train": {"memory_gib": 0.5}, "inference": {"cpus": 3, "timeout_s": 7}}
    changed = study_plan(_inputs(project.study(methods=methods)))
    before, after = ({job.name: job.resources for job in plan.jobs} for plan in (plain, changed))

    assert _keys(changed) == _keys(plain)
    assert after["train/one/run-0/member-0"] == before["train/one/run-0/member-0"].model_copy(
        update={"memory_gib": 0.5}
    )
    assert after["predict/one/run-1"] == before["predict/one/run-1"].model_copy(
        update={"cpus": 3, "timeout_s": 7}
    )
    unchanged = [name for name in before if "/two/" in name or name.startswith(("preprocess", "score"))]
    assert {name: after[name] for name in unchanged} == {name: before[name] for name in unchanged}
