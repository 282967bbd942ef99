"""`docker compose up train`, in a checkout at a place of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.engine import REPOSITORY

TIMEOUT_S = 1500


def _checkout(folder: Path) -> Path:
    """What git would put into a clone, changes included."""
    listed = subprocess.run(
        ["git", "-C", str(REPOSITORY), "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        capture_output=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.decode().split("\0"):
        if name and (REPOSITORY / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target)
    return folder


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.usefixtures("engine")
def test_compose_builds_its_images_and_leaves_the_report_on_the_host(tmp_path: Path):
    """
    One command in any checkout builds three images and trains every member in its own container.

    The report and the results are files of the checkout; the images hold the checkout's code, also
    where older images of the same name were there before, and fit their limits.
    """
    checkout = _checkout(tmp_path / "somewhere" / "a checkout")
    package = checkout / "src" / "reseed" / "__init__.py"
    package.write_text(package.read_text() + f"\n__version__ = {str(tmp_path)!r}\n")
    environment = {
        **os.environ,
        "STUDY": "studies/smoke.yaml",
        "WHEELHOUSE": str(REPOSITORY / "wheelhouse"),
    }

    done = subprocess.run(
        ["docker", "compose", "up", "--no-color", "--exit-code-from", "train", "train"],
        cwd=checkout, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "<html" in (checkout / "smoke" / "report.html").read_text()[:400]
    record = json.loads((checkout / "smoke/runs/volume_3d/1/run.json").read_text())
    assert record["program"]["executor"] == "docker"
    assert len(record["members"]) == 2
    version = subprocess.run(
        ["docker", "run", "--rm", "--network", "none", "reseed/service", "--version"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert str(tmp_path) in version.stdout.replace("\n", "")
    size = subprocess.run(
        ["docker", "image", "inspect", "--format", "{{.Size}}", "reseed/evaluation"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(size.stdout) < 1_200_000_000
    torch = subprocess.run(
        ["docker", "run", "--rm", "--network", "none", "reseed/evaluation", "python3", "-c", "import torch"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "No module named 'torch'" in torch.stderr
