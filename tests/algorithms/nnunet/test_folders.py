"""The folders of the nnU-Net algorithms agree where they must."""

from __future__ import annotations

import pytest

from tests.algorithms.jobs import PROJECT
from tests.algorithms.nnunet.pipelines import ALGORITHMS, manifest_of, task_of

SHARED = "hippocampus_segmentation"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
class TestFolder:
    @pytest.mark.parametrize("name", ["requirements.txt", "requirements-no-deps.txt"])
    def test_requirements(self, algorithm, name):
        """
        Equal files, so that images share the layer of their packages.
        """
        own = (PROJECT / "algorithms" / algorithm / name).read_bytes()

        assert own == (PROJECT / "algorithms" / SHARED / name).read_bytes()

    def test_rules_of_shared_settings(self, algorithm):
        """
        A setting that two algorithms have is the same setting; only its default may differ.
        """
        own, shared = (manifest_of(name).hyperparameters for name in (algorithm, SHARED))

        assert shared.keys() <= own.keys()
        for name, rule in shared.items():
            assert own[name].model_copy(update={"default": rule.default}) == rule

    def test_sockets_are_the_tasks(self, algorithm):
        """
        Inputs and outputs are those of the task that evaluates them.
        """
        manifest = manifest_of(algorithm)
        task = task_of(manifest.task)

        assert {socket.slug for socket in manifest.inputs} == {socket.slug for socket in task.inputs}
        assert {socket.slug for socket in manifest.outputs} == {socket.slug for socket in task.outputs}

    def test_model_card(self, algorithm):
        """
        Each README says what the data, the method and the limits are, and what was published.
        """
        card = (PROJECT / "algorithms" / algorithm / "README.md").read_text()

        for heading in ("## Data", "## Published", "## Limits"):
            assert heading in card
        assert "MEASURED" not in card
