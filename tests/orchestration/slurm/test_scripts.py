"""The scripts that Slurm and the container programs get, compared whole with files that people read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reseed.contracts.errors import InvalidDocument, UserError
from reseed.contracts.job import InputFolder, Job, JobKind, OutputFolder
from reseed.contracts.manifest import Resources
from reseed.contracts.slurm import ContainerProgram, SlurmSettings
from reseed.documents.reading import read_yaml
from reseed.orchestration.slurm.arrays import JobArray
from reseed.orchestration.slurm.batch import Batch
from reseed.orchestration.slurm.containers import (
    TEMPLATES,
    GpusOfJob,
    checked_template,
    packaged_template,
    start_script,
)
from reseed.orchestration.slurm.images import PinnedImage
from reseed.orchestration.slurm.script import batch_script
from reseed.orchestration.study_folder import AttemptFolder
from reseed.orchestration.workspace import Launch, Mount

GOLDEN = Path(__file__).parent / "golden"
STUDY = Path("/shared/studies/prostate")
KEY = "c0ffee" + "0" * 58
DIGEST = "ab" * 32
IMAGES = {
    "podman": PinnedImage(
        reference=f"sha256:{DIGEST}", digest=DIGEST, archive="/shared/images/unet.tar", user="10001:10001"
    ),
    "docker": PinnedImage(
        reference=f"registry.example.org/reseed/unet@sha256:{DIGEST}", digest=DIGEST, user="10001:10001"
    ),
    "apptainer": PinnedImage(reference="/shared/images/unet.sif", digest=DIGEST),
    "pyxis": PinnedImage(reference="/shared/images/unet.sqsh", digest=DIGEST),
}


def _training() -> Job:
    return Job(
        key=KEY,
        name="train/unet/run-0/member-1",
        kind=JobKind.TRAIN,
        role="unet",
        command="train",
        code=DIGEST,
        environment={"RESEED_SEED_WEIGHTS": "0", "RESEED_MEMBER": "1"},
        inputs=(InputFolder(target="/opt/ml/input/data/preprocessed", job="1" * 64),),
        outputs=(OutputFolder(target="/opt/ml/model", name="model"),),
        has_checkpoints=True,
        resources=Resources(cpus=8, gpus=2, memory_gib=32, timeout_s=72 * 3600),
    )


def _launch() -> Launch:
    attempt = AttemptFolder(STUDY / "jobs" / KEY / "attempts" / "2")
    mounts = (
        Mount(STUDY / "jobs" / KEY / "checkpoints", "/opt/ml/checkpoints", writable=True),
        Mount(attempt.config, "/opt/ml/input/config"),
        Mount(STUDY / "jobs" / ("1" * 64) / "output", "/opt/ml/input/data/preprocessed"),
        Mount(attempt.output / "model", "/opt/ml/model", writable=True),
    )
    return Launch(_training(), 2, attempt, mounts, (0, 1))


def _golden(name: str, text: str) -> None:
    """Compare with a file, or write it where RESEED_WRITE_GOLDEN is set, for a person to read."""
    path = GOLDEN / name
    if os.environ.get("RESEED_WRITE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.fixture
def researcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts of somebody who is not root."""
    monkeypatch.setattr(os, "getuid", lambda: 1234)
    monkeypatch.setattr(os, "getgid", lambda: 567)


@pytest.mark.parametrize("program", TEMPLATES)
@pytest.mark.usefixtures("researcher")
def test_the_container_command(program: ContainerProgram):
    """As a node runs it, for each template."""
    settings = SlurmSettings(container=program, container_options=("--annotation=lab=prostate study",))

    text = start_script(
        packaged_template(program), _launch(), settings,
        image=IMAGES[program], gpus=GpusOfJob(("2", "3"), "0,1"), slurm_job="4711_3",
    )  # fmt: skip

    _golden(f"{program}.sh", text)


