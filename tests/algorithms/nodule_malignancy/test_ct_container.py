"""The paper's ensemble, tiny, in its own container with the sandbox of an untrusted program."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import docker
import numpy as np
import pytest
import SimpleITK
import yaml

from reseed.datasets.convert import ConversionRequest, convert_dataset
from reseed.scoring.tasks import read_task
from tests.algorithms.nodule_malignancy.test_ct_entry_points import scan
from tests.engine import REPOSITORY, build_image, connected_engine


@pytest.fixture(scope="module")
def engine() -> docker.DockerClient:
    """The engine, with the images of the algorithm and of the evaluation."""
    client = connected_engine()
    for target, name in (("algorithm", "nodule_malignancy"), ("evaluation", None)):
        build_image(REPOSITORY, target=target, tag=f"reseed/{name or target}", algorithm=name)
    return client


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve scans of one nodule each, made by the converter; large ones are malignant."""
    root = tmp_path_factory.mktemp("ct")
    (root / "ct").mkdir()
    rng = np.random.default_rng(1)
    rows = ["case,patient,nodule,x_mm,y_mm,z_mm,label"]
    for number in range(12):
        label = number % 2
        SimpleITK.WriteImage(
            scan([((40.0, 40.0, 30.0), 9 if label else 4)], rng), str(root / "ct" / f"s{number}.mha")
        )
        rows.append(f"s{number},p{number},1,40,40,30,{label}")
    (root / "nodules.csv").write_text("\n".join(rows) + "\n")
    split = ["case,part", *(f"s{n},{'test' if n >= 8 else 'training'}" for n in range(12))]
    (root / "split.csv").write_text("\n".join(split) + "\n")
    asked = ConversionRequest(
        source=root / "ct",
        out=root / "tiny-ct",
        task=read_task("lung_nodule_malignancy", REPOSITORY / "evaluation" / "tasks"),
        nodules=root / "nodules.csv",
        split=root / "split.csv",
    )
    convert_dataset(asked, lambda line: None)
    return root / "tiny-ct"


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
def test_from_ct_to_metrics(dataset: Path, tmp_path: Path):
    """
    preprocess, train, inference and evaluation, each in its container, from scans to metrics.
    """
    study = {
        "study": "tiny",
        "task": "lung_nodule_malignancy",
        "dataset": str(dataset),
        "entropy": 0,
        "runs": 1,
        "members": 4,
        "methods": {"mixed": {"algorithm": "nodule_malignancy", "profile": "smoke_ct"}},
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(study))
    command = [sys.executable, "-m", "reseed", "run", "tiny.yaml", "--executor", "docker"]
    command += ["--project", str(REPOSITORY), "--out", str(tmp_path / "out")]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=550, check=False)

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    run = tmp_path / "out" / "runs" / "mixed" / "0"
    metrics = json.loads((run / "metrics.json").read_text())
    assert 0 <= metrics["aggregates"]["case_auroc"]["value"] <= 1
    assert len(metrics["results"]) == 4
    architectures = [
        json.loads((run / "model" / f"member-{member}" / "run.json").read_text())["architecture"]
        for member in range(4)
    ]
    assert architectures == 2 * ["resnet50_planes9"] + 2 * ["i3d"]
    assert json.loads((run / "run.json").read_text())["program"]["executor"] == "docker"
