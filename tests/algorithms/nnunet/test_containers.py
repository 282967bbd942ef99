"""Each nnU-Net algorithm in its own hardened containers: preprocess, train, inference, evaluation."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml

from tests.algorithms.jobs import PROJECT
from tests.algorithms.nnunet.pipelines import ALGORITHMS, manifest_of
from tests.engine import build_image, connected_engine


@pytest.fixture(scope="session")
def evaluation_image() -> None:
    """The image that scores."""
    connected_engine().close()
    build_image(PROJECT, target="evaluation", tag="reseed/evaluation")


@pytest.mark.docker
@pytest.mark.usefixtures("evaluation_image")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_study_in_containers(algorithm, dataset, tmp_path):
    """
    `reseed run` trains, predicts and scores in containers without network, root or capabilities, on a
    read-only root; the evaluation container takes what inference has written.
    """
    for name in filter(None, (algorithm, manifest_of(algorithm).trains_with)):
        build_image(PROJECT, target="algorithm", tag=f"reseed/{name}", algorithm=name)
    study = tmp_path / "study.yaml"
    document = {
        "study": "containers",
        "task": manifest_of(algorithm).task,
        "dataset": str(dataset(algorithm)),
        "entropy": 0,
        "runs": 1,
        "methods": {"smoke": {"algorithm": algorithm, "profile": "smoke"}},
    }
    study.write_text(yaml.safe_dump(document))
    command = [
        sys.executable, "-m", "reseed", "run", str(study), "--project", str(PROJECT),
        "--out", str(tmp_path / "out"), "--executor", "docker",
    ]  # fmt: skip

    done = subprocess.run(command, capture_output=True, text=True, timeout=550, check=False)

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    run = tmp_path / "out/runs/smoke/0"
    assert len(json.loads((run / "metrics.json").read_text())["results"]) == 2
    record = json.loads((run / "run.json").read_text())
    assert record["program"]["executor"] == "docker"
    assert record["members"][0]["weights"]
