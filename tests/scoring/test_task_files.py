"""The task files that come with the project, and what `reseed task` says of them."""

import pytest
import typer
from typer.testing import CliRunner

from reseed.cli.task import app, check, task_lines
from reseed.contracts.errors import InvalidDocument, InvalidPrediction
from reseed.contracts.predictions import PredictionJob
from reseed.scoring.evaluation import submission_metrics
from reseed.scoring.interfaces import evaluated_socket, interface_of
from reseed.scoring.measures import MEASURES, comparable, measure_of
from reseed.scoring.tasks import read_task, task_names
from reseed.statistics.metric import resolved_metric
from tests.scoring.image_submissions import ImageSubmission, box, write_image, write_patients
from tests.scoring.submissions import TASKS, socket_value

T2, ADC, HBV = (f"transverse-{name}-prostate-mri" for name in ("t2", "adc", "hbv"))


class TestTaskFiles:
    @pytest.mark.parametrize("name", task_names(TASKS))
    def test_every_task_is_right(self, name):
        """
        Each can be read, and told in words.
        """
        lines = task_lines(read_task(name, TASKS))

        assert lines[0].startswith(f"{name}: ")
        assert any(line.startswith("  ranked by") for line in lines)

    @pytest.mark.parametrize("kind", list(MEASURES))
    def test_statistics_knows_every_compared_metric(self, kind):
        """
        What a task may compare runs by has a name there, with the same direction.
        """
        for key in comparable(kind):
            measure = MEASURES[kind][key]
            assert measure.statistic is not None
            assert resolved_metric(measure.statistic).higher_is_better == measure.higher_is_better
        names = [
            getattr(measure_of(key), "statistic", "") for key in ("hd95_head", "volume_difference_ml_tail")
        ]
        assert names == ["mean:hd95_head:lower", None]
        assert measure_of("nothing") is None

    @pytest.mark.parametrize(
        ("old", "new", "rule"),
        [
            (
                "kind: segmentation",
                "kind: segmentaton",
                "evaluation.kind: must be 'classification', 'lesion_",
            ),
            (
                "boundary: surface_elements",
                "boundary: surface",
                "evaluation.boundary: must be 'surface_elements'",
            ),
            (
                "tolerance_mm:",
                "tolerance:",
                "evaluation.tolerance: unknown key; did you mean 'tolerance_mm'?",
            ),
            ("tolerance_mm: 1.0", "tolerance_mm: -1", "evaluation.tolerance_mm: must be at least 0, got -1"),
            ("prostate: [1, 2]", "prostate: []", "labels.prostate must have one label value or more"),
            ("prostate: [1, 2]", "prostate: [0]", "evaluation.labels.prostate.0: must be at least 1, got 0"),
            ("both_empty: 1.0", "both_empty: one", "evaluation.aggregation.dsc.both_empty: must be"),
            ("    hd95: {", "    hd96: {", "evaluation.aggregation: must say what metric 'hd95' is worth"),
            ("[dsc, nsd,", "[auroc, dsc, nsd,", "metrics.0: segmentation has no metric 'auroc'; it has dsc"),
            ("[dsc, nsd,", "[relative_volume_difference, dsc, nsd,", "; put it under 'reported'"),
            ("output: prostate-zonal-segmentation ", "output: zones ", "interfaces.1.output 'zones' is not"),
            ("inputs: [transverse-t2-prostate-mri]", "inputs: [mr]", "interfaces.0.inputs 'mr' is not among"),
            ("layout: files", "layout: dicom", "evaluation.reference.layout: must be 'files', 'msd' or"),
            (
                "folder: prostate",
                "folder: ../x",
                "evaluation.reference.folder: must be a path inside the ground",
            ),
        ],
    )
    def test_mistakes(self, tmp_path, old, new, rule):
        """
        Each with its line in the file.
        """
        text = (TASKS / "prostate_segmentation.yaml").read_text(encoding="utf-8")
        assert old in text
        path = tmp_path / "t.yaml"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

        with pytest.raises(InvalidDocument) as caught:
            check(path)

        assert rule in str(caught.value)
        assert str(caught.value).startswith(f"{path}:")

    def test_commands(self):
        """
        `reseed task list` and `check`.
        """
        runner = CliRunner()
        assert isinstance(app, typer.Typer)
        listed = runner.invoke(app, ["list"])
        assert "hippocampus_segmentation  Segmentation of the hippocampus" in listed.output
        checked = runner.invoke(app, ["check", str(TASKS / "hippocampus_segmentation.yaml")])
        assert "anterior = 1, posterior = 2" in checked.output


