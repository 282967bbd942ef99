"""Task files: found by name or path, and refused with the place of the mistake."""

import pytest

from reseed.contracts.errors import InvalidDocument, UserError
from reseed.contracts.evaluation import Classification
from reseed.scoring.tasks import read_task, task_names, tasks_folder
from tests.scoring.submissions import REPOSITORY, TASKS

TASK_TEXT = (TASKS / "nodule_malignancy.yaml").read_text(encoding="utf-8")


def changed(folder, old, new, name="nodule_malignancy"):
    """A copy of the task file with one thing changed."""
    assert old in TASK_TEXT
    path = folder / f"{name}.yaml"
    path.write_text(TASK_TEXT.replace(old, new, 1), encoding="utf-8")
    return path


class TestReadTask:
    def test_by_name(self):
        """
        The project's own task, as an organiser finds it.
        """
        task = read_task("nodule_malignancy", TASKS)

        assert task.metrics == ("auroc", "ap")
        assert task.ranking_metric == "auroc"
        assert task.output("lung-nodule-malignancy-likelihood").kind == "Float"
        assert isinstance(task.evaluation, Classification)
        assert (task.evaluation.minimum, task.evaluation.maximum) == (0.0, 1.0)
        assert task.case_noun == "nodules"

    @pytest.mark.parametrize("as_given", [str, lambda path: path])
    def test_by_path(self, tmp_path, as_given):
        """
        A path may be anywhere and have any name.
        """
        path = changed(tmp_path, "task: nodule_malignancy", "task: mine", name="task")

        assert read_task(as_given(path), TASKS).task == "mine"

    def test_every_task_file_of_the_project(self):
        """
        Each reads without a mistake, and is what its name says.
        """
        assert [read_task(name, TASKS).task for name in task_names(TASKS)] == task_names(TASKS)

    def test_unknown_name(self):
        """
        The nearest name is suggested.
        """
        with pytest.raises(UserError, match=r"no task 'nodule_malignity' in .*; did you mean 'nodule_mal"):
            read_task("nodule_malignity", TASKS)

    def test_unknown_name_near_nothing(self, tmp_path):
        """
        Else the names there are listed.
        """
        with pytest.raises(UserError, match="tasks there: none"):
            read_task("zebra", tmp_path)

    def test_a_name_that_is_not_the_files(self, tmp_path):
        """
        A file found by name must carry that name, or two names would mean one task.
        """
        path = changed(tmp_path, "task: nodule_malignancy", "task: other")

        with pytest.raises(InvalidDocument) as caught:
            read_task("nodule_malignancy", tmp_path)

        assert str(caught.value).startswith(f"{path}:5:1: task: must be the file's name, 'nodule_malignancy'")

    @pytest.mark.parametrize(
        ("old", "new", "column", "rule"),
        [
            ("[auroc, ap]", "[auroc, dsc]", 18, "metrics.1: classification has no metric 'dsc'; it has"),
            ("ranking_metric: auroc", "ranking_metric: f1", 1, "ranking_metric 'f1' is not among"),
            (
                "score: lung-nodule-malignancy-likelihood",
                "score: likelihood",
                3,
                "evaluation.score 'likelihood' is not among the outputs",
            ),
            (
                "minimum: 0.0",
                "minimun: 0.0",
                3,
                "evaluation.minimun: unknown key; did you mean 'minimum'?",
            ),
            ("minimum: 0.0", "minimum: 2.0", 3, "evaluation: minimum 2 is above maximum 1"),
            (
                "super_kind: Value",
                "super_kind: Valve",
                5,
                "outputs.0.super_kind: must be 'Image', 'Value' or",
            ),
            ("by: image_name", "by: name", 3, "match.by: must be 'image_name' or 'value', got 'name'"),
        ],
    )
    def test_mistakes_have_their_place(self, tmp_path, old, new, column, rule):
        """
        One line: file, line, column, the key and the rule.
        """
        path = changed(tmp_path, old, new)
        text = path.read_text(encoding="utf-8")
        line = 1 + text[: text.index(new)].count("\n")

        with pytest.raises(InvalidDocument) as caught:
            read_task(path, TASKS)

        assert len(caught.value.lines) == 1
        assert caught.value.lines[0].startswith(f"{path}:{line}:{column}: {rule}")


class TestTasksFolder:
    def test_found_from_below(self):
        """
        From anywhere in a checkout.
        """
        assert tasks_folder(REPOSITORY / "src" / "reseed") == TASKS

    def test_not_found(self, tmp_path):
        """
        The person is told what else would do.
        """
        with pytest.raises(
            UserError, match=r"no evaluation/tasks folder in .* or above it; give the task file's"
        ):
            tasks_folder(tmp_path)
