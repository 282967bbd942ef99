"""The evaluation image in a real engine, under the flags of a platform: a score, or one clear line."""

import gzip
import json
import random
import subprocess

import numpy as np
import pytest
import SimpleITK

from reseed.contracts.metrics import Metrics
from reseed.documents.reading import read_json
from tests.engine import build_image, connected_engine
from tests.scoring.image_submissions import (
    PANCREAS,
    PANCREAS_DICE,
    ImageSubmission,
    box,
    pancreas_submission,
    write_image,
    write_patients,
)
from tests.scoring.submissions import REPOSITORY, socket_value

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]

TAG = "reseed/evaluation"
LINKED_TAG = "reseed/evaluation-linked-input"
T2, ADC, HBV = (f"transverse-{name}-prostate-mri" for name in ("t2", "adc", "hbv"))
HARDENED = [
    "--rm", "--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only",
    "--init", "--memory", "1g", "--memory-swap", "1g", "--shm-size", "512m", "--pids-limit", "256",
    "--ulimit", "nofile=4096:4096", "--tmpfs", "/tmp:rw,nosuid,nodev,mode=1777,size=1g",
]  # fmt: skip


@pytest.fixture(scope="module")
def image():
    """The image, and one in which /input is a link."""
    client = connected_engine()
    build_image(REPOSITORY, target="evaluation", tag=TAG)
    linked = f"FROM {TAG}\nUSER root\nRUN ln -s /mnt/submission /input\nUSER 10001:10001\n"
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", LINKED_TAG, "-"],
        input=linked, text=True, check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    yield client.images.get(TAG)
    client.images.remove(LINKED_TAG, force=True)