class TestInterfaces:
    @pytest.fixture
    def task(self):
        """Two sets of inputs, of which the larger writes zones."""
        return read_task("prostate_segmentation", TASKS)

    @staticmethod
    def job(*slugs):
        """A job with those inputs."""
        values = [socket_value(slug, f"images/{slug}", image={"name": "a.mha"}) for slug in slugs]
        return PredictionJob.model_validate({"pk": "j", "inputs": values, "outputs": []})

    def test_dispatch(self, task):
        """
        By the sorted slugs of the inputs.
        """
        alone, all_three = self.job(T2), self.job(HBV, T2, ADC)

        assert evaluated_socket(interface_of(alone, task), task).slug == "transverse-whole-prostate-mri"
        assert evaluated_socket(interface_of(all_three, task), task).slug == "prostate-zonal-segmentation"
        with pytest.raises(
            InvalidDocument, match=r"job 'j': its inputs \(.*adc.*\) fit no interface of task"
        ):
            interface_of(self.job(T2, ADC), task)

    def test_both_in_one_submission(self, task, tmp_path):
        """
        A case of each interface, the zones together being the prostate.
        """
        mask = box(slice(1, 5), slice(2, 8), slice(2, 8))
        zones = mask.copy()
        zones[:, 4:] *= 2
        truth = tmp_path / "truth"
        whole = ImageSubmission(tmp_path / "input", truth, T2, "transverse-whole-prostate-mri")
        zonal = ImageSubmission(tmp_path / "input", truth, T2, "prostate-zonal-segmentation")
        for case in "ab":
            write_image(truth / "prostate" / f"{case}.nii.gz", mask)
        write_patients(truth, {"a": "p", "b": "q"})
        whole.predict("a", mask)
        zonal.predict("b", zones)
        second = zonal.job("b")
        second["inputs"] += [
            socket_value(slug, f"images/{slug}", image={"name": "x.mha"}) for slug in (HBV, ADC)
        ]
        whole.write_jobs([second, whole.job("a")])

        metrics = submission_metrics(whole.paths, truth, task)

        assert metrics.aggregates["dsc"].value == 1
        whole.write_jobs([whole.job("b"), whole.job("a")])
        with pytest.raises(
            InvalidPrediction, match="case 'b': output folder 'images/transverse-whole-prostate"
        ):
            submission_metrics(whole.paths, truth, task)

    def test_names_of_images(self, task, tmp_path):
        """
        What a name has after the case is part of the task.
        """
        match = task.match.model_copy(update={"ending": "_t2w"})
        changed = task.model_copy(update={"match": match, "interfaces": task.interfaces[:1]})
        truth = tmp_path / "truth"
        made = ImageSubmission(tmp_path / "input", truth, T2, "transverse-whole-prostate-mri")
        mask = box(slice(1, 5), slice(2, 8), slice(2, 8))
        write_image(truth / "prostate" / "a.mha", mask)
        write_patients(truth, {"a": "p"})
        made.predict("a", mask)
        named = made.job("a")
        named["inputs"][0]["image"]["name"] = "a_t2w.mha"
        made.write_jobs([named])

        assert submission_metrics(made.paths, truth, changed).aggregates["dsc"].value == 1
        made.write_jobs([made.job("a")])
        with pytest.raises(InvalidDocument, match=r"must be named <case>_t2w, got 'a\.mha'"):
            submission_metrics(made.paths, truth, changed)
