"""The paper's studies, planned whole without its data."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from reseed.contracts.job import JobKind
from reseed.orchestration.collection import provisional_inputs, read_collection, shared_plan

REPOSITORY = Path(__file__).parents[2]
STUDY = REPOSITORY / "studies" / "bosma2023.yaml"


def test_305_trainings():
    """105 folds and 200 nodule networks; the pancreas shares all of its own with PDAC, to the key."""
    context = read_collection(STUDY, project=REPOSITORY)
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


def test_dry_run(tmp_path: Path):
    """Counts, GPU hours, cost and CO2, and what data to bring, from the command line."""
    command = [sys.executable, "-m", "reseed", "run", "--dry-run", str(STUDY)]
    done = subprocess.run(
        [*command, "--datasets", str(tmp_path / "none")],
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
    assert done.stdout.count("not public") == 4
    assert "convert SOURCE --task pdac_detection --task pancreas_segmentation --out" in done.stdout
    assert list(tmp_path.iterdir()) == []


def _code(role: str) -> str:
    return f"{sum(role.encode()):064x}"