class Platform:
    """Runs the image on a submission as a platform does."""

    def __init__(self, root):
        self.root = root
        self.output = root / "output"
        self.output.mkdir()
        self.output.chmod(0o777)

    def run(self, *command, tag=TAG, target="/input", options=(), task="pancreas_segmentation"):
        """The finished process."""
        return subprocess.run(
            [
                "docker", "run", *HARDENED, "--env", f"RESEED_TASK={task}",
                "--volume", f"{self.root / 'input'}:{target}:ro",
                "--volume", f"{self.root / 'ground_truth'}:/opt/ml/input/data/ground_truth:ro",
                *(options or ["--volume", f"{self.output}:/output"]), tag, *command,
            ],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def metrics(self, **changed):
        """The result of a run that must succeed."""
        finished = self.run(**changed)
        assert finished.returncode == 0, finished.stderr
        assert [path.name for path in self.output.iterdir()] == ["metrics.json"]
        for line in finished.stderr.splitlines():
            assert json.loads(line)["event"]
        return read_json(self.output / "metrics.json", Metrics)

    def refusal(self, **changed):
        """The last line of a run that must refuse, without a traceback or anything in its output."""
        (self.output / "metrics.json").write_text("{}")
        (self.output / "metrics.json").chmod(0o666)
        finished = self.run(**changed)
        assert finished.returncode == 1, finished.stderr
        assert "Traceback" not in finished.stderr
        assert list(self.output.iterdir()) == []
        return finished.stderr.splitlines()[-1]


@pytest.fixture
def pancreas(image, tmp_path):
    """A right submission, and the platform that it is made to."""
    made = pancreas_submission(tmp_path)
    return made, Platform(tmp_path)


class TestScores:
    def test_shuffled_jobs(self, pancreas):
        """
        Jobs of a submission come in no order; the empty mask counts as the task says.
        """
        submission, platform = pancreas
        jobs = [submission.job(case) for case in PANCREAS]
        random.Random(2).shuffle(jobs)
        submission.write_jobs(jobs)

        metrics = platform.metrics()

        assert {each.case_id: each.metrics["dsc"] for each in metrics.results} == pytest.approx(PANCREAS_DICE)

    def test_minimal_manifest(self, pancreas):
        """
        pk, inputs, outputs; the old key; a socket with no more than slug and path, an image with a name.
        """
        submission, platform = pancreas
        output = {"slug": submission.output_slug, "relative_path": f"images/{submission.output_slug}"}
        submission.write_jobs(
            [
                {
                    "pk": f"job-{case}",
                    "inputs": [
                        {
                            "interface": {"slug": "venous-ct", "relative_path": "images/ct"},
                            "image": {"name": f"{case}.mha"},
                        }
                    ],
                    "outputs": [{"interface": output}],
                }
                for case in PANCREAS
            ]
        )

        assert platform.metrics().aggregates["dsc"].value == pytest.approx(2 / 3)

    def test_linked_input(self, pancreas):
        """
        /input is a link to where the submission is.
        """
        _, platform = pancreas

        metrics = platform.metrics(tag=LINKED_TAG, target="/mnt/submission")

        assert metrics.aggregates["dsc"].value == pytest.approx(2 / 3)

    def test_two_interfaces(self, image, tmp_path):
        """
        Cases of both sets of inputs in one submission, each with its own output.
        """
        mask = box(slice(1, 5), slice(2, 8), slice(2, 8))
        truth = tmp_path / "ground_truth"
        whole = ImageSubmission(tmp_path / "input", truth, T2, "transverse-whole-prostate-mri")
        zonal = ImageSubmission(tmp_path / "input", truth, T2, "prostate-zonal-segmentation")
        for case in "ab":
            write_image(truth / "prostate" / f"{case}.nii.gz", mask)
        write_patients(truth, {"a": "p", "b": "q"})
        whole.predict("a", mask)
        zonal.predict("b", mask * 2)
        second = zonal.job("b")
        second["inputs"] += [socket_value(slug, f"images/{slug}", image={"name": "x"}) for slug in (HBV, ADC)]
        whole.write_jobs([second, whole.job("a")])

        assert Platform(tmp_path).metrics(task="prostate_segmentation").aggregates["dsc"].value == 1

    def test_in_parallel(self, image, tmp_path):
        """
        More cases than are done in one process, with progress as JSON lines.
        """
        made = pancreas_submission(tmp_path)
        names = [f"case{number:02}" for number in range(12)]
        for name in names:
            reference, prediction = PANCREAS["b"]
            write_image(made.ground_truth / "pancreas" / f"{name}.nii.gz", reference)
            made.predict(name, prediction)
        write_patients(made.ground_truth, {name: name for name in [*names, *PANCREAS]})
        made.write_jobs([made.job(name) for name in [*PANCREAS, *names]])
        platform = Platform(tmp_path)

        assert len(platform.metrics().results) == 16
        finished = platform.run("sh", "-c", "evaluate; code=$?; ls -A /output; exit $code", options=[
            "--mount", "type=tmpfs,destination=/output,tmpfs-size=4096,tmpfs-mode=1777",
        ])  # fmt: skip
        assert finished.returncode == 1
        assert finished.stdout == ""
        last = "/output/metrics.json: cannot be written: No space left on device"
        assert finished.stderr.splitlines()[-1] == last


def without_output(submission):
    """A job that wrote nothing."""
    submission.predict("b", PANCREAS["b"][1]).unlink()
    submission.output_folder("b").rmdir()


def wrong_grid(submission):
    """A prediction at another spacing."""
    submission.predict("b", PANCREAS["b"][1], spacing=(1.0, 1.0, 1.0))


def nan_voxels(submission):
    """NaN in a floating-point mask."""
    submission.predict("b", np.full(PANCREAS["b"][1].shape, np.nan, dtype=np.float32))


def four_dimensions(submission):
    """A series of volumes."""
    path = submission.predict("b", PANCREAS["b"][1])
    volume = SimpleITK.GetImageFromArray(PANCREAS["b"][1])
    SimpleITK.WriteImage(SimpleITK.JoinSeries([volume, volume]), str(path))


def truncated_gzip(submission):
    """A .nii.gz that ends early."""
    path = submission.predict("b", PANCREAS["b"][1], suffix=".nii.gz")
    path.write_bytes(path.read_bytes()[:-6])


def gzip_of_nothing(submission):
    """A whole gzip file with no image in it."""
    path = submission.predict("b", PANCREAS["b"][1], suffix=".nii.gz")
    path.write_bytes(gzip.compress(b"nothing"))


def link_outside(submission):
    """A link to the reference, by the path that it has in the container."""
    path = submission.predict("b", PANCREAS["b"][1])
    path.unlink()
    path.with_name("b.nii.gz").symlink_to("/opt/ml/input/data/ground_truth/pancreas/b.nii.gz")


def header_outside(submission):
    """A header that says the voxels are in the reference's file."""
    path = submission.predict("b", PANCREAS["b"][1], compressed=False)
    header = path.read_bytes().split(b"ElementDataFile")[0]
    target = b"/opt/ml/input/data/ground_truth/pancreas/b.nii.gz"
    path.write_bytes(header + b"ElementDataFile = " + target + b"\n")


class TestRefusals:
    @pytest.mark.parametrize(
        ("broken", "line"),
        [
            (without_output, "output folder 'images/pancreas-segmentation' is missing (job 'job-b')"),
            (wrong_grid, "pancreas-segmentation is on another grid: its spacing is (1, 1, 1) mm, the"),
            (nan_voxels, "pancreas-segmentation has 720 voxels that are NaN or infinite"),
            (four_dimensions, "pancreas-segmentation must have 3 dimensions, got 4 (10 × 12 × 6 × 2)"),
            (truncated_gzip, "pancreas-segmentation is a truncated gzip file: it ends before its end"),
            (gzip_of_nothing, "pancreas-segmentation is not a NIfTI image: it has no header"),
            (link_outside, "output 'images/pancreas-segmentation/b.nii.gz' is a link out of the submission"),
            (header_outside, "pancreas-segmentation is no .mha image: its header points to another file"),
        ],
    )
    def test_one_line(self, pancreas, broken, line):
        """
        The case and what is wrong with it; an older metrics.json is gone.
        """
        submission, platform = pancreas
        broken(submission)

        assert platform.refusal().startswith(f"case 'b': {line}")
