"""A designed study, run to its end: its runs share seeds as the design says, and are split by source."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import SmallProject

METHODS = {"two": {"algorithm": "logistic", "settings": {"features": 2, "n_steps": 3}}}
LEVELS = {"weights": 3, "order": 2, "nondeterminism": 2}


def _typed(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reseed", *map(str, words)],
        cwd=cwd, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


@pytest.fixture
def designed(project: SmallProject, tmp_path: Path) -> Path:
    """STUDY_DIR of a crossed design of 12 runs."""
    document = {"kind": "crossed", "levels": LEVELS}
    study = project.study(methods=METHODS, runs=12, members=1, design=document)
    done = _typed("run", study, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "methods are not compared" in done.stdout
    return tmp_path / "small"


def _record(study: Path, run: int) -> dict[str, object]:
    found: dict[str, object] = json.loads((study / f"runs/two/{run}/run.json").read_text())
    return found


def test_a_designed_study(designed: Path, tmp_path: Path):
    """Levels are recorded, repetitions are trained again, sources are in comparisons.json and the report."""
    first, again, other = (_record(designed, run) for run in (0, 6, 1))

    assert first["levels"] == {"weights": 0, "order": 0, "nondeterminism": 0}
    assert again["levels"] == {"weights": 0, "order": 0, "nondeterminism": 1}
    assert other["levels"] == {"weights": 0, "order": 1, "nondeterminism": 0}
    assert first["jobs"] != again["jobs"]
    assert first["weights_digest"] == again["weights_digest"]
    assert first["weights_digest"] != other["weights_digest"]

    metric = json.loads((designed / "comparisons.json").read_text())["metrics"][0]
    sources = {row["source"]: row for row in metric["variation"][0]["sources"]}
    assert set(sources) == {"weights", "order", "interaction", "nondeterminism", "all together"}
    assert sources["weights"]["sd_high"] > 0
    assert sources["nondeterminism"]["sd_high"] == 0
    assert metric["scopes"] == {}
    assert "Another draw of the first weights." in (designed / "report.html").read_text()

    said = _typed("variation", designed, "--json", tmp_path / "sources.json", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines()[0].startswith("AUROC, two, 12 runs (crossed), 40 cases")
    whole = json.loads((tmp_path / "sources.json").read_text())
    own = {row["source"]: row for row in whole["metrics"]["auroc"]["two"]}
    assert own == sources


def test_independent_retrainings_tell_one_number(project: SmallProject, tmp_path: Path):
    """Without a design the command says what varied together, and what would tell it apart."""
    study = project.study(methods=METHODS, runs=3, members=1)
    assert _typed("run", study, cwd=tmp_path).returncode == 0

    said = _typed("variation", "small", "--metric", "auroc", cwd=tmp_path)

    assert said.returncode == 0, said.stderr
    assert len([line for line in said.stdout.splitlines() if line.startswith("  all together")]) == 1
    assert "Varied together: weights, order, augmentation, dropout." in said.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere: has no study.yaml; name the folder of a finished study"),
        (["nowhere", "--confidence", "95"], "--confidence must lie between 0 and 1, got 95"),
    ],
)
def test_refusals(tmp_path: Path, words: list[str], message: str):
    """One line."""
    done = _typed("variation", *words, cwd=tmp_path)

    assert done.returncode == 2
    assert message in done.stderr
