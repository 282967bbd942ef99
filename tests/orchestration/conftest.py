"""A small project with a real algorithm, a real task and real data made from numbers."""

from __future__ import annotations

import csv
import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from reseed.contracts.dataset import DatasetManifest
from reseed.contracts.digests import digest_by_file
from reseed.contracts.files import write_json_atomically
from reseed.contracts.sockets import Socket, SocketValue
from tests.engine import build_image, connected_engine
from tests.private_engine import PrivateEngine, private_engine

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]

_CASE_ID = Socket(slug="case-id", kind="String", super_kind="Value", relative_path="case-id.json")
_FEATURES = Socket(slug="features", kind="Anything", super_kind="Value", relative_path="features.json")


@dataclass
class SmallProject:
    """A project folder with a dataset, and a way to write study files into it."""

    root: Path
    dataset: Path
    defaults: dict[str, Any] = field(default_factory=dict)

    def study(self, name: str = "small.yaml", **changes: Any) -> Path:
        """A study file: two methods, two runs, two members, with some keys changed."""
        document = {
            "study": "small",
            "task": "two_features",
            "dataset": str(self.dataset),
            "entropy": 7,
            "runs": 2,
            "members": 2,
            "methods": {
                "one": {"algorithm": "logistic", "settings": {"features": 1}},
                "two": {"algorithm": "logistic", "settings": {"features": 2}},
            },
            **self.defaults,
            **changes,
        }
        path = self.root / "studies" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return path


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    """A fresh copy of the small project."""
    return small_project(tmp_path / "project")


def small_project(root: Path) -> SmallProject:
    """The small project in a folder of its own."""
    shutil.copytree(HERE / "project", root, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "evaluation" / "evaluate.py", root / "evaluation" / "evaluate.py")
    dataset = root / "datasets" / "two-features"
    _write_dataset(dataset)
    return SmallProject(root, dataset)


def _write_dataset(folder: Path) -> None:
    rng = random.Random(20231121)
    training = folder / "training" / "training.csv"
    training.parent.mkdir(parents=True)
    with training.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["label", "a", "b"])
        writer.writerows([label, *_features(rng, label)] for label in [0, 1] * 60)
    reference = folder / "test" / "reference" / "reference.csv"
    reference.parent.mkdir(parents=True)
    with reference.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["case", "patient", "label"])
        for number in range(40):
            case, label = f"case-{number:02}", number % 2
            writer.writerow([case, f"patient-{number // 2:02}", label])
            _write_case(folder / "test" / "cases" / case, case, _features(rng, label))
    manifest = DatasetManifest(
        dataset="two-features",
        title="Two features",
        version="1.0",
        tasks=("two_features",),
        licence="CC0",
        citation="none",
        source="drawn from normal distributions",
        n_training_cases=120,
        n_training_patients=120,
        n_test_cases=40,
        n_test_patients=20,
        files=digest_by_file(folder),
    )
    write_json_atomically(folder / "dataset.json", manifest)


def _features(rng: random.Random, label: int) -> list[float]:
    return [rng.gauss(label, 1.2), rng.gauss(label, 1.0)]


def _write_case(folder: Path, case: str, features: list[float]) -> None:
    folder.mkdir(parents=True)
    values = [SocketValue.of(_CASE_ID, value=case), SocketValue.of(_FEATURES)]
    write_json_atomically(folder / "inputs.json", [value.model_dump(mode="json") for value in values])
    (folder / "case-id.json").write_text(json.dumps(case))
    (folder / "features.json").write_text(json.dumps(features))


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """The Docker engine."""
    client = connected_engine()
    yield client
    client.close()


@pytest.fixture(scope="session")
def images(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The images of the small project, built from the project's own Dockerfile."""
    context = tmp_path_factory.mktemp("context")
    for name in ("Dockerfile", ".dockerignore", "constraints.txt", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, context / name)
    for name in ("entrypoints", "src", "evaluation"):
        shutil.copytree(REPOSITORY / name, context / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(HERE / "project" / "algorithms", context / "algorithms")
    build_image(context, target="algorithm", tag="reseed/logistic", algorithm="logistic")
    build_image(REPOSITORY, target="evaluation", tag="reseed/evaluation")


@pytest.fixture(scope="module")
def engine_of_its_own(images: None) -> Iterator[PrivateEngine]:
    """A Docker engine with the images of the small project, which may be killed."""
    engine = private_engine()
    try:
        engine.load("reseed/logistic", "reseed/evaluation")
        yield engine
    finally:
        engine.close()