def test_the_batch_script_of_trainings():
    """All that a site can ask for, a time limit below the manifest's, and a throttle."""
    settings = SlurmSettings(
        partition="gpu",
        account="radiology",
        qos="long",
        time_h=24,
        gres="gpu:a100",
        sbatch=("--exclude=node7", "--mail-type=FAIL"),
        setup=("module load apptainer",),
        container="apptainer",
        checkpoint_s=300,
        python="/shared/venv/bin/python",
    )
    array = JobArray(1, JobKind.TRAIN, _training().resources, has_checkpoints=True, jobs=[_training()] * 40)
    array.throttle = 8

    text = batch_script(
        array, settings, batch=Batch(STUDY / "slurm" / "prostate-train-0a1b2c3d"), after=[4709, 4710]
    )

    _golden("submit-train.sh", text)


def test_the_batch_script_of_a_score():
    """Nothing but defaults: no GPU, no signal, nothing to wait for."""
    array = JobArray(3, JobKind.SCORE, Resources(memory_gib=0.25), has_checkpoints=False, jobs=[_training()])

    text = batch_script(
        array,
        SlurmSettings(python="/shared/venv/bin/python"),
        batch=Batch(STUDY / "slurm" / "prostate-score-4e5f6071"),
        after=[],
    )

    _golden("submit-score.sh", text)


class TestTemplates:
    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("docker run {{ image }}\n  {{ imagge }}\n", "site.sh.j2:2: 'imagge' is undefined"),
            ("docker run\n{% if gpus %}\n", "site.sh.j2:2: Unexpected end of template"),
            ("{{ image | qoute }}\n", "site.sh.j2:1: No filter named 'qoute'"),
            ("a\nb {{ job.nam }}\n", "site.sh.j2:2: .* has no attribute 'nam'"),
        ],
    )
    def test_a_mistake_is_one_line_with_its_place(self, tmp_path: Path, text: str, complaint: str):
        """Found when the study is submitted, not on a node."""
        (tmp_path / "site.sh.j2").write_text(text)

        with pytest.raises(UserError, match=complaint):
            checked_template(SlurmSettings(container="docker", template="site.sh.j2"), folder=tmp_path)

    def test_an_edited_template_is_used(self, tmp_path: Path):
        """A site's own words reach the node."""
        (tmp_path / "site.sh.j2").write_text("exec site-run {{ image | quote }} {{ job.command }}\n")
        settings = SlurmSettings(container="docker", template="site.sh.j2")

        text = start_script(
            checked_template(settings, folder=tmp_path), _launch(), settings,
            image=IMAGES["podman"], gpus=GpusOfJob(), slurm_job="1_0",
        )  # fmt: skip

        assert text == f"#!/bin/bash\nexec site-run sha256:{DIGEST} train\n"

    @pytest.mark.usefixtures("researcher")
    @pytest.mark.parametrize("program", TEMPLATES)
    def test_words_are_quoted_for_the_shell(self, program: ContainerProgram):
        """A space or a quote in a value stays in the value."""
        launch = _launch()
        job = launch.job.model_copy(update={"environment": {"NOTE": "it's $HOME; rm -rf"}})
        launch = Launch(job, 2, launch.folder, launch.mounts, ())

        text = start_script(
            packaged_template(program), launch, SlurmSettings(container=program),
            image=IMAGES[program], gpus=GpusOfJob(), slurm_job="1_0",
        )  # fmt: skip

        assert """'NOTE=it'"'"'s $HOME; rm -rf'""" in text
        assert "--gpus" not in text
        assert "--nv" not in text
        assert "nvidia.com" not in text


class TestSettings:
    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("sbatch: [--array=1-3]", "--array is set by Reseed"),
            ("sbatch: [exclude=node7]", "starts with --"),
            ("time_h: 0.01\ncheckpoint_s: 60", "checkpoint_s 60 must be shorter than time_h 0.01"),
            ("container: singularity", "container"),
            ("partitoin: gpu", "partitoin"),
        ],
    )
    def test_mistakes(self, tmp_path: Path, text: str, complaint: str):
        """A site's file is checked as a study is."""
        path = tmp_path / "slurm.yaml"
        path.write_text(text)

        with pytest.raises(InvalidDocument, match=complaint):
            read_yaml(path, SlurmSettings)

    def test_a_study_is_over_its_site(self):
        """What the study gives counts, even where it gives the default; the rest is the site's."""
        site = SlurmSettings(partition="gpu", gres="gpu:a100", max_jobs=20)

        merged = SlurmSettings(partition="short", gres="gpu").over(site)

        assert (merged.partition, merged.gres, merged.max_jobs) == ("short", "gpu", 20)
