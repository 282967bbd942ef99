"""The paper's studies, planned whole without its data."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from reseed.contracts.job import JobKind
from reseed.contracts.task import Task
from reseed.documents.reading import read_yaml
from reseed.orchestration.collection import provisional_inputs, read_collection, shared_plan

REPOSITORY = Path(__file__).parents[2]
STUDY = REPOSITORY / "studies" / "bosma2023.yaml"
TRAINED_BY = {"pancreas_segmentation": "pdac_detection"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The project; where an algorithm's folder has not come yet, one with no more than a manifest.
    """
    root = tmp_path_factory.mktemp("bosma2023")
    (root / "evaluation").symlink_to(REPOSITORY / "evaluation")
    (root / "studies").mkdir()
    (root / "studies" / STUDY.name).symlink_to(STUDY)
    (root / "algorithms").mkdir()
    own = REPOSITORY / "algorithms"
    (root / "algorithms" / "common").symlink_to(own / "common")
    for study in yaml.safe_load(STUDY.read_text())["studies"]:
        for method in study["methods"].values():
            name = method["algorithm"]
            if (own / name / "manifest.yaml").is_file():
                (root / "algorithms" / name).symlink_to(own / name)
                continue
            task = read_yaml(REPOSITORY / "evaluation" / "tasks" / f"{study['task']}.yaml", Task)
            manifest = {
                "algorithm": name,
                "title": name,
                "version": "0",
                "description": "to come",
                "task": task.task,
                "licence": "Apache-2.0",
                "inputs": [socket.model_dump() for socket in task.inputs],
                "outputs": [socket.model_dump() for socket in task.outputs],
                "hyperparameters": {},
                "trains_with": TRAINED_BY.get(name),
            }
            (root / "algorithms" / name).mkdir()
            (root / "algorithms" / name / "manifest.yaml").write_text(yaml.safe_dump(manifest))
    return root


def test_305_trainings(project: Path):
    """105 folds and 200 nodule networks; the pancreas shares all of its own with PDAC, to the key."""
    context = read_collection(project / "studies" / STUDY.name, project=project)
    plan = shared_plan({each.study.study: provisional_inputs(each, _code) for each in context.studies})
    own = {name: len(part.of_kind(JobKind.TRAIN).jobs) for name, part in plan.own.items()}

    assert own == {
        "cspca_detection": 35,
        "pdac_detection": 35,
        "pancreas_segmentation": 0,
        "prostate_segmentation": 35,
        "nodule_malignancy": 200,
    }
    assert sum(own.values()) == 305
    assert plan.n_shared("pancreas_segmentation", JobKind.TRAIN) == 35
    assert [each.study.n_runs(*each.study.methods) for each in context.studies] == [7, 7, 7, 7, 10]


def test_dry_run(project: Path, tmp_path: Path):
    """Counts, GPU hours, cost and CO2, and what data to bring, from the command line."""
    command = [sys.executable, "-m", "reseed", "run", "--dry-run", str(project / "studies" / STUDY.name)]
    done = subprocess.run(
        [*command, "--project", str(project)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "305 train, 38 predict, 38 score, 5 compare" in done.stdout
    assert "3980 GPU hours" in done.stdout
    assert "kg CO2" in done.stdout
    assert done.stdout.count("not public") == 5
    assert list(tmp_path.iterdir()) == []


def _code(role: str) -> str:
    return f"{sum(role.encode()):064x}"
