"""The guide for clusters shows what the program makes, and names all that there is."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from reseed.contracts.job import Job, JobKind, OutputFolder
from reseed.contracts.slurm import SlurmSettings
from reseed.orchestration.slurm.arrays import JobArray
from reseed.orchestration.slurm.batch import Batch
from reseed.orchestration.slurm.script import batch_script
from tests.orchestration.conftest import REPOSITORY

GUIDE = REPOSITORY / "docs" / "cluster.md"


def _settings() -> SlurmSettings:
    """The example of a site's file."""
    (text,) = re.findall(r"```yaml\n(# slurm\.yaml\n.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    return SlurmSettings.model_validate_json(
        SlurmSettings.model_validate(yaml.safe_load(text)).model_dump_json()
    )


def _script() -> str:
    """The trainings of the quickstart on that site."""
    manifest = yaml.safe_load((REPOSITORY / "algorithms/nodule_malignancy/manifest.yaml").read_text())
    job = Job(
        key="0" * 64,
        name="train",
        kind=JobKind.TRAIN,
        role="nodule_malignancy",
        command="train",
        code="0" * 64,
        outputs=(OutputFolder(target="/opt/ml/model", name="model"),),
        resources=manifest["train"],
        has_checkpoints=True,
    )
    array = JobArray(1, JobKind.TRAIN, job.resources, has_checkpoints=True, jobs=[job] * 48, throttle=20)
    settings = _settings().model_copy(update={"python": "/shared/lab/reseed/.venv/bin/python3"})
    batch = Batch(Path("/shared/lab/quickstart/slurm/quickstart-train-3f9a2c1b"))
    return batch_script(array, settings, batch=batch, after=[81230])


def test_the_batch_script_is_the_one_that_is_made():
    """Word for word."""
    assert f"```\n{_script()}```" in GUIDE.read_text(encoding="utf-8")


def test_every_setting_is_in_the_table():
    """A setting that nobody can find does not exist."""
    text = GUIDE.read_text(encoding="utf-8")
    rows = "".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))

    assert [name for name in SlurmSettings.model_fields if f"`{name}`" not in rows] == []
